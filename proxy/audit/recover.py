"""Where a log ends, found from the tail of its last segment alone.

After kill -9 or a power cut the last line may be unfinished: it is cut off and kept beside the
segment. Anything else that is not as it was left is damage, and nothing is appended to it.
"""

import hashlib
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from proxy.audit.disk import FILE_MODE, Disk
from proxy.audit.errors import AuditDamaged
from proxy.audit.format import (
    HEAD_NAME,
    NO_HASH,
    Head,
    Line,
    chained,
    decode_head,
    decode_line,
    first_seq_of,
    segments,
    split_line,
)

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Torn:
    """An unfinished end: `size` bytes from `offset` on in `segment`."""

    segment: Path
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class End:
    """Where to append: the last good record, and the segment and offset after it.

    `segment` is None in a new log. `size` is the good part of the segment in bytes.
    """

    seq: int
    hash: bytes
    segment: Path | None
    size: int
    torn: Torn | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    path: Path
    offset: int
    data: bytes

    @property
    def end(self) -> int:
        return self.offset + len(self.data)


def find_end(directory: Path) -> End:
    """The end of the log in a directory, without changing it. Raises AuditDamaged, OSError."""
    files = segments(directory)
    head = _read_head(directory, required=bool(files))
    lines = _backwards(files)
    last = next(lines, None)
    unfinished = None
    if last is not None and _parse(last) is None:
        unfinished, last = last, next(lines, None)
    seq, last_hash = _checked(last, next(lines, None)) if last else (0, NO_HASH)
    _check_against_head(directory, seq, last_hash, head, unfinished)
    if not files:
        return End(seq, last_hash, None, 0)
    begun = last is not None and last.path == files[-1]
    if not begun and first_seq_of(files[-1]) != seq + 1:
        raise _damaged(files[-1], 1, f"the segment should begin with seq {seq + 1}")
    torn = Torn(unfinished.path, unfinished.offset, len(unfinished.data)) if unfinished else None
    return End(seq, last_hash, files[-1], last.end if last and begun else 0, torn)


def cut(torn: Torn, disk: Disk) -> Path:
    """Moves an unfinished end into a `.torn` file of its own, and returns its path."""
    with torn.segment.open("rb") as file:
        file.seek(torn.offset)
        data = file.read(torn.size)
    kept = _keep(torn, data, disk)
    descriptor = disk.reopen(torn.segment, durable=False)
    try:
        disk.truncate(descriptor, torn.offset)
        disk.sync(descriptor)
    finally:
        disk.close(descriptor)
    return kept


def _keep(torn: Torn, data: bytes, disk: Disk) -> Path:
    """Writes the file; named by what is in it, so that a repeated recovery makes no second."""
    digest = hashlib.sha256(data).hexdigest()[:12]
    path = torn.segment.with_name(f"{torn.segment.name}.{torn.offset}-{digest}.torn")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, FILE_MODE)
    try:
        disk.write(descriptor, data, 0)
        disk.sync(descriptor)
    finally:
        disk.close(descriptor)
    disk.sync_directory(path.parent)
    return path


def _backwards(files: list[Path]) -> Iterator[_Found]:
    """Lines from the log's last to its first, newline included where there is one."""
    for path in reversed(files):
        if path.stat().st_size:
            yield from _backwards_in(path)


def _backwards_in(path: Path) -> Iterator[_Found]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end = len(data)
        while end:
            start = data.rfind(b"\n", 0, end - 1) + 1
            yield _Found(path, start, data[start:end])
            end = start


def _parse(found: _Found) -> Line | None:
    """The line, or None where it is unfinished or no line at all."""
    if not found.data.endswith(b"\n") or split_line(found.data[:-1]) is None:
        return None
    try:
        return decode_line(found.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _checked(last: _Found, before: _Found | None) -> tuple[int, bytes]:
    """Seq and hash of the last record, which must fit the one before it."""
    line = _parse(last)
    previous = _parse(before) if before else None
    if line is None:
        raise _damaged_at(last, "this line cannot be read")
    if before and previous is None:
        raise _damaged_at(before, "this line cannot be read")
    if line.seq != (previous.seq + 1 if previous else 1):
        raise _damaged_at(last, f"seq {line.seq} does not follow the record before it")
    head = last.data[:-1]
    hashed, claim = split_line(head) or (head, b"")
    if chained(previous.hash.encode() if previous else NO_HASH, hashed) != claim:
        raise _damaged_at(last, f"the hash of seq {line.seq} does not fit its line")
    return line.seq, claim


def _read_head(directory: Path, *, required: bool) -> Head | None:
    path = directory / HEAD_NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        if required:
            raise _damaged(path, None, "the file is missing, though there are segments") from None
        return None
    head = decode_head(data)
    if head is None and required:
        raise _damaged(path, None, "neither slot of the file can be read")
    return head


def _check_against_head(
    directory: Path, seq: int, last_hash: bytes, head: Head | None, unfinished: _Found | None
) -> None:
    if head is None or head.seq < seq:
        return
    if head.seq > seq and unfinished:
        raise _damaged_at(unfinished, f"this line was seq {seq + 1} and is no longer whole")
    if head.seq > seq:
        raise _damaged(
            directory / HEAD_NAME,
            None,
            f"records were durable up to seq {head.seq}, but the log ends at seq {seq}: "
            f"{head.seq - seq} are missing at its end",
        )
    if head.hash != last_hash:
        raise _damaged(directory / HEAD_NAME, None, f"it knows seq {seq} with another hash")


def _damaged_at(found: _Found, what: str) -> AuditDamaged:
    with (
        found.path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        starts = range(0, found.offset, _BLOCK_BYTES)
        before = sum(data[at : min(at + _BLOCK_BYTES, found.offset)].count(b"\n") for at in starts)
    return _damaged(found.path, before + 1, what)


def _damaged(path: Path, line: int | None, what: str) -> AuditDamaged:
    place = f"{path}:{line}" if line else str(path)
    return AuditDamaged(
        f"{place}: {what}. The audit log was changed after it was written, and nothing is "
        f"appended to it. Find out more with `gauger audit verify {path.parent}`; to start "
        "a new log, move that directory aside (keep it)."
    )
