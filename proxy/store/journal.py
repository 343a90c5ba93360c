"""The files that counts are written behind to: `DIRECTORY/000000000001.counts` and so on.

A new file is begun now and then, so that what has long ended is left out: changes go to the new
one from then on, and all other counts are copied into it little by little. The old one stays
until the new one is whole and on the disk. Everything here waits for the disk.
"""

import os
import threading
from itertools import takewhile
from pathlib import Path

import structlog
from msgspec import Struct

from proxy.store.frames import DamagedError, Frame, apply, framed, frames_in
from proxy.store.restored import Restored
from proxy.store.tokens import Tokens

SUFFIX = ".counts"
FILE_MODE = 0o640
DIRECTORY_MODE = 0o750

log = structlog.get_logger("gauger.store")


class Left(Struct):
    """What an earlier process left: counts up to a `position` in the audit log `log`.

    `damage` says which files could not be read to their end.
    """

    restored: Restored
    log: str = ""
    position: int = 0
    damage: tuple[str, ...] = ()


class _File(Struct):
    path: Path
    frames: list[Frame]
    damaged_at: int | None

    @property
    def usable(self) -> bool:
        """Whether it holds all counts by itself."""
        return any(frame.whole for frame in self.frames)

    @property
    def continues(self) -> bool:
        return bool(self.frames) and self.frames[0].continues


class Journal:
    """The files of a directory, which one process writes. Methods may be called on any thread."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.size = 0  # bytes of the file that is written
        self._descriptor: int | None = None
        self._path: Path | None = None
        self._lock = threading.Lock()

    def load(self, tokens: Tokens, at_ns: int) -> Left:
        """What the files say. What cannot be read is moved aside and told. Raises OSError."""
        left = Left(Restored(tokens))
        broken = False
        for file in map(_read, self._files()):
            if file.usable and not file.continues:
                left, broken = Left(Restored(tokens), damage=left.damage), False
            if file.usable or (file.continues and not broken):
                for frame in file.frames:
                    apply(frame, left.restored, at_ns)
                    left.log, left.position = frame.log, frame.position
            else:
                log.warning("counts left out: the file was never finished", file=file.path.name)
            if file.damaged_at is not None:
                broken, left.damage = True, (*left.damage, file.path.name)
                _move_aside(file, left)
        left.restored.prune(at_ns)
        return left

    def begin(self) -> None:
        """Begin another file. Raises OSError."""
        with self._lock:
            self._close()
            self._path = None
            if not self.directory.is_dir():
                self.directory.mkdir(mode=DIRECTORY_MODE, parents=True)
            numbers = [int(path.stem) for path in self._files()]
            path = self.directory / f"{max(numbers, default=0) + 1:012d}{SUFFIX}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
            self._descriptor = os.open(path, flags, FILE_MODE)
            self._path, self.size = path, 0

    def append(self, frame: Frame) -> None:
        """Write a frame at the end of the file. Raises OSError; begin another file then."""
        data = memoryview(framed(frame))
        with self._lock:
            if self._descriptor is None:
                raise OSError("no file of counts is open")
            while data:
                written = os.write(self._descriptor, data)
                self.size += written
                data = data[written:]

    def finish(self) -> None:
        """The file is whole: bring it to the disk and remove those before it. Raises OSError."""
        with self._lock:
            if self._descriptor is None or self._path is None:
                return
            os.fsync(self._descriptor)
            _sync_directory(self.directory)
            for path in takewhile(self._path.__ne__, self._files()):
                path.unlink()

    def sync(self) -> None:
        """Bring what was written to the disk. Raises OSError."""
        with self._lock:
            if self._descriptor is not None:
                os.fsync(self._descriptor)

    def abandon(self, *, remove: bool = False) -> None:
        """Let go of the file, for good where it is of no use."""
        with self._lock:
            self._close()
            if remove and self._path is not None:
                self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)

    def _files(self) -> list[Path]:
        if not self.directory.is_dir():
            return []
        found = self.directory.glob(f"*{SUFFIX}")
        return sorted(path for path in found if path.stem.isdecimal())


def _read(path: Path) -> _File:
    frames: list[Frame] = []
    try:
        # Not `extend`: of a damaged file the good part is kept.
        for frame in frames_in(path.read_bytes()):
            frames.append(frame)  # noqa: PERF402 (see above)
    except DamagedError as error:
        return _File(path, frames, int(error.args[0]))
    return _File(path, frames, None)


def _move_aside(file: _File, left: Left) -> None:
    aside = file.path.with_name(f"{file.path.name}.damaged")
    file.path.rename(aside)
    log.error(
        "a file of counts is damaged",
        file=aside.name,
        at_byte=file.damaged_at,
        lost=f"what was counted after position {left.position} of the audit log, "
        "unless the log itself tells",
    )


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
