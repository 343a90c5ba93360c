"""One process at a time: what several processes of one deployment change in a directory they share.

The lock is a file of its own (on NFS only a file that is open for writing can be locked); it goes
with the process that holds it, so that a crash leaves nothing to be cleaned up.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = ".lock"


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Hold a directory's lock. Blocks meanwhile.

    Threads keep each other out too. It cannot be held twice: whoever holds it must not ask again.
    OSError where the directory is not there or cannot be written.
    """
    lock = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
