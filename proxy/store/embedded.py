"""The embedded store: counters of one process, behind the same calls as those of a shared store.

Counts live in memory and are written behind to the state directory: a restart, or kill -9, loses no
more than a second of them, and the audit log knows what these were.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import structlog

from proxy.model.plan import Correction, Plan, Readings
from proxy.model.verdict import Algorithm
from proxy.store.counters import Status
from proxy.store.journal import Journal, Left
from proxy.store.memory import MemoryStore
from proxy.store.restored import Restored
from proxy.store.tokens import Tokens
from proxy.store.writer import FloorOf, Writer

log = structlog.get_logger("gauger.store")


class EmbeddedStore:
    """A memory store as a gateway asks it. Nothing in it waits, so that every call is atomic.

    Without a writer it forgets everything with the process.
    """

    def __init__(self, memory: MemoryStore | None = None, writer: Writer | None = None) -> None:
        self.memory = memory or MemoryStore()
        self._writer = writer

    @classmethod
    def open(
        cls,
        directory: Path,
        tokens: Tokens,
        *,
        log_id: str = "",
        position: Callable[[], int] = lambda: 0,
        refill: Callable[[Left], None] | None = None,
        floor: FloorOf = lambda _plan, _readings: (),
        clock: Callable[[], int] = time.time_ns,
    ) -> Self:
        """The store with the counts that the files in a directory hold. Blocks.

        `position` tells how far the audit log `log_id` has come, and `refill` adds what the log
        knows after the position that the files were left at. `floor` says what corrects a
        reservation that was never renewed if the process dies. What cannot be read or written is
        told and does not keep anybody from counting.
        """
        journal = Journal(directory)
        try:
            left = journal.load(tokens, clock())
        except OSError as error:
            log.error(
                "the files of counts cannot be read; counting begins anew", problem=str(error)
            )
            left = Left(Restored(tokens))
        if refill is not None:
            refill(left)
        left.restored.opened.clear()
        memory = MemoryStore(left.restored)
        writer = Writer(
            memory,
            journal,
            tokens,
            log_id=log_id,
            position=position,
            floor=floor,
            clock=clock,
        )
        writer.begin()
        return cls(memory, writer)

    @property
    def problem(self) -> str | None:
        """Why counts cannot be written to the disk, or None."""
        return None if self._writer is None else self._writer.problem

    async def take(self, plan: Plan) -> Readings:
        """Count all charges of the plan if every binding one fits, else none of them."""
        readings = self.memory.take(plan)
        if readings.taken and self._writer is not None and plan.charges:
            self._writer.opened(plan, readings)
        return readings

    def settle(self, plan: Plan, readings: Readings, corrections: tuple[Correction, ...]) -> None:
        """Apply corrections, and give leases back."""
        if readings.taken:
            self.memory.correct(plan, corrections)
            if self._writer is not None:
                self._writer.closed(plan.id)

    def hold(self, plan: Plan, readings: Readings) -> None:
        """Give leases back, and leave the rest counted."""
        leases = [c for c in plan.charges if c.algorithm is Algorithm.CONCURRENT]
        self.settle(plan, readings, tuple([Correction(charge, -1) for charge in leases]))

    def renew(self, plan: Plan, readings: Readings, floor: tuple[Correction, ...]) -> None:
        """Note what the exchange is charged if the process dies now."""
        if self._writer is not None and readings.taken:
            self._writer.renewed(plan.id, floor)

    def counters(self) -> int:
        """How many counts are held."""
        return self.memory.counters()

    def status(self) -> Status:
        """The state in figures, for readiness and metrics."""
        return {"state": "embedded", "counters": self.counters()}

    async def keep(self) -> None:
        """Write what changes to the disk, until cancelled."""
        if self._writer is not None:
            await self._writer.keep()

    async def close(self) -> None:
        """Write what is left to the disk."""
        if self._writer is not None:
            await self._writer.close()
