"""Policy sets that were in force, kept by digest: what a record names can be read years later.

`DIRECTORY/<64 hex digits>/` holds the files of a set as they were; `DIRECTORY/current.json` says
which of them came into force last. Both are written aside, synced and renamed, so that they are
whole or not there, after a power cut too. Several processes may keep the same set at once.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec

from proxy.policy.alone import alone
from proxy.policy.load import digest_of

Texts = Sequence[tuple[str, bytes]]
POINTER = "current.json"


class Current(msgspec.Struct, frozen=True):
    """The set that came into force last: its digest, whose change it was, when (Unix ns).

    `mark` is that of the `.committer` beside it; `directory` and `files` are what it was read from.
    """

    digest: str
    committer: str
    since_ns: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    mark: str = ""
    directory: str = ""
    files: tuple[str, ...] = ()


class Archive:
    """The archive in a directory. OSError where it cannot be written or read."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def keep(self, digest: str, texts: Texts) -> None:
        """Keep the files of a set that is taken up now, if they are not kept already, unharmed."""
        place = self._place(digest)
        with self._alone():
            if place.is_dir():
                if digest_of(_texts(place)) == digest:
                    return
                shutil.rmtree(place)
            self._write(place, texts)

    def read(self, digest: str) -> Texts:
        """The files of a set. ValueError where they are no longer what the digest names."""
        texts = _texts(self._place(digest))
        if (found := digest_of(texts)) != digest:
            msg = f"the archived files of {digest} were changed: they are {found} now"
            raise ValueError(msg)
        return texts

    def point_at(self, current: Current) -> None:
        """Note which set is in force now."""
        with self._alone():
            write_whole(self._directory / POINTER, msgspec.json.encode(current) + b"\n")

    def current(self) -> Current | None:
        """The set that came into force last; None where none ever did. ValueError for damage."""
        path = self._directory / POINTER
        try:
            current = msgspec.json.decode(path.read_bytes(), type=Current)
            self._place(current.digest)
        except FileNotFoundError:
            return None
        except ValueError as error:  # also msgspec's own
            msg = f"{path}: cannot be read ({error})"
            raise ValueError(msg) from error
        return current

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._directory.exists():
            self._directory.mkdir(parents=True, exist_ok=True)
        with alone(self._directory):
            yield

    def _place(self, digest: str) -> Path:
        name = digest.removeprefix("sha256:")
        if len(name) != 64 or not all(c in "0123456789abcdef" for c in name):
            msg = f"not a digest: {digest}"
            raise ValueError(msg)
        return self._directory / name

    def _write(self, place: Path, texts: Texts) -> None:
        aside = place.with_suffix(".new")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        for name, text in texts:
            _write_synced(aside / Path(name).name, text)
        _sync_directory(aside)
        aside.rename(place)
        _sync_directory(self._directory)


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file so that a crash leaves either the old one or the new one, whole.

    One writer at a time: who shares the file holds `alone`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".new")
    _write_synced(aside, data)
    aside.rename(path)
    _sync_directory(path.parent)


def _texts(place: Path) -> Texts:
    return [(str(file), file.read_bytes()) for file in sorted(place.iterdir())]


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    """Make a rename in a directory last."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
