"""Logs of the process: JSON lines on standard error. Never a prompt, a key, or who called.

An exception's own text may hold what a caller sent, so that a defect is told by its type and its
place in the code.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog

_PLACES = 6

log = structlog.get_logger("gauger")


def configure_logs(worker: int | None = None, *, process: str | None = None) -> None:
    """Send structlog, and what libraries log, to standard error: one JSON object a line, UTC.

    Each line of a worker, or of another process beside the gateway, says which it is.
    """

    def placed(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if worker is not None:
            event["worker"] = worker
        if process is not None:
            event["process"] = process
        return event

    structlog.configure(
        processors=[
            placed,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        # A line in one write: workers share standard error.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Libraries()], level=logging.WARNING, force=True)


def told(error: BaseException) -> dict[str, object]:
    """A defect as log fields: the exception's type and the innermost places, not its text."""
    frames = traceback.extract_tb(error.__traceback__)[-_PLACES:]
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames)]
    return {"error": type(error).__qualname__, "places": places}


class _Libraries(logging.Handler):
    """Hands on what libraries log: the message's template, not what they put into it."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        fields = told(error) if error else {}
        log.warning(str(record.msg), logger=record.name, **fields)
