"""Recordings on disk: JSON Lines in .zst, .gz or plain, in files of bounded size.

Files are new, and readable by their owner alone: they say who asked what when. The second file of
`traffic.jsonl.zst` is `traffic.2.jsonl.zst`; each is a recording by itself, and one after the other
(`cat`) they are one.
"""

import gzip
import os
from pathlib import Path
from typing import IO, Self, cast

import zstandard

from proxy.replay.traffic import TrafficError

SUFFIXES = (".jsonl", ".jsonl.zst", ".jsonl.gz")


class RecordingFiles:
    """Writes lines. `rotate_bytes` bounds a file, `limit_bytes` all of them, as they are on disk.

    Raises TrafficError where a file cannot be made or written.
    """

    def __init__(self, path: Path, *, rotate_bytes: int | None, limit_bytes: int) -> None:
        if not path.name.endswith(SUFFIXES):
            msg = f"{path}: name the recording .jsonl.zst, .jsonl.gz or .jsonl"
            raise TrafficError(msg)
        self.paths: list[Path] = []
        self._path = path
        self._rotate_bytes = rotate_bytes
        self._limit_bytes = limit_bytes
        self._before = 0  # bytes of the files that are closed
        self._raw: IO[bytes] | None = None
        self._packed: IO[bytes] | None = None
        self._open()

    @property
    def size(self) -> int:
        """Bytes on disk, as far as they have left the packer."""
        return self._before + (self._raw.tell() if self._raw and not self._raw.closed else 0)

    @property
    def full(self) -> bool:
        """Whether the limit is reached."""
        return self.size >= self._limit_bytes

    def write(self, line: bytes) -> None:
        """Write a line."""
        assert self._packed is not None
        assert self._raw is not None
        try:
            self._packed.write(line + b"\n")
            if self._rotate_bytes is not None and self._raw.tell() >= self._rotate_bytes:
                self._close()
                self._open()
        except OSError as error:
            raise self._unwritable(error) from error

    def flush(self) -> None:
        """Bring what was written to the file, so that little is lost in a crash."""
        assert self._packed is not None
        assert self._raw is not None
        try:
            self._packed.flush()
            self._raw.flush()
        except OSError as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        """Close the last file."""
        try:
            self._close()
        except OSError as error:
            raise self._unwritable(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        path = self._path if not self.paths else self._numbered(len(self.paths) + 1)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            msg = f"{path}: is there already; nothing is overwritten (name a new file with --out)"
            raise TrafficError(msg) from error
        except OSError as error:
            msg = f"{path}: cannot be made: {error.strerror}"
            raise TrafficError(msg) from error
        self.paths.append(path)
        self._raw = os.fdopen(descriptor, "wb")
        self._packed = self._packer(self._raw)

    def _packer(self, raw: IO[bytes]) -> IO[bytes]:
        if self._path.name.endswith(".zst"):
            writer = zstandard.ZstdCompressor(level=3).stream_writer(raw, closefd=False)
            return cast("IO[bytes]", writer)
        if self._path.name.endswith(".gz"):
            return cast("IO[bytes]", gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0))
        return raw

    def _close(self) -> None:
        if self._raw is None or self._packed is None or self._raw.closed:
            return
        if self._packed is not self._raw:
            self._packed.close()
        self._raw.flush()
        self._before += self._raw.tell()
        self._raw.close()

    def _numbered(self, number: int) -> Path:
        suffix = next(s for s in reversed(SUFFIXES) if self._path.name.endswith(s))
        return self._path.with_name(f"{self._path.name.removesuffix(suffix)}.{number}{suffix}")

    def _unwritable(self, error: OSError) -> TrafficError:
        return TrafficError(f"{self.paths[-1]}: cannot be written: {error.strerror}")
