"""Logs of the process: JSON lines on standard error. Never a prompt, a key, or who called."""

import sys

import structlog


def configure_logs() -> None:
    """Send structlog to standard error, one JSON object a line, times in UTC."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
