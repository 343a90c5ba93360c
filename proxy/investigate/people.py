"""Whom the records of an audit log are about: the pseudonyms of a directory's accounts."""

from pathlib import Path

import msgspec

from proxy.facts.account_file import UNREADABLE, numbered_lines
from proxy.facts.directory import DirectoryError
from proxy.facts.pseudonyms import Pseudonyms


class _Named(msgspec.Struct, frozen=True):
    account: str


_decode = msgspec.json.Decoder(_Named).decode


def names_in(path: Path) -> frozenset[str]:
    """The ids of all accounts; a line that is not in order is nobody's. Raises DirectoryError."""
    names = set()
    try:
        with path.open("rb") as file:
            for _, line in numbered_lines(file, path):
                try:
                    names.add(_decode(line).account)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue
    except UNREADABLE as error:
        msg = f"{path}: cannot be read: {error}"
        raise DirectoryError(msg) from error
    return frozenset(names)


def everybody(path: Path | None, pseudonyms: Pseudonyms) -> frozenset[str] | None:
    """The pseudonyms of all accounts; None without a directory."""
    if path is None:
        return None
    return frozenset(pseudonyms.of("account", name) for name in names_in(path))
