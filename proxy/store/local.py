"""The share of this process of limits that the shared store cannot answer for.

A share is the limit divided by the number of processes, rounded down: of a limit of 3 among 4
processes nobody gets anything, which together is never more than the limit. A count begins at what
was last known to be used, divided by the same number and rounded up: what was left is shared, not
the whole limit. So all processes together admit no more than was left when each of them last read,
and their readings are as old as the last exchange that touched the counter.

A bucket's share fills at the rate's share too. Leases are those of this process, which are counted
here at all times.
"""

from typing import NamedTuple

from msgspec.structs import replace

from proxy.model.plan import Charge, Correction, Plan, Reading
from proxy.model.verdict import Algorithm
from proxy.store.known import LastKnown
from proxy.store.memory import MemoryStore

Charges = tuple[Charge, ...]


class Looked(NamedTuple):
    """Readings of charges against their shares, in order, and whether all binding ones fit."""

    readings: tuple[Reading, ...]
    fits: bool


class LocalShare:
    """Counts of one process, against shares."""

    def __init__(self, known: LastKnown) -> None:
        self._known = known
        self._counts = MemoryStore()
        self._leases = MemoryStore()
        self._begun: dict[str, int] = {}  # the end of the window that a counter was begun for

    def begin_anew(self) -> None:
        """Forget all counts, once what was counted is known to the shared store; leases stay."""
        if self._begun:
            self._counts, self._begun = MemoryStore(), {}

    def counters(self) -> int:
        """How many counts are held."""
        return self._counts.counters() + self._leases.counters()

    def look(self, plan: Plan, charges: Charges, share: int) -> Looked:
        """What is used of the shares, and whether the charges fit; counts nothing."""
        readings, fits = [], True
        for charge in charges:
            own = shared_out(charge, share)
            self._begin(charge, own, plan.at_ns, share)
            asked = Plan(plan.at_ns, (own,), take=False, id=plan.id)
            reading = self._of(charge).take(asked).readings[0]
            readings.append(replace(reading, share=share))
            if charge.binding and charge.granted(reading.before, share) is None:
                fits = False
        return Looked(tuple(readings), fits)

    def count(self, plan: Plan, charges: Charges, readings: tuple[Reading, ...]) -> None:
        """Take what was looked at, with nothing in between."""
        for charge, reading in zip(charges, readings, strict=True):
            if charge.algorithm is not Algorithm.CONCURRENT:
                taken = charge.taken(reading.before, reading.share)
                self._count(shared_out(charge, reading.share), plan.at_ns, taken)

    def hold(self, plan: Plan) -> None:
        """Count the leases of a plan that was taken, wherever it was."""
        for charge in plan.charges:
            if charge.algorithm is Algorithm.CONCURRENT:
                own = replace(charge, binding=False)
                self._leases.take(Plan(plan.at_ns, (own,), id=plan.id))

    def release(self, plan: Plan) -> None:
        """Give the leases of a plan back."""
        for charge in plan.charges:
            if charge.algorithm is Algorithm.CONCURRENT:
                self._leases.correct(plan, (Correction(charge, -1),))

    def correct(self, plan: Plan, corrections: tuple[Correction, ...], share: int) -> None:
        """Correct counts once the true usage is known."""
        told = tuple(
            Correction(shared_out(one.charge, share), one.delta)
            for one in corrections
            if one.charge.algorithm is not Algorithm.CONCURRENT
        )
        self._counts.correct(plan, told)

    def _of(self, charge: Charge) -> MemoryStore:
        return self._leases if charge.algorithm is Algorithm.CONCURRENT else self._counts

    def _begin(self, charge: Charge, own: Charge, at_ns: int, share: int) -> None:
        """A count that is new here begins at its share of what is known to be used."""
        if charge.algorithm is Algorithm.CONCURRENT:
            return
        if self._begun.get(charge.counter, -1) >= charge.ends_ns:
            return
        self._begun[charge.counter] = charge.ends_ns
        used = self._known.used(charge, at_ns)
        if used > 0:
            self._count(replace(own, inherits=()), at_ns, -(-used // share))

    def _count(self, own: Charge, at_ns: int, amount: int) -> None:
        counted = replace(own, amount=amount, binding=False)
        self._counts.take(Plan(at_ns, (counted,)))


def shared_out(charge: Charge, share: int) -> Charge:
    """The charge against its share of the limit; a bucket's rate is shared by a longer window."""
    if share == 1:
        return charge
    longer = share if charge.algorithm is Algorithm.GCRA else 1
    return replace(charge, limit=charge.limit // share, window_s=charge.window_s * longer)
