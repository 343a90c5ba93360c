"""Indexes that another process builds and this one opens: written aside, synced, and renamed.

A reader sees the old index or the new one, never half of one; a build with a problem leaves the
old one in place.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

Signature = tuple[int, ...]  # inode, mtime (ns), ctime (ns), size; empty for a missing file


class Report(Protocol):
    """How a build ended; an index with problems is not put in place."""

    @property
    def problems(self) -> tuple[object, ...]:
        """What is wrong, or nothing."""
        ...


Ended = TypeVar("Ended", bound=Report)


def signature(path: Path | str | int) -> Signature:
    """What tells one state of a file (or of what a link leads to) from another."""
    try:
        stat = os.stat(path)  # noqa: PTH116 -- also of an open file
    except OSError:
        return ()
    return (stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size)


def put_in_place(index: Path, write: Callable[[Path], Ended]) -> Ended:
    """Let `write` fill a file beside the index, readable by its owner alone, and swap it in.

    It is not swapped in where the report has problems. OSError where the disk refuses.
    """
    aside = index.with_name(index.name + ".building")
    aside.unlink(missing_ok=True)
    os.close(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        report = write(aside)
        if not report.problems:
            _sync(aside)
            aside.replace(index)
            _sync(index.parent)
        return report
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def alone(index: Path) -> Iterator[None]:
    """Let only one builder at a time work on an index; the lock goes with the process."""
    lock = os.open(index.with_name(index.name + ".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
