"""A shared store of the tests' own, in memory, whose failures are switched."""

import asyncio
from enum import Enum, auto

from msgspec.structs import replace

from proxy.model.plan import UNKNOWN, Charge, Correction, Plan, Readings
from proxy.model.verdict import Algorithm
from proxy.store.breaker import Tolerance
from proxy.store.errors import StoreUnavailable
from proxy.store.guarded import GuardedStore
from proxy.store.memory import MemoryStore
from tests.store.plans import T0_S, S


class State(Enum):
    UP = auto()
    GONE = auto()  # nothing reaches it
    MUTE = auto()  # what it is asked it does later, and nobody hears


class FakeShared:
    """Answers at once. What it was asked while MUTE it does when it is `back`."""

    def __init__(self) -> None:
        self.state = State.UP
        self.lost_slots: set[str] = set()
        self.replicas = 1
        self.asked = 0
        self.told: list[str] = []  # in which order reservations were renewed and ended
        self.memory = MemoryStore()
        self._reserved: dict[tuple[str, str], list[tuple[Charge, int, Plan]]] = {}
        self._over: set[tuple[str, str]] = set()
        self._late: list[Plan] = []

    async def take(self, plan: Plan) -> Readings:
        self.asked += 1
        await asyncio.sleep(0)
        if self.state is not State.UP:
            if self.state is State.MUTE:
                self._late.append(plan)
            return Readings((), available=False)
        heard = tuple(charge for charge in plan.charges if charge.slot not in self.lost_slots)
        if not heard:
            return Readings((), available=False)
        read = self._take(replace(plan, charges=heard))
        of = iter(read.readings)
        readings = tuple(
            UNKNOWN if charge.slot in self.lost_slots else next(of) for charge in plan.charges
        )
        return Readings(readings, read.taken, available=len(heard) == len(plan.charges))

    async def settle(
        self, plan: Plan, readings: Readings, corrections: tuple[Correction, ...]
    ) -> None:
        await self._reached()
        self.told.append(f"end {plan.id}")
        deltas = {one.charge.counter: one.delta for one in corrections}
        used = {
            charge.counter: charge.taken(reading.before, reading.share)
            + deltas.get(charge.counter, 0)
            for charge, reading in readings.of(plan)
        }
        for slot in {charge.slot for charge in plan.charges}:
            self._end((plan.id, slot), used)

    async def renew(self, plan: Plan, readings: Readings, floor: tuple[Correction, ...]) -> None:
        await self._reached()
        self.told.append(f"renew {plan.id}")

    async def heartbeat(self, id_: str, now_ms: int, horizon_ms: int) -> int:
        await self._reached()
        return self.replicas

    async def ping(self) -> None:
        await self._reached()

    async def close(self) -> None:
        pass

    def back(self) -> None:
        """Answer again, after what it was asked meanwhile."""
        self.state = State.UP
        late, self._late = self._late, []
        for plan in late:
            self._take(plan)

    def used(self, charge: Charge, at_s: float = 0) -> int:
        """What it has counted."""
        looked = Plan(T0_S * S + int(at_s * S), (charge,), take=False)
        return self.memory.take(looked).readings[0].before

    def reservations(self) -> int:
        """How many have not ended."""
        return len(self._reserved)

    async def _reached(self) -> None:
        await asyncio.sleep(0)
        if self.state is not State.UP:
            raise StoreUnavailable("gone")

    def _take(self, plan: Plan) -> Readings:
        if any((plan.id, charge.slot) in self._over for charge in plan.charges):
            return self.memory.take(replace(plan, take=False))
        read = self.memory.take(plan)
        if read.taken:
            for charge, reading in read.of(plan):
                taken = charge.taken(reading.before)
                slot = self._reserved.setdefault((plan.id, charge.slot), [])
                slot.append((charge, taken, plan))
        return read

    def _end(self, name: tuple[str, str], used: dict[str, int]) -> None:
        self._over.add(name)
        for charge, taken, plan in self._reserved.pop(name, ()):
            now = 0 if charge.algorithm is Algorithm.CONCURRENT else used[charge.counter]
            self.memory.correct(plan, [Correction(charge, now - taken)])


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.s = 0.0

    def monotonic_s(self) -> float:
        return self.s

    def wall_ns(self) -> int:
        return T0_S * S + int(self.s * S)


SELDOM = Tolerance(probe_s=3600, probe_at_most_s=3600)  # a test probes by itself


def guarded(shared: FakeShared, clock: Clock, **more: object) -> GuardedStore:
    settings = {"state_dir": None, "max_replicas": 1, "tolerance": SELDOM, "again_s": 0.0} | more
    return GuardedStore(
        shared,
        clock_s=clock.monotonic_s,
        wall_ns=clock.wall_ns,
        **settings,  # type: ignore[arg-type]  # any of them
    )


async def told(store: GuardedStore) -> None:
    """Let it tell all that it can."""
    for _ in range(10_000):
        if not len(store.outbox):
            return
        await asyncio.sleep(0)
    raise AssertionError("something is never told")
