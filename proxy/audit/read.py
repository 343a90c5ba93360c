"""Reads the records of a log. What it reads is not verified: that is `verify`'s work."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from proxy.audit.errors import AuditDamaged
from proxy.audit.format import first_seq_of, segments
from proxy.audit.verify import read_lines
from proxy.model.record import Json


@dataclass(frozen=True, slots=True)
class Entry:
    """One record as the log holds it. `fields` are the members of its type."""

    seq: int
    type: str
    id: str
    at_ns: int
    fields: dict[str, Json]
    hash: str


def entries(
    directory: Path,
    *,
    exchange: str | None = None,
    types: Collection[str] | None = None,
    after: int = 0,
) -> Iterator[Entry]:
    """The log's records in order: those of one exchange, of some types, after a position.

    An unfinished last line is left out, so a log can be read while it is written. Raises
    AuditDamaged (with file and line) for a line that cannot be read, and OSError.
    """
    mark = msgspec.json.encode(exchange) if exchange is not None else b""
    files = segments(directory)
    for path, following in zip(files, [*files[1:], None], strict=True):
        if following is not None and first_seq_of(following) <= after + 1:
            continue
        for entry in _entries_in(path, mark, after):
            if (
                entry.seq > after
                and (exchange is None or entry.id == exchange)
                and (types is None or entry.type in types)
            ):
                yield entry


class _Own(msgspec.Struct, frozen=True):
    seq: int
    type: str
    hash: str
    id: str = ""
    at_ns: int = 0


_OWN_NAMES = ("seq", "type", "hash", "id", "at_ns")
_decode_own = msgspec.json.Decoder(_Own).decode
_decode_fields = msgspec.json.Decoder(dict[str, Any]).decode


def _entries_in(path: Path, mark: bytes, after: int) -> Iterator[Entry]:
    with path.open("rb") as file:
        first = first_seq_of(path)
        for number, line in enumerate(read_lines(file, path.stat().st_size), 1):
            # Seqs go by lines; what is not to be read is not decoded.
            if first + number - 1 > after and mark in line and line.endswith(b"\n"):
                yield _entry(path, number, line)


def _entry(path: Path, number: int, line: bytes) -> Entry:
    try:
        own = _decode_own(line)
        fields = _decode_fields(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AuditDamaged(f"{path}:{number}: not a line of an audit log ({error})") from error
    for name in _OWN_NAMES:
        fields.pop(name, None)
    return Entry(own.seq, own.type, own.id, own.at_ns, fields, own.hash)
