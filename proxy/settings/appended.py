"""Whole lines at the end of a file that several processes write and others follow.

Invariant: a line counts once it ends in a newline and is on the disk. What a crash or a full disk
left unfinished is cut off before anything follows it.
"""

import fcntl
import os
from pathlib import Path


def append_lines(path: Path, lines: bytes) -> int:
    """Put whole lines at the end, durably and all or none; the size of the file after. OSError.

    A new file is its owner's alone, and the owner is the directory's: what an administrator writes
    must be read by the service.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _as_its_directory(descriptor, path.parent)
        begun = _cut_unfinished(descriptor)
        try:
            _write(descriptor, lines)
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, begun)
            raise
        return begun + len(lines)
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    """All of it: a disk that fills up takes a part without an error."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _cut_unfinished(descriptor: int) -> int:
    """Cut off what follows the last newline; the size then. Lines are looked at in steps."""
    size = end = os.fstat(descriptor).st_size
    while end > 0:
        begin = max(0, end - 4096)
        at = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if at >= 0:
            end = begin + at + 1
            break
        end = begin
    if end < size:
        os.ftruncate(descriptor, end)
    return end


def _as_its_directory(descriptor: int, directory: Path) -> None:
    if os.geteuid() != 0:
        return
    owner = directory.stat()
    os.fchown(descriptor, owner.st_uid, owner.st_gid)
