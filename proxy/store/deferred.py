"""What was used while the shared store could not answer, by counter, to be charged to it after.

Sums are kept, not exchanges, so that an outage costs memory by the counters it touches. Windows
that have ended by then are not charged: nothing reads them any more.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from msgspec.structs import replace

from proxy.model.plan import Charge, Correction, Plan, Readings
from proxy.model.verdict import Algorithm
from proxy.store.buckets import NS_PER_US, takes_us, used
from proxy.store.held import over
from proxy.store.rolling import PARTS, part_ns

HELD = 100_000
BATCH = 64  # counters told at once

Key = tuple[str, int]  # the counter, and which of its windows or parts


@dataclass(slots=True)
class Owed:
    """How much was used of a counter; `full_us`: when a bucket that knows only that is full."""

    charge: Charge
    at_ns: int
    amount: int = 0
    full_us: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Sums as one plan, which binds nothing; `full_us` of each charge, 0 where it is no bucket."""

    plan: Plan
    full_us: tuple[int, ...]

    def corrections(self, readings: Readings) -> tuple[Correction, ...]:
        """What came back to buckets since it was used: a bucket in use got it back by itself.

        One that was full when the sum came is left as it would be if each use had been told when
        it happened.
        """
        return tuple(self._corrections(readings))

    def _corrections(self, readings: Readings) -> Iterator[Correction]:
        at_us = self.plan.at_ns // NS_PER_US
        for (charge, reading), full_us in zip(readings.of(self.plan), self.full_us, strict=True):
            if full_us and not reading.before:
                left = min(charge.amount, used(full_us, at_us, charge))
                yield Correction(charge, left - charge.amount)


class Deferred:
    """Sums by counter and window; beyond the bound the oldest is dropped, and counted.

    `id_` is this process's: the reservations that sums are told under are named by it.
    """

    def __init__(self, id_: str, held: int = HELD) -> None:
        self.dropped = 0
        self._id = id_
        self._held = held
        self._owed: dict[Key, Owed] = {}
        self._batches: deque[Batch] = deque()
        self._numbers = count(1)

    def __len__(self) -> int:
        """How many sums there are that the shared store has not heard."""
        return len(self._owed) + sum(len(batch.plan.charges) for batch in self._batches)

    def add(self, charge: Charge, amount: int, at_ns: int, full_ns: int = 0) -> None:
        """Owe so much more; `full_ns` is when a bucket was last known to be full."""
        if amount <= 0 or charge.algorithm is Algorithm.CONCURRENT:
            return
        key = (charge.counter, _window(charge, at_ns))
        owed = self._owed.get(key)
        if owed is None:
            if len(self._owed) >= self._held:
                del self._owed[next(iter(self._owed))]
                self.dropped += 1
            owed = self._owed[key] = Owed(charge, _told_at(charge, at_ns))
        owed.amount += amount
        if charge.algorithm is Algorithm.GCRA:
            full_us = max(owed.full_us, full_ns // NS_PER_US, at_ns // NS_PER_US)
            owed.full_us = full_us + takes_us(charge, amount)

    def next_batch(self, now_ns: int) -> Batch | None:
        """What is to be told next, under a new id each time. It stays until it was `told`."""
        if not self._batches and self._owed:
            self._batches.extend(self._made(now_ns))
            self._owed = {}
        if not self._batches:
            return None
        first = self._batches[0]
        named = replace(first.plan, id=f"{self._id}.{next(self._numbers)}")
        self._batches[0] = Batch(named, first.full_us)
        return self._batches[0]

    def told(self, batch: Batch) -> None:
        """The shared store has heard it."""
        self._batches.remove(batch)

    def _made(self, now_ns: int) -> Iterator[Batch]:
        by_time: dict[int, list[Owed]] = {}
        for one in self._owed.values():
            if _lasts(one, now_ns):
                at_ns = one.at_ns if one.charge.algorithm is Algorithm.ROLLING else now_ns
                by_time.setdefault(at_ns, []).append(one)
        for at_ns, found in by_time.items():
            found.sort(key=lambda one: one.charge.slot)
            for start in range(0, len(found), BATCH):
                yield _batch(found[start : start + BATCH], at_ns)


def _as_used(charge: Charge, amount: int) -> Charge:
    """The charge as plain usage: it binds nothing, and all of it was used."""
    return replace(charge, amount=amount, binding=False, least=-1, per_output=0, base=0)


def _batch(found: Sequence[Owed], at_ns: int) -> Batch:
    charges = tuple(_as_used(one.charge, one.amount) for one in found)
    return Batch(Plan(at_ns, charges), tuple(one.full_us for one in found))


def _window(charge: Charge, at_ns: int) -> int:
    match charge.algorithm:
        case Algorithm.FIXED:
            return charge.ends_ns
        case Algorithm.ROLLING:
            return at_ns // part_ns(charge)
        case _:
            return 0


def _told_at(charge: Charge, at_ns: int) -> int:
    """A rolling sum is told as of the start of its part, so that sums of one part go together."""
    if charge.algorithm is not Algorithm.ROLLING:
        return at_ns
    return at_ns // part_ns(charge) * part_ns(charge)


def _lasts(owed: Owed, now_ns: int) -> bool:
    charge = owed.charge
    if charge.algorithm is Algorithm.ROLLING:
        return owed.at_ns // part_ns(charge) >= now_ns // part_ns(charge) - PARTS
    return not over(charge, now_ns)
