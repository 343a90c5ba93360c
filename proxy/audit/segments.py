"""The one writer of a log's directory: segments, the head and the lock.

Invariant: what `write` returned for is in the files, in order, once. After any error nothing of
the failed group counts: the segment is cut back to its good part and left behind, and the
next attempt writes the whole group from memory into a new segment. (A failed fsync may have
dropped dirty pages and marked them clean, so the same pages are never trusted or synced again:
https://wiki.postgresql.org/wiki/Fsync_Errors.)
"""

import errno
import fcntl
import os
from pathlib import Path

from proxy.audit.disk import DIRECTORY_MODE, FILE_MODE, Disk
from proxy.audit.errors import AuditInUse
from proxy.audit.format import (
    HEAD_NAME,
    LOCK_NAME,
    SLOT_BYTES,
    Head,
    encode_head,
    segment_name,
)
from proxy.audit.recover import cut, find_end


class SegmentWriter:
    """Appends finished lines to a directory that it has locked. Not thread-safe."""

    def __init__(
        self, directory: Path, *, segment_bytes: int, durable: bool, disk: Disk | None = None
    ) -> None:
        """Locks, recovers and opens a directory, which is made where it is missing.

        With `durable`, what `write` returned for is on the disk; without, only after `sync`.
        Raises AuditInUse, AuditDamaged and OSError; holds nothing then.
        """
        self.directory = directory
        self._segment_bytes = segment_bytes
        self._durable = durable
        self._disk = disk or Disk()
        self._segment: int | None = None
        self._head: int | None = None
        self._broken = False
        self._slot = 0
        if not directory.is_dir():
            directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            self._disk.sync_directory(directory.parent)
        self._lock = _lock(directory / LOCK_NAME)
        try:
            self.end = find_end(directory)
            self.torn_kept = cut(self.end.torn, self._disk) if self.end.torn else None
            self._path, self._size = self.end.segment, self.end.size
            if self._path:
                self._segment = self._disk.reopen(self._path, durable=durable)
                self._disk.sync(self._segment)
            self._last = Head(self.end.seq, self.end.hash, self._path.name if self._path else "")
            self._open_head()
        except BaseException:
            self._release()
            raise

    def write(self, lines: list[bytes], last_seq: int) -> None:
        """Appends lines, of which the last has `last_seq`. Raises OSError; then call it again
        with the same lines, at whatever time: it repairs first.
        """
        if self._broken:
            self._repair()
        self._broken = True
        if self._segment is None or self._size >= self._segment_bytes:
            self._begin_segment(last_seq - len(lines) + 1)
        assert self._segment is not None
        assert self._path is not None
        data = b"".join(lines)
        self._disk.write(self._segment, data, self._size)
        self._size += len(data)
        self._last = Head(last_seq, lines[-1][-67:-3], self._path.name)
        self._broken = False

    def sync(self) -> None:
        """Returns when everything written is on the disk. Raises OSError."""
        if self._segment is not None:
            self._disk.sync(self._segment)

    def write_head(self) -> None:
        """Tells the head what was written last, which must be on the disk. Raises OSError."""
        assert self._head is not None
        self._slot ^= 1
        self._disk.write(self._head, encode_head(self._last), self._slot * SLOT_BYTES)

    def close(self) -> None:
        """Closes the files and gives the lock back. Syncs nothing."""
        self._release()

    def _begin_segment(self, first_seq: int) -> None:
        if self._segment is not None:
            self._disk.sync(self._segment)
            self._disk.close(self._segment)
            self._segment = None
        self._path, self._size = self.directory / segment_name(first_seq), 0
        self._segment = self._disk.create(self._path, durable=self._durable)
        self._disk.sync_directory(self.directory)

    def _repair(self) -> None:
        """Cuts the failed group off the segment, durably, and leaves the segment behind."""
        if self._segment is None:
            return
        self._disk.truncate(self._segment, self._size)
        self._disk.sync(self._segment)
        if self._size == 0 and self._path is not None:
            self._disk.remove(self._path)
        segment, self._segment = self._segment, None
        self._disk.close(segment)

    def _open_head(self) -> None:
        """Both slots say the same once the log is open, durably, so that one is always whole."""
        path = self.directory / HEAD_NAME
        self._head = os.open(path, os.O_WRONLY | os.O_CREAT, FILE_MODE)
        for _ in range(2):
            self.write_head()
            os.fsync(self._head)
        self._disk.sync_directory(self.directory)

    def _release(self) -> None:
        for descriptor in (self._segment, self._head, self._lock):
            if descriptor is not None:
                self._disk.close(descriptor)
        self._segment = self._head = None


def _lock(path: Path) -> int:
    """Takes the writer's lock, which goes with the process. Raises AuditInUse."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, FILE_MODE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
            raise
        raise AuditInUse(
            f"{path.parent}: another process (pid {holder}) writes this audit log. "
            "Give each process a directory of its own."
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock
