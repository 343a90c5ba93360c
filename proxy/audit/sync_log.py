"""The same log for programs without an event loop and with a clock of their own (replay).

Nothing here reads a clock or a source of randomness: the same records in the same calls give
the same bytes.
"""

from pathlib import Path
from types import TracebackType
from typing import Self

from proxy.audit.disk import Disk
from proxy.audit.errors import AuditInUse, AuditUnavailable, cannot_write
from proxy.audit.format import Chain, segments
from proxy.audit.log import SEGMENT_BYTES, opening_records
from proxy.audit.segments import SegmentWriter
from proxy.model.record import Record

_BUFFER_BYTES = 1 << 20


class SyncAuditLog:
    """A new log, written on the caller's thread and durable after `flush` or `close`."""

    def __init__(self, writer: SegmentWriter, chain: Chain, run: str) -> None:
        """Use `SyncAuditLog.create`."""
        self._writer = writer
        self._chain = chain
        self._run = run
        self._at_ns = 0
        self._lines: list[bytes] = []
        self._buffered_bytes = 0
        self._closed = False

    @classmethod
    def create(
        cls,
        directory: Path,
        *,
        log_id: str,
        at_ns: int,
        digests: bool = False,
        segment_bytes: int = SEGMENT_BYTES,
        disk: Disk | None = None,
    ) -> Self:
        """Begins a log in a directory that has none yet.

        `at_ns` (Unix ns) is the time of its first records; `log_id` also names the run. With
        `digests` it keeps a digest in place of each record's members. Raises AuditInUse where
        there already is a log, and AuditUnavailable where none can be written.
        """
        try:
            if directory.is_dir() and segments(directory):
                raise AuditInUse(f"{directory}: there is an audit log already; name another one")
            writer = SegmentWriter(directory, segment_bytes=segment_bytes, durable=False, disk=disk)
        except OSError as error:
            raise cannot_write(directory, error) from error
        log = cls(writer, Chain(digests=digests), log_id)
        for record in opening_records(writer, log_id, at_ns, log_id=log_id, digests=digests):
            log.append(record)
        return log

    def append(self, record: Record) -> int:
        """Puts a record at the end and returns its position (its seq).

        Raises BadRecord for what is no record, and AuditUnavailable when the disk refuses.
        """
        if self._closed:
            raise AuditUnavailable("the audit log is closed")
        line = self._chain.line(record)
        self._at_ns = max(self._at_ns, record.at_ns)
        self._lines.append(line)
        self._buffered_bytes += len(line)
        if self._buffered_bytes >= _BUFFER_BYTES:
            self._write()
        return self._chain.seq

    def flush(self) -> None:
        """Returns when every record is on the disk. Raises AuditUnavailable."""
        self._write()
        try:
            self._writer.sync()
            self._writer.write_head()
        except OSError as error:
            raise self._give_up(error) from error

    def close(self) -> None:
        """Ends the log with a `stop` record. Raises AuditUnavailable."""
        if self._closed:
            return
        self.append(Record("stop", self._run, self._at_ns))
        self.flush()
        self._closed = True
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self) -> None:
        if not self._lines:
            return
        try:
            self._writer.write(self._lines, self._chain.seq)
        except OSError as error:
            raise self._give_up(error) from error
        self._lines, self._buffered_bytes = [], 0

    def _give_up(self, error: OSError) -> AuditUnavailable:
        """What follows a failed sync cannot be trusted: this log takes no more records."""
        self._closed = True
        self._writer.close()
        return cannot_write(self._writer.directory, error)
