r"""The audit log on disk: what a line, a segment and the head are.

A log is a directory of *segments*: files named ``%020d.jsonl`` after the first ``seq`` in them.
Each line of a segment is one JSON object in UTF-8, ended by ``\n``, whose members come in this
order:

========= ======================================================================================
``seq``   1, 2, 3 … without a gap over all segments
``type``  ``decision``, ``completion``, ``admin``; the log's own: ``log`` (always seq 1),
          ``start``, ``stop``, ``recovered``
``id``    the exchange id; for ``log`` the id of the log, for its other own records that of the run
``at_ns`` Unix time in nanoseconds
…         the members of that type of record
``hash``  64 lower-case hex digits, always last
========= ======================================================================================

A line is therefore *head* + ``,"hash":"`` + 64 hex digits + ``"}`` and the hash is::

    SHA-256( the 64 ASCII hex digits of the previous line's hash  +  head )

with 64 zeros as the previous hash of the first line. Nothing else is hashed: no file name, no
newline; so a log can be cut into other segments without touching its chain.

A log of *digests* (its ``log`` record has ``"holds":"digests"``) keeps, in place of a record's
members, ``digest``: the SHA-256 of what a full log would have had as *head*. ``id`` and ``at_ns``
are left out as well; the log's own records are kept whole.

The file ``head`` holds two slots of 256 bytes, written in turn after each group was synced:
``{"seq":…,"hash":"…","segment":"…","crc":"…"}`` padded with blanks and ended by ``\n``; ``crc``
is the CRC-32 (8 hex digits) of ``seq hash segment`` joined by blanks. The valid slot with the
higher seq counts, so that a torn write of one slot loses nothing. ``lock`` is held by the one
writer; ``*.torn`` files are unfinished ends that were cut off after a crash.
"""

import re
import zlib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec

from proxy.audit.errors import BadRecord
from proxy.model.record import Json, Record

FORMAT = "gauger-audit"
FORMAT_VERSION = 1
MAX_LINE_BYTES = 1 << 20
NO_HASH = b"0" * 64
OWN_TYPES = frozenset({"log", "start", "stop", "recovered"})
RESERVED = frozenset({"seq", "type", "id", "at_ns", "hash", "digest"})

MARK = b',"hash":"'
TAIL_BYTES = len(MARK) + 64 + 2  # what follows the hashed part of a line, without its newline

_encode = msgspec.json.Encoder().encode


class Line(msgspec.Struct, frozen=True):
    """What every line has, checked while it is decoded; other members are skipped."""

    seq: int
    type: str
    hash: str


decode_line = msgspec.json.Decoder(Line).decode


def chained(previous: bytes, head: bytes) -> bytes:
    """The hash (64 ASCII hex digits) of a line, from the previous line's and its own head."""
    return sha256(previous + head).hexdigest().encode()


def split_line(line: bytes) -> tuple[bytes, bytes] | None:
    """A line (without newline) as its hashed head and the hash it claims; None if misshapen."""
    if line[-TAIL_BYTES:-66] != MARK or line[-2:] != b'"}':
        return None
    return line[:-TAIL_BYTES], line[-66:-2]


class Chain:
    """Turns records into lines. `seq` and `hash` are those of the last line made."""

    __slots__ = ("digests", "hash", "seq")

    def __init__(self, seq: int = 0, last_hash: bytes = NO_HASH, *, digests: bool = False) -> None:
        self.seq = seq
        self.hash = last_hash
        self.digests = digests

    def line(self, record: Record) -> bytes:
        """The next line, newline included. Raises BadRecord and then stays where it was."""
        fields = record.fields
        if not RESERVED.isdisjoint(fields):
            names = ", ".join(sorted(RESERVED.intersection(fields)))
            raise BadRecord(f"record {record.exchange}: the names {names} belong to the log itself")
        seq = self.seq + 1
        head = _head(seq, record)
        if self.digests and record.type not in OWN_TYPES:
            digest = sha256(head).hexdigest()
            head = _encode({"seq": seq, "type": record.type, "digest": digest})[:-1]
        last_hash = chained(self.hash, head)
        line = b'%b,"hash":"%b"}\n' % (head, last_hash)
        if len(line) > MAX_LINE_BYTES:
            raise BadRecord(
                f"record {record.exchange}: {len(line)} bytes, and a line may have {MAX_LINE_BYTES}"
            )
        self.seq, self.hash = seq, last_hash
        return line


def _head(seq: int, record: Record) -> bytes:
    try:
        return _encode(
            {
                "seq": seq,
                "type": record.type,
                "id": record.exchange,
                "at_ns": record.at_ns,
                **record.fields,
            }
        )[:-1]
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise BadRecord(f"record {record.exchange} is not JSON: {error}") from error


def log_record(log_id: str, at_ns: int, *, digests: bool) -> Record:
    """The first record of a log."""
    fields: dict[str, Json] = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "holds": "digests" if digests else "records",
    }
    return Record("log", log_id, at_ns, fields)


# Segments

_SEGMENT_NAME = re.compile(r"[0-9]{20}\.jsonl")


def segment_name(first_seq: int) -> str:
    """The file name of the segment that begins with this seq."""
    return f"{first_seq:020d}.jsonl"


def first_seq_of(path: Path) -> int:
    """The seq a segment's name says it begins with."""
    return int(path.stem)


def is_segment(path: Path) -> bool:
    """Whether a path has the name of a segment."""
    return _SEGMENT_NAME.fullmatch(path.name) is not None


def segments(directory: Path) -> list[Path]:
    """The segments of a log in their order. Raises OSError."""
    return sorted(path for path in directory.iterdir() if is_segment(path))


# The head

HEAD_NAME = "head"
LOCK_NAME = "lock"
SLOT_BYTES = 256


class _Slot(msgspec.Struct, frozen=True):
    seq: int
    hash: str
    segment: str
    crc: str


@dataclass(frozen=True, slots=True)
class Head:
    """How far the log was durable: its last seq, that line's hash, and its segment's name."""

    seq: int
    hash: bytes
    segment: str


def encode_head(head: Head) -> bytes:
    """One slot of the head file."""
    crc = _crc(head.seq, head.hash.decode(), head.segment)
    slot = _encode(_Slot(head.seq, head.hash.decode(), head.segment, crc))
    return slot.ljust(SLOT_BYTES - 1) + b"\n"


def decode_head(data: bytes) -> Head | None:
    """The newest valid slot of a head file, or None where no slot is whole."""
    slots = (_decode_slot(data[:SLOT_BYTES]), _decode_slot(data[SLOT_BYTES : 2 * SLOT_BYTES]))
    return max((slot for slot in slots if slot), key=lambda head: head.seq, default=None)


def _decode_slot(data: bytes) -> Head | None:
    try:
        slot = msgspec.json.decode(data, type=_Slot)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if slot.crc != _crc(slot.seq, slot.hash, slot.segment):
        return None
    return Head(slot.seq, slot.hash.encode(), slot.segment)


def _crc(seq: int, last_hash: str, segment: str) -> str:
    return f"{zlib.crc32(f'{seq} {last_hash} {segment}'.encode()):08x}"
