"""What can go wrong with the audit log, each told so that an operator knows what to do."""

from pathlib import Path


class AuditError(Exception):
    """Anything the audit log refuses or cannot do."""


class AuditUnavailable(AuditError):  # noqa: N818 (says what happened)
    """Records cannot be made durable now (full disk, I/O error, queue full, log closed)."""


def cannot_write(directory: Path, error: OSError) -> AuditUnavailable:
    """The error of a log whose disk refused."""
    return AuditUnavailable(f"audit log {directory} cannot be written: {error}")


class AuditInUse(AuditError):  # noqa: N818 (says what happened)
    """Another process writes this log."""


class AuditDamaged(AuditError):  # noqa: N818 (says what happened)
    """The log on disk is not as it was left: nothing may be appended to it."""


class BadRecord(AuditError):  # noqa: N818 (says what happened)
    """A record that has no place in the log (not JSON, too long, a reserved name)."""
