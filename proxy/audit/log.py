"""The audit log that the gateway writes while it serves.

`append` makes the line (JSON and hash: about 3 µs) on the event loop's thread, so that a record
that cannot be written is its caller's error, and the order of the chain is the order of the
calls. One thread takes what has gathered, writes and syncs it as one group, and wakes those who
wait. Where nobody waits it takes its time, so that records nobody asks for do not wake it one by
one. While the disk refuses, records queue in memory, up to a bound, and are tried again.
"""

import asyncio
import contextlib
import heapq
import itertools
import queue
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import proxy
from proxy.audit.disk import Disk
from proxy.audit.errors import AuditUnavailable, cannot_write
from proxy.audit.format import Chain, log_record
from proxy.audit.segments import SegmentWriter
from proxy.model.record import Json, Record

SEGMENT_BYTES = 256 << 20
MAX_GROUP_RECORDS = 4096
LAZY_S = 0.02  # records that nobody waits for are written so late at the most
_CLOSE = b""  # in the queue after the last line


def opening_records(
    writer: SegmentWriter, run: str, at_ns: int, *, log_id: str | None = None, digests: bool = False
) -> list[Record]:
    """What a log says about itself when a process opens it: `log`, `recovered`, `start`."""
    records = []
    if writer.end.seq == 0:
        records.append(log_record(log_id or secrets.token_hex(16), at_ns, digests=digests))
    torn, kept = writer.end.torn, writer.torn_kept
    if torn and kept:
        fields: dict[str, Json] = {
            "segment": torn.segment.name,
            "torn_bytes": torn.size,
            "kept_as": kept.name,
        }
        records.append(Record("recovered", run, at_ns, fields))
    records.append(Record("start", run, at_ns, {"gauger": proxy.__version__}))
    return records


