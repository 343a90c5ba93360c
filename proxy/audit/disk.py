"""The few things the log asks of a file system; tests put a failing disk in its place."""

import os
import sys
from pathlib import Path

FILE_MODE = 0o640  # the operator's group may read the log, nobody else
DIRECTORY_MODE = 0o750


class Disk:
    """A POSIX file system. Every method raises OSError as the system call does."""

    def create(self, path: Path, *, durable: bool) -> int:
        """A descriptor for a file that must not be there yet.

        With `durable` a write returns once its data, and the file's size, are on the disk
        (O_DSYNC: as write and fdatasync, in one system call and one release of the GIL).
        """
        return os.open(path, _flags(durable) | os.O_CREAT | os.O_EXCL, FILE_MODE)

    def reopen(self, path: Path, *, durable: bool) -> int:
        """The same for a file that is there."""
        return os.open(path, _flags(durable))

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        """Writes all of `data`. After an error any part of it may have been written."""
        view = memoryview(data)
        while view:
            written = os.pwrite(descriptor, view, offset)
            view, offset = view[written:], offset + written

    def sync(self, descriptor: int) -> None:
        """Returns when the file's data, and its size, are on the disk."""
        if sys.platform == "linux":
            os.fdatasync(descriptor)
        else:
            os.fsync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cuts the file to `size` bytes."""
        os.ftruncate(descriptor, size)

    def close(self, descriptor: int) -> None:
        """Closes a descriptor."""
        os.close(descriptor)

    def remove(self, path: Path) -> None:
        """Removes a file."""
        path.unlink()

    def sync_directory(self, directory: Path) -> None:
        """Returns when the names in a directory are on the disk."""
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _flags(durable: bool) -> int:
    return os.O_WRONLY | (os.O_DSYNC if durable else 0)
