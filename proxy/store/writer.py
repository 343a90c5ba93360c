"""Writing behind: what has changed is written a moment later, and nobody waits for it.

Each frame is taken at one moment between two exchanges and names the position in the audit log
up to which it counts, so that whoever restores it can go on from there. Where the disk
refuses, counting goes on, and all counts are written anew once it takes them again.
"""

import asyncio
from collections.abc import Callable, Iterator
from itertools import chain

import structlog
from msgspec import Struct

from proxy.model.plan import Correction, Plan, Readings
from proxy.store.capture import Captured, all_of, changed, encoded
from proxy.store.frames import Frame
from proxy.store.journal import Journal
from proxy.store.memory import MemoryStore
from proxy.store.restored import Counted, Opened
from proxy.store.tokens import Tokens

EVERY_S = 0.4
COPYING_EVERY_S = 0.05  # while all counts are copied into a new file
RETRY_S = 5.0
COPIED_AT_ONCE = 1_000
AT_OPEN = 20_000  # counts in a frame before anything is served
SYNC_EVERY = 25  # frames; a power cut loses those since, and the audit log fills the gap
GROWTH_BYTES = 32 << 20  # a file may outgrow four times what it began with by so much

FloorOf = Callable[[Plan, Readings], tuple[Correction, ...]]

log = structlog.get_logger("gauger.store")


class Open(Struct, gc=False):
    """A reservation that is held; `written` says that the file has it as it is."""

    plan: Plan
    readings: Readings
    floor: tuple[Correction, ...] | None = None
    written: bool = False


