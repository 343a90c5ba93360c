"""The lines of an audit log for counting: of all workers, by their times, with where they stand.

What is read is not verified: that is the work of `gauger audit verify`. Only what every line needs
is decoded; the rest of it on demand.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec

from proxy.audit.errors import AuditDamaged, AuditError
from proxy.audit.format import segments
from proxy.audit.verify import read_lines
from proxy.audit.workers import logs_in

Progress = Callable[[int, int], None]  # bytes read, bytes in all
TOLD_EVERY = 4 << 20  # bytes

DIGESTS = (
    "this log holds digests in place of its records: what a cluster obtained cannot be told from "
    "it (gauger replay --audit full writes the records)"
)


@dataclass(slots=True)
class LogRead:
    """One log, and how much of it was read."""

    directory: Path
    id: str = ""
    first_seq: int = 0
    last_seq: int = 0
    last_hash: str = ""


class _Head(msgspec.Struct, frozen=True):
    seq: int
    type: str
    hash: str
    id: str = ""
    at_ns: int = 0
    account: str | None = None
    holds: str = "records"
    digest: str | None = None


_decode_head = msgspec.json.Decoder(_Head).decode
_decode_fields = msgspec.json.Decoder(dict[str, Any]).decode


class LogLine(msgspec.Struct, frozen=True):
    """One record: its place (`log`, `seq`, `hash`), and the text that it was read from."""

    log: LogRead
    seq: int
    type: str
    id: str
    at_ns: int
    hash: str
    account: str | None
    text: bytes

    def fields(self) -> dict[str, Any]:
        """All members of the line."""
        return _decode_fields(self.text)


class Logs:
    """The logs of a directory. `read` tells of each how far it was read."""

    def __init__(self, directory: Path) -> None:
        """Raises AuditError where there is none."""
        try:
            self.read = [LogRead(log) for log in logs_in(directory)]
            self._size = sum(
                path.stat().st_size for log in self.read for path in segments(log.directory)
            )
        except OSError as error:
            raise _unreadable(directory, error) from error
        if not self._size:
            msg = f"{directory}: there is no audit log"
            raise AuditError(msg)
        self._done = self._told = 0

    def lines(self, progress: Progress) -> Iterator[LogLine]:
        """Their records, by time; AuditDamaged names file and line of one that is none."""
        of_each = [self._lines_of(log, progress) for log in self.read]
        if len(of_each) == 1:
            yield from of_each[0]
        else:
            yield from heapq.merge(*of_each, key=attrgetter("at_ns"))
        progress(self._size, self._size)

    def _lines_of(self, log: LogRead, progress: Progress) -> Iterator[LogLine]:
        try:
            for path in segments(log.directory):
                with path.open("rb") as file:
                    size = path.stat().st_size
                    for number, text in enumerate(read_lines(file, size), 1):
                        self._advance(len(text), progress)
                        if text.endswith(b"\n"):
                            yield _line(log, path, number, text)
        except OSError as error:
            raise _unreadable(log.directory, error) from error

    def _advance(self, count: int, progress: Progress) -> None:
        self._done += count
        if self._done - self._told >= TOLD_EVERY:
            self._told = self._done
            progress(self._done, max(self._size, self._done))


def _line(log: LogRead, path: Path, number: int, text: bytes) -> LogLine:
    try:
        head = _decode_head(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"{path}:{number}: not a line of an audit log ({error})"
        raise AuditDamaged(msg) from error
    if head.digest is not None or head.holds == "digests":
        msg = f"{log.directory}: {DIGESTS}"
        raise AuditError(msg)
    if head.type == "log":
        log.id = head.id
    log.first_seq = log.first_seq or head.seq
    log.last_seq, log.last_hash = head.seq, head.hash
    return LogLine(log, head.seq, head.type, head.id, head.at_ns, head.hash, head.account, text)


def _unreadable(directory: Path, error: OSError) -> AuditError:
    return AuditError(f"{directory}: the audit log cannot be read: {error.strerror}")
