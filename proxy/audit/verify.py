"""Checks a whole log: any line changed, missing, moved, inserted or repeated, and a cut tail.

The log is read once, line by line, in constant memory. One fault must not look like
thousands, so after a line that does not fit, every way in which the log could go on is kept
(this line was altered; it was inserted; lines before it are gone) and the next line that fits one
of them, by seq and by hash, settles which it was. What a fault's own line holds cannot be vouched
for, nor can the line after one that is unreadable.

A log may be verified while it is written: only what was there at the beginning is read.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from proxy.audit.errors import AuditError
from proxy.audit.format import (
    FORMAT,
    FORMAT_VERSION,
    HEAD_NAME,
    LOCK_NAME,
    MAX_LINE_BYTES,
    NO_HASH,
    Head,
    Line,
    chained,
    decode_head,
    decode_line,
    first_seq_of,
    is_segment,
    segments,
    split_line,
)
from proxy.audit.workers import is_workers

MAX_FAULTS = 1000
_MAX_WAYS = 32
_PROGRESS_BYTES = 4 << 20

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. `line` counts from 1; `seq` is the seq that was due there."""

    file: str
    line: int | None
    seq: int | None
    what: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.what}"


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was found. At most 1000 faults are listed; `fault_count` counts them all.

    `warnings` say what harms no record: an unfinished last line, as a crash leaves it, and
    files that do not belong here.
    """

    log_id: str | None
    entries: int
    segments: int
    bytes: int
    last_seq: int
    last_hash: str
    faults: tuple[Fault, ...]
    fault_count: int
    warnings: tuple[Fault, ...]

    @property
    def ok(self) -> bool:
        """Whether the log is as it was written (warnings do not count)."""
        return self.fault_count == 0


def verify(directory: Path, progress: Progress | None = None) -> VerifyReport:
    """Checks the log in a directory. `progress` is called with bytes read and bytes in all.

    Raises AuditError where there is no log, and OSError where it cannot be read.
    """
    head = _read_head(directory)  # before the segments: it never runs ahead of them
    files = [(path, path.stat().st_size) for path in segments(directory)]
    if not files:
        raise AuditError(f"{directory}: there is no audit log here (no segments)")
    total = sum(size for _, size in files)
    check = _Check(head)
    check.strangers(directory)
    done = 0
    for path, size in files:
        check.begin(path, last=path == files[-1][0])
        with path.open("rb") as file:
            for number, line in enumerate(read_lines(file, size), 1):
                check.line(number, line)
                done += len(line)
                if progress and done // _PROGRESS_BYTES != (done - len(line)) // _PROGRESS_BYTES:
                    progress(done, total)
        check.end_segment(size)
    check.end()
    if progress:
        progress(total, total)
    return check.report(len(files), total)


def read_lines(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The lines in the first `size` bytes, with their newlines; only the last may lack one.

    A line far over the longest there can be comes cut short (its rest is skipped).
    """
    position = 0
    while position < size:
        line = file.readline(min(MAX_LINE_BYTES + 1, size - position))
        if not line:
            return
        position += len(line)
        while not line.endswith(b"\n") and position < size:
            rest = file.readline(min(MAX_LINE_BYTES, size - position))
            position += len(rest)
            if not rest:
                break
            line = line[:1000] + rest[-1:]
        yield line


def _read_head(directory: Path) -> Head | None:
    try:
        return decode_head((directory / HEAD_NAME).read_bytes())
    except FileNotFoundError:
        return None


# A way the log may go on: the seq that is due, and the hash before it (None: not known).
_Way = tuple[int, bytes | None]