class Writer:
    """Writes the counts of a store behind. `problem` is why it cannot, or None.

    `position` tells the last position in the audit log, `floor` what corrects a reservation that
    was not renewed yet if nothing more is heard of it, and `clock` the Unix time in ns.
    """

    def __init__(
        self,
        store: MemoryStore,
        journal: Journal,
        tokens: Tokens,
        *,
        log_id: str,
        position: Callable[[], int],
        floor: FloorOf,
        clock: Callable[[], int],
    ) -> None:
        self.problem: str | None = None
        self.open: dict[str, Open] = {}
        self._store = store
        self._journal = journal
        self._tokens = tokens
        self._log_id = log_id
        self._position = position
        self._floor = floor
        self._clock = clock
        self._closed: list[str] = []
        self._copying: Iterator[Captured] | None = None
        self._continues = False
        self._begin_bytes = 0
        self._frames = 0

    def begin(self) -> None:
        """Write all counts to a new file, before anything is served. Blocks."""
        self._store.changed = []
        try:
            self._journal.begin()
            for part in all_of(self._store, AT_OPEN):
                frame = self._frame()
                _drain(encoded(part, self._tokens.computed, frame))
                self._journal.append(frame)
            last = self._frame()
            last.whole = True
            self._journal.append(last)
            self._finished()
        except OSError as error:
            self._fails(error)

    def opened(self, plan: Plan, readings: Readings) -> None:
        """Note a reservation."""
        self.open[plan.id] = Open(plan, readings)

    def renewed(self, id_: str, floor: tuple[Correction, ...]) -> None:
        """Note what a reservation is corrected by if nothing more is heard of it."""
        held = self.open.get(id_)
        if held is not None:
            held.floor, held.written = floor, False

    def closed(self, id_: str) -> None:
        """Note that a reservation was settled."""
        held = self.open.pop(id_, None)
        if held is not None and held.written:
            self._closed.append(id_)

    async def keep(self) -> None:
        """Write what changes, until cancelled."""
        while True:
            if self.problem is not None:
                await asyncio.sleep(RETRY_S)
            else:
                await asyncio.sleep(EVERY_S if self._copying is None else COPYING_EVERY_S)
            await self.write()

    async def write(self) -> None:
        """Write what has changed since the last time, and go on with a new file."""
        plans: list[Plan] = []
        closed: list[str] = []
        try:
            if self.problem is not None or self._outgrown():
                await self._begin_anew()
            # From here to the frame nothing waits: all of it is of one moment.
            plans, self._store.changed = self._store.changed or [], []
            closed, self._closed = self._closed, []
            await self._write(plans, closed)
        except OSError as error:
            self._fails(error)
        except BaseException:  # cancelled: who closes will write it
            self._store.changed = [*plans, *(self._store.changed or [])]
            self._closed[:0] = closed
            for held in self.open.values():
                held.written = False
            self._copying = None
            raise

    async def close(self) -> None:
        """Write what is left."""
        self._copying = None
        if self.problem is None:
            await self.write()
        await asyncio.to_thread(self._journal.abandon)

    async def _write(self, plans: list[Plan], closed: list[str]) -> None:
        if not plans and not closed and self._copying is None:
            return
        copied = None if self._copying is None else next(self._copying, None)
        new = changed(self._store, plans)
        frame = self._frame()
        frame.continues, self._continues = self._continues, False
        frame.opened, frame.closed = self._newly_opened(), tuple(closed)
        frame.whole = self._copying is not None and copied is None
        steps = encoded(new, self._tokens.of, frame)
        if copied is not None:  # rare names: they are not worth remembering
            steps = chain(steps, encoded(copied, self._tokens.computed, frame))
        for _ in steps:
            await asyncio.sleep(0)
        await asyncio.to_thread(self._journal.append, frame)
        self._works_again()
        self._frames += 1
        if frame.whole:
            self._copying = None
            await asyncio.to_thread(self._finished)
        elif self._frames % SYNC_EVERY == 0:
            await asyncio.to_thread(self._journal.sync)

    def _frame(self) -> Frame:
        return Frame(self._log_id, self._position(), self._clock())

    def _newly_opened(self) -> tuple[Opened, ...]:
        new = [held for held in self.open.values() if not held.written]
        for held in new:
            held.written = True
        return tuple([self._described(held) for held in new])

    def _described(self, held: Open) -> Opened:
        """A reservation, and what it is charged if the process dies now.

        One that was never renewed is young: it has used no more than it reserved.
        """
        plan, readings = held.plan, held.readings
        floor = held.floor
        if floor is None:
            young = self._floor(plan, readings)
            floor = tuple([Correction(c.charge, min(0, c.delta)) for c in young])
        deltas = {correction.charge.counter: correction.delta for correction in floor}
        charges = [
            Counted(
                charge.rule,
                charge.unit.value,
                self._tokens.place(charge, plan.at_ns),
                charge.taken(reading.before, reading.share),
            )
            for charge, reading in readings.of(plan)
        ]
        by_charge = tuple([deltas.get(charge.counter, 0) for charge in plan.charges])
        return Opened(plan.id, tuple(charges), by_charge)

    def _outgrown(self) -> bool:
        most = 4 * self._begin_bytes + GROWTH_BYTES
        return self._copying is None and self._journal.size > most

    async def _begin_anew(self) -> None:
        """Begin another file, into which all counts are copied from now on."""
        await asyncio.to_thread(self._journal.begin)
        self._continues = self.problem is None
        for held in self.open.values():
            held.written = False
        self._copying = all_of(self._store, COPIED_AT_ONCE)

    def _finished(self) -> None:
        self._journal.finish()
        self._begin_bytes = self._journal.size

    def _fails(self, error: OSError) -> None:
        self._journal.abandon(remove=self.problem is not None)
        self._copying = None
        if self.problem is None:
            log.error("counts are not written; counting goes on", problem=str(error))
        self.problem = f"{self._journal.directory}: {error.strerror or error}"
        self._store.changed, self._closed = [], []  # all counts are written anew

    def _works_again(self) -> None:
        if self.problem is not None:
            log.info("counts are written again")
            self.problem = None


def _drain(steps: Iterator[None]) -> None:
    for _ in steps:
        pass
