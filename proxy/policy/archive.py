"""Policy sets that were in force, kept by digest: what a record names can be read years later.

`DIRECTORY/<64 hex digits>/` holds the files of a set as they were. A set is written aside and
renamed, so that it is whole or not there.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

Texts = Sequence[tuple[str, bytes]]


class Archive:
    """The archive in a directory. OSError where it cannot be written."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def keep(self, digest: str, texts: Texts) -> None:
        """Keep the files of a set that is taken up now, if they are not kept already."""
        place = self._place(digest)
        if not place.is_dir():
            self._write(place, texts)

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
        aside.rename(place)


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