class _Check:
    """The state of one verification: fed lines in order, it collects faults."""

    def __init__(self, head: Head | None) -> None:
        self._head = head
        self._ways: list[_Way] = [(1, NO_HASH)]
        self._due = 1  # for messages: the seq that should come next
        self._last: tuple[int, bytes] = (0, NO_HASH)
        self._log_id: str | None = None
        self._entries = 0
        self._faults: list[Fault] = []
        self._fault_count = 0
        self._warnings: list[Fault] = []
        self._path = Path()
        self._number = 0
        self._is_last = False
        self._unfinished = False

    def strangers(self, directory: Path) -> None:
        """Files that no writer of this format leaves in a log's directory."""
        for path in sorted(directory.iterdir()):
            if path.suffix == ".torn" or path.name in {HEAD_NAME, LOCK_NAME} or is_segment(path):
                continue
            if is_workers(path):  # another log
                continue
            if path.suffix == ".jsonl":
                self._fault_in(path.name, None, None, "this is no segment of the log")
            else:
                self._warn(path.name, None, None, "this file does not belong to the log")
        if self._head is None:
            what = "missing or unreadable: whether the end of the log was cut off cannot be told"
            self._fault_in(HEAD_NAME, None, None, what)

    def begin(self, path: Path, *, last: bool) -> None:
        """A new segment follows."""
        self._path, self._number, self._is_last = path, 0, last
        self._unfinished = False

    def line(self, number: int, data: bytes) -> None:
        """One line, newline included."""
        self._number = number
        if not data.endswith(b"\n"):
            self._unfinished = True  # only the last line can be; judged at the segment's end
            return
        parts = split_line(data[:-1])
        parsed = _decode(data)
        if number == 1:
            self._check_name(parsed)
        if parts is None or parsed is None:
            self._unreadable(parts)
            return
        hashed, claim = parts
        for seq, previous in self._ways:
            if seq == parsed.seq and (previous is None or chained(previous, hashed) == claim):
                break
        else:
            self._misfit(parsed, hashed, claim)
            return
        self._entries += 1
        self._ways = [(seq + 1, claim)]
        self._due = seq + 1
        self._last = (seq, claim)
        if seq == 1:
            self._check_log_record(parsed, data)
        if self._head and seq == self._head.seq and claim != self._head.hash:
            self._fault(seq, f"the head file knows seq {seq} with another hash")

    def end_segment(self, size: int) -> None:
        """The segment is read up to `size`: is its last line finished?"""
        due = self._due
        if self._unfinished and not self._is_last:
            self._fault(due, "the last line of this segment is unfinished")
            self._spread(None, None)
        elif self._unfinished and self._path.stat().st_size == size:  # else it is being written
            what = "torn: the last line is unfinished, as a crash leaves it"
            self._warn(self._path.name, self._number, due, what)
        elif size == 0 and (not self._is_last or first_seq_of(self._path) != due):
            self._fault(due, f"the segment is empty, and seq {due} is due")

    def end(self) -> None:
        """Everything is read: does the log reach as far as the head says?"""
        head, last_seq = self._head, self._due - 1
        if head and head.seq > last_seq:
            self._number += 1
            self._fault(
                self._due,
                f"the log ends at seq {last_seq}, but was durable up to seq {head.seq}: "
                f"{head.seq - last_seq} record(s) were cut off its end",
            )

    def report(self, segment_count: int, byte_count: int) -> VerifyReport:
        """The result."""
        seq, last_hash = self._last
        return VerifyReport(
            log_id=self._log_id,
            entries=self._entries,
            segments=segment_count,
            bytes=byte_count,
            last_seq=seq,
            last_hash=last_hash.decode("ascii", "replace"),
            faults=tuple(self._faults),
            fault_count=self._fault_count,
            warnings=tuple(self._warnings),
        )

    def _check_name(self, parsed: Line | None) -> None:
        named = first_seq_of(self._path)
        if parsed and named not in {parsed.seq, self._due}:
            self._fault(self._due, f"named for seq {named}, but begins with seq {parsed.seq}")

    def _check_log_record(self, parsed: Line, data: bytes) -> None:
        fields = msgspec.json.decode(data, type=dict[str, object])
        known = (FORMAT, FORMAT_VERSION)
        if parsed.type != "log" or (fields.get("format"), fields.get("version")) != known:
            what = f"the first record is no log record of {FORMAT} version {FORMAT_VERSION}"
            self._fault(1, what)
        self._log_id = str(fields.get("id", "")) or None

    def _unreadable(self, parts: tuple[bytes, bytes] | None) -> None:
        self._fault(
            self._due,
            f"not a line of this log; seq {self._due} is due: it was altered, or this was inserted",
        )
        self._spread(*(parts or (None, None)))
        self._due += 1

    def _misfit(self, parsed: Line, hashed: bytes, claim: bytes) -> None:
        seq, due = parsed.seq, self._due
        if seq == due:
            what = f"seq {seq} was altered (or the record before it replaced): its hash is wrong"
        elif seq > due:
            what = (
                f"seq {seq} where {due} is due: {seq - due} record(s) are missing here, "
                "or this line was moved, inserted or altered"
            )
        else:
            what = f"seq {seq} where {due} is due: this line was repeated, moved or altered"
        self._fault(due, what)
        self._spread(hashed, claim)
        self._ways.insert(0, (seq + 1, claim))
        self._due = seq + 1 if seq >= due else due

    def _spread(self, hashed: bytes | None, claim: bytes | None) -> None:
        """After a line that fits nowhere: it stood in for one that was due, or for none."""
        ways: list[_Way] = []
        for seq, previous in self._ways:
            ways.append((seq + 1, claim))
            if hashed is not None and previous is not None:
                ways.append((seq + 1, chained(previous, hashed)))
        self._ways = list(dict.fromkeys(ways + self._ways))[:_MAX_WAYS]

    def _fault(self, seq: int | None, what: str) -> None:
        self._fault_in(self._path.name, self._number, seq, what)

    def _fault_in(self, file: str, line: int | None, seq: int | None, what: str) -> None:
        self._fault_count += 1
        if len(self._faults) < MAX_FAULTS:
            self._faults.append(Fault(file, line, seq, what))

    def _warn(self, file: str, line: int | None, seq: int | None, what: str) -> None:
        if len(self._warnings) < MAX_FAULTS:
            self._warnings.append(Fault(file, line, seq, what))


def _decode(data: bytes) -> Line | None:
    try:
        return decode_line(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
