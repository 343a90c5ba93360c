"""The logs of several workers: `worker-0`, `worker-1` … in one directory, each a log of its own.

A log has one writer, so each worker has one. The directory may hold a log itself, too: that of
the time when one process served.
"""

import re
from pathlib import Path

from proxy.audit.format import HEAD_NAME, segments

_NAME = re.compile(r"worker-(0|[1-9][0-9]*)")


def log_of(directory: Path, worker: int) -> Path:
    """Where a worker's log is."""
    return directory / f"worker-{worker}"


def is_workers(path: Path) -> bool:
    """Whether a path is named as a worker's log."""
    return _NAME.fullmatch(path.name) is not None


def logs_in(directory: Path) -> list[Path]:
    """The logs of a directory, its own first, then those of workers by number.

    A directory without any is taken for a log: whoever reads it says what is wrong.
    """
    found = [path for path in directory.glob("worker-*") if is_workers(path) and path.is_dir()]
    workers = sorted(found, key=_number)
    has_own = not workers or segments(directory) or (directory / HEAD_NAME).exists()
    return [directory, *workers] if has_own else workers


def missing_from(directory: Path, logs: list[Path]) -> list[Path]:
    """Logs of workers that there must have been: those of all numbers below the highest."""
    last = max((_number(log) for log in logs if log.parent == directory), default=0)
    return [log for number in range(last) if (log := log_of(directory, number)) not in logs]


def _number(path: Path) -> int:
    return int(path.name.removeprefix("worker-"))
