"""Counters in memory, for one process: every call is atomic because nothing in it waits.

Time comes with each call. Memory is bounded by the subjects of the windows that are still held: a
fixed window is held until a while after its end, so that a late correction still finds it; counts
of the other kinds are let go once they can be no more than nothing. What is let go is freed a
little at each call, never all at once.
"""

from collections.abc import Iterable

from proxy.model.plan import NEVER_NS, Charge, Correction, Plan, Reading, Readings
from proxy.model.verdict import Algorithm
from proxy.store.buckets import Buckets
from proxy.store.generations import MASK, Discarded, Table, size, table
from proxy.store.leases import Leases
from proxy.store.restored import GRACE_NS, Restored
from proxy.store.rolling import Rolling

# An attribute of an enum is looked up slowly, and these are looked up for every charge.
FIXED, ROLLING, GCRA = Algorithm.FIXED, Algorithm.ROLLING, Algorithm.GCRA
NO_PART: dict[str, int] = {}


class MemoryStore:
    """Counters of one process. Leases are held until they are given back.

    `restored` is what an earlier process left. `changed` gathers the plans whose charges were
    counted or corrected, for whoever writes the counts down, and is None where nobody does.
    """

    def __init__(self, restored: Restored | None = None) -> None:
        self.restored = restored
        self.changed: list[Plan] | None = None
        self.fixed: dict[int, Table[str, int]] = {}  # by the end of the window
        self.rolling = Rolling()
        self.buckets = Buckets()
        self._lets_go_ns = 0  # when the next window is let go
        self._discarded: Discarded[str, int] = Discarded()
        self._leases = Leases()
        if restored is not None:
            self.rolling.counts.earlier = restored.claim_rolling
            self.buckets.counts.earlier = restored.claim_bucket

    def take(self, plan: Plan) -> Readings:
        """Count all charges of the plan if every binding one fits, else none of them."""
        charges, at_ns = plan.charges, plan.at_ns
        if at_ns >= self._lets_go_ns or self._discarded:
            self._let_go(at_ns)
        taken = plan.take
        readings: list[Reading] = []
        parts: list[dict[str, int]] = []
        fixed = self.fixed
        for charge in charges:
            if charge.algorithm is FIXED:
                counter, ends_ns = charge.counter, charge.ends_ns
                window = fixed.get(ends_ns) or self._opened(ends_ns)
                part = window[hash(counter) & MASK]
                before = part.get(counter)
                if before is None:
                    before = self._first(charge, part)
                parts.append(part)
                readings.append(Reading(before, ends_ns))
            else:
                parts.append(NO_PART)
                readings.append(reading := self._read(charge, at_ns))
                before = reading.before
            # Most charges fit: only of the others the one rule of admission is asked.
            if before + charge.amount > charge.limit and charge.binding:
                taken = taken and charge.granted(before) is not None
        if taken and charges:
            self._count(plan, readings, parts)
        return Readings(tuple(readings), taken)

    def correct(self, plan: Plan, corrections: Iterable[Correction]) -> None:
        """Apply what `settle` says of a plan that was taken; what is let go is left alone."""
        for correction in corrections:
            charge, delta = correction.charge, correction.delta
            if charge.algorithm is FIXED:
                window = self.fixed.get(charge.ends_ns)
                if window is not None:
                    part = window[hash(charge.counter) & MASK]
                    before = part.get(charge.counter)
                    if before is None:
                        before = self._first(charge, part)
                    part[charge.counter] = max(0, before + delta)
            elif charge.algorithm is ROLLING:
                self.rolling.correct(charge, plan.at_ns, delta)
            elif charge.algorithm is GCRA:
                self.buckets.correct(charge, delta)
            else:
                self._leases.release(charge.counter, plan.id)
        if self.changed is not None:
            self.changed.append(plan)

    def counters(self) -> int:
        """How many counts are held."""
        counted = len(self.rolling.counts) + len(self.buckets.counts) + len(self._leases)
        earlier = 0 if self.restored is None else len(self.restored)
        return sum(map(size, self.fixed.values())) + counted + earlier

    def _opened(self, ends_ns: int) -> Table[str, int]:
        window = self.fixed[ends_ns] = table()
        if ends_ns < NEVER_NS:
            self._lets_go_ns = min(self._lets_go_ns, ends_ns + GRACE_NS)
        return window

    def _first(self, charge: Charge, part: dict[str, int]) -> int:
        """The count of a window's new counter: what is left of it, or what it inherits."""
        before = self._earlier(charge.ends_ns, charge.counter)
        if before is not None:
            part[charge.counter] = before
            return before
        return max((self._of(charge.ends_ns, parent) for parent in charge.inherits), default=0)

    def _of(self, ends_ns: int, counter: str) -> int:
        part = self.fixed[ends_ns][hash(counter) & MASK]
        count = part.get(counter)
        if count is None and (count := self._earlier(ends_ns, counter)) is not None:
            part[counter] = count
        return count or 0

    def _earlier(self, ends_ns: int, counter: str) -> int | None:
        return None if self.restored is None else self.restored.claim_fixed(ends_ns, counter)

    def _read(self, charge: Charge, at_ns: int) -> Reading:
        if charge.algorithm is ROLLING:
            return self.rolling.read(charge, at_ns)
        if charge.algorithm is GCRA:
            return self.buckets.read(charge, at_ns)
        return self._leases.read(charge, at_ns)

    def _count(self, plan: Plan, readings: list[Reading], parts: list[dict[str, int]]) -> None:
        for charge, reading, part in zip(plan.charges, readings, parts, strict=True):
            before, amount = reading.before, charge.amount
            if before + amount > charge.limit:
                amount = charge.taken(before)
            if charge.algorithm is FIXED:
                part[charge.counter] = before + amount
            else:
                self._count_other(charge, plan, amount)
        if self.changed is not None:
            self.changed.append(plan)

    def _count_other(self, charge: Charge, plan: Plan, amount: int) -> None:
        if charge.algorithm is ROLLING:
            self.rolling.count(charge, plan.at_ns, amount)
        elif charge.algorithm is GCRA:
            self.buckets.count(charge, plan.at_ns, amount)
        else:
            self._leases.take(charge.counter, plan.id, amount)

    def _let_go(self, at_ns: int) -> None:
        if at_ns >= self._lets_go_ns:
            for ends_ns in [e for e in self.fixed if e < NEVER_NS and at_ns >= e + GRACE_NS]:
                self._discarded.add(self.fixed.pop(ends_ns))
            if self.restored is not None:
                self.restored.let_go(at_ns)
            timed = [ends_ns for ends_ns in self.fixed if ends_ns < NEVER_NS]
            self._lets_go_ns = min(timed, default=at_ns) + GRACE_NS
        self._discarded.free()
        if self.restored is not None:
            self.restored.discarded.free()
