"""An exchange under way of which the shared store does not know everything. Plain functions."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from msgspec.structs import replace

from proxy.model.plan import Charge, Correction, Plan, Reading, Readings
from proxy.model.verdict import Algorithm

Corrections = tuple[Correction, ...]


@dataclass(slots=True)
class Held:
    """What an exchange holds that the shared store was not asked, or did not answer, for.

    `id` is the exchange's; `charges` and how much is `taken` of each; `known` is the part of the
    plan that the store did take. `adopted` is the plan that tells it of the rest, once that is on
    its way; `attempts` of it were sent, one after the other, and `read` is the answer to the last
    one once it was heard.
    """

    id: str
    charges: tuple[Charge, ...]
    taken: tuple[int, ...]
    share: int
    known: tuple[Plan, Readings]
    adopted: Plan | None = None
    read: Readings | None = None
    attempts: int = 0
    sending: asyncio.Lock = field(default_factory=asyncio.Lock)

    def adoption(self, at_ns: int) -> Plan:
        """The plan that takes for an exchange what it holds already: in full, and binding nothing.

        Windows that have ended are left out: nothing reads them any more.
        """
        pairs = zip(self.charges, self.taken, strict=True)
        charges = tuple(_as_held(c, taken) for c, taken in pairs if not over(c, at_ns))
        return Plan(at_ns, charges, id=f"{self.id}+")

    def split(self, corrections: Corrections) -> tuple[Corrections, Corrections]:
        """Corrections of what the shared store took, and of what is held here."""
        mine = {charge.counter for charge in self.charges}
        theirs = tuple(one for one in corrections if one.charge.counter not in mine)
        return theirs, tuple(one for one in corrections if one.charge.counter in mine)

    def used(self, corrections: Corrections) -> Iterable[tuple[Charge, int]]:
        """What was used of each charge, once the corrections are known."""
        deltas = {one.charge.counter: one.delta for one in corrections}
        for charge, taken in zip(self.charges, self.taken, strict=True):
            yield charge, taken + deltas.get(charge.counter, 0)

    def of_adopted(self, corrections: Corrections) -> Corrections:
        """Corrections of the plan that was adopted: the same changes of the same counters."""
        assert self.adopted is not None
        charges = {charge.counter: charge for charge in self.adopted.charges}
        return tuple(
            Correction(charges[one.charge.counter], one.delta)
            for one in corrections
            if one.charge.counter in charges
        )


def held(plan: Plan, answer: Readings, decided: tuple[Reading, ...], share: int) -> Held:
    """What an exchange holds, by what the shared store answered and what was decided here."""
    mine, known = [], []
    for (charge, answered), reading in zip(answer.of(plan), decided, strict=True):
        if answered.known:
            known.append((charge, answered))
        else:
            mine.append((charge, charge.taken(reading.before, reading.share)))
    return Held(
        id=plan.id,
        charges=tuple(charge for charge, _ in mine),
        taken=tuple(taken for _, taken in mine),
        share=share,
        known=(
            replace(plan, charges=tuple(charge for charge, _ in known)),
            Readings(tuple(reading for _, reading in known), taken=True),
        ),
    )


def over(charge: Charge, at_ns: int) -> bool:
    """Whether the window of a charge has ended, so that nothing reads its count any more."""
    return charge.algorithm is Algorithm.FIXED and charge.ends_ns <= at_ns


def released(plan: Plan, readings: Readings) -> Corrections:
    """Corrections that give back all that may have been taken."""
    return tuple(
        Correction(charge, -charge.taken(reading.before)) for charge, reading in readings.of(plan)
    )


def _as_held(charge: Charge, taken: int) -> Charge:
    return replace(charge, amount=taken, binding=False, least=-1)