class AuditLog:
    """An open log. One event loop appends and waits; a thread of its own writes.

    `failed` is why the log cannot be written now (callers refuse new work), or None; it clears
    by itself once the disk takes everything that is queued. `durable_position` is the last seq on
    the disk, `lag` the number of records appended and not yet there.
    """

    def __init__(
        self,
        writer: SegmentWriter,
        *,
        group_ms: float,
        max_queued: int,
        retry_s: float,
        clock: Callable[[], int],
    ) -> None:
        """Use `AuditLog.open`."""
        self.failed: AuditUnavailable | None = None
        self._writer = writer
        self._chain = Chain(writer.end.seq, writer.end.hash)
        self._durable = writer.end.seq
        self._group_s = group_ms / 1000
        self._max_queued = max_queued
        self._retry_s = retry_s
        self._clock = clock
        self._run = secrets.token_hex(8)
        self._queue: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._next_group_s = 0.0
        self._closing = threading.Event()
        self._wanted = threading.Event()  # somebody waits for a record, or will
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._thread = threading.Thread(target=self._run_thread, name="audit", daemon=True)

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        group_ms: float = 2.0,
        max_queued: int = 50_000,
        retry_s: float = 1.0,
        clock: Callable[[], int] = time.time_ns,
        disk: Disk | None = None,
    ) -> Self:
        """Opens the log in a directory, new or not, and starts its writer. Blocks for some ms.

        A record that somebody waits for is synced at once; under load a group begins at most
        every `group_ms`. `max_queued` bounds the records held in memory while the disk is slow or
        refuses. Raises AuditInUse, AuditDamaged, and AuditUnavailable for a
        directory that cannot be written.
        """
        try:
            writer = SegmentWriter(directory, segment_bytes=segment_bytes, durable=True, disk=disk)
        except OSError as error:
            raise cannot_write(directory, error) from error
        log = cls(writer, group_ms=group_ms, max_queued=max_queued, retry_s=retry_s, clock=clock)
        try:
            log._write_opening()
        except OSError as error:
            writer.close()
            raise cannot_write(directory, error) from error
        log._thread.start()
        return log

    @property
    def durable_position(self) -> int:
        """The last seq that is on the disk."""
        return self._durable

    @property
    def position(self) -> int:
        """The last seq that was appended."""
        return self._chain.seq

    @property
    def lag(self) -> int:
        """How many records were appended and are not yet on the disk."""
        return self._chain.seq - self._durable

    def append(self, record: Record, *, wanted: bool = False) -> int:
        """Puts a record at the end of the log and returns its position (its seq); never blocks.

        `wanted` says that somebody will wait for it: its writing begins at once, while the
        caller does something else.
        Raises BadRecord for what is no record, and AuditUnavailable when the queue is full or
        the log closed; the log is unchanged then. Call it from one thread only.
        """
        if self._closing.is_set():
            raise AuditUnavailable("the audit log is closed")
        if self._chain.seq - self._durable >= self._max_queued:
            raise AuditUnavailable(
                f"{self._max_queued} audit records wait for the disk: {self.failed or 'it is slow'}"
            )
        self._queue.put(self._chain.line(record))
        if wanted and not self._wanted.is_set():
            self._wanted.set()
        return self._chain.seq

    async def wait_durable(self, position: int) -> None:
        """Returns once the record at a position is on the disk.

        Raises AuditUnavailable when the disk refuses: the record stays queued and may still
        be written later.
        """
        if position <= self._durable:
            return
        if position > self._chain.seq:
            raise ValueError(f"no record has position {position} yet")
        self._loop = asyncio.get_running_loop()
        future = self._loop.create_future()
        heapq.heappush(self._waiters, (position, next(self._order), future))
        # Only now look (again): the thread publishes first and looks for waiters second.
        if position <= self._durable:
            return
        if self.failed:
            raise AuditUnavailable(str(self.failed))
        if not self._wanted.is_set():
            self._wanted.set()
        await future

    def close(self, timeout_s: float = 10.0) -> None:
        """Writes what is queued and a `stop` record, and closes the log. Blocks meanwhile.

        Raises AuditUnavailable when the disk did not take everything in time.
        """
        if self._closing.is_set():
            return
        self._queue.put(self._chain.line(Record("stop", self._run, self._clock())))
        self._queue.put(_CLOSE)
        self._closing.set()
        self._wanted.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise AuditUnavailable(f"the disk is stuck: {self.lag} audit records may be lost")
        if self.lag:
            raise AuditUnavailable(f"{self.lag} audit records are lost: {self.failed}")

    def _write_opening(self) -> None:
        opening = opening_records(self._writer, self._run, self._clock())
        lines = [self._chain.line(record) for record in opening]
        self._writer.write(lines, self._chain.seq)
        self._writer.write_head()
        self._durable = self._chain.seq

    # On the writer's thread

    def _run_thread(self) -> None:
        try:
            self._write_groups()
        except Exception as error:  # the boundary: a defect here must stop service, not hang it
            self._fail(AuditUnavailable(f"the audit log's writer stopped: {error!r}; restart"))
            raise
        finally:
            self._writer.close()

    def _write_groups(self) -> None:
        going = True
        while going:
            group = self._gather()
            if group[-1] == _CLOSE:
                group.pop()
                going = False
            if group and not self._commit_at_last(group):
                break

    def _gather(self) -> list[bytes]:
        """Waits for a line, then until it is wanted; takes all lines there are by then."""
        group = [self._queue.get()]
        self._wanted.wait(LAZY_S)
        self._wanted.clear()
        pause_s = self._next_group_s - time.monotonic()
        if pause_s > 0:
            time.sleep(pause_s)
        self._next_group_s = time.monotonic() + self._group_s
        more = min(self._queue.qsize(), MAX_GROUP_RECORDS)
        group.extend(self._queue.get() for _ in range(more))
        return group

    def _commit_at_last(self, group: list[bytes]) -> bool:
        """Writes a group however often it takes; gives up (False) only when the log closes."""
        last_seq = self._durable + len(group)
        last_try = False
        while not self._commit(group, last_seq):
            if last_try:
                return False
            last_try = self._closing.wait(self._retry_s)
        return True

    def _commit(self, group: list[bytes], last_seq: int) -> bool:
        """Writes the group where it is not yet written, wakes its waiters, notes it in the head."""
        try:
            if self._durable < last_seq:
                self._writer.write(group, last_seq)
                self._durable = last_seq
                self._call_wake()
            self._writer.write_head()
        except OSError as error:
            self._fail(cannot_write(self._writer.directory, error))
            return False
        self.failed = None
        return True

    def _fail(self, error: AuditUnavailable) -> None:
        self.failed = error
        self._call_wake()

    def _call_wake(self) -> None:
        if self._waiters and self._loop:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._wake)

    # On the event loop

    def _wake(self) -> None:
        durable, failed = self._durable, self.failed
        while self._waiters and (failed or self._waiters[0][0] <= durable):
            position, _, future = heapq.heappop(self._waiters)
            if future.done():
                continue
            if position <= durable:
                future.set_result(None)
            else:
                future.set_exception(AuditUnavailable(str(failed)))
