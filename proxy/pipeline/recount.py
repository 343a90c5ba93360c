"""The counts of records: what the audit log knows that a store forgot when its process died.

Records after the position up to which a store's counts are known are gone through in order: a
decision adds what was taken, a completion what was corrected. Invariant: counts that were
restored up to a position, and recounted from there, are those that the process had.
"""

from collections.abc import Iterable
from typing import Any, Protocol

from proxy.model.verdict import Mode
from proxy.store.restored import Counted, Opened, Restored
from proxy.store.tokens import place_of

TYPES = ("decision", "completion")


class Recorded(Protocol):
    """A record, as the log gives it back."""

    @property
    def type(self) -> str:
        """What it is about."""
        ...

    @property
    def id(self) -> str:
        """The exchange."""
        ...

    @property
    def at_ns(self) -> int:
        """When the exchange came, or ended."""
        ...

    @property
    def fields(self) -> dict[str, Any]:
        """What it says."""
        ...


def recount(restored: Restored, records: Iterable[Recorded]) -> int:
    """Add what records say; how many did. ValueError for what is no record of the kind.

    An exchange that never ended is charged what it was last said to be charged then. One that
    nobody heard of again keeps all that was reserved: the upstream may have answered it.
    """
    told = 0
    for record in records:
        if record.type == "decision":
            told += _decided(restored, record)
        elif record.type == "completion":
            told += _completed(restored, record)
    for opened in restored.opened.values():
        for counted, delta in zip(opened.charges, opened.floor or (), strict=False):
            restored.change(counted.place, delta)
    restored.opened.clear()
    return told


def _decided(restored: Restored, record: Recorded) -> bool:
    marks = record.fields.get("counters")
    if not record.fields.get("taken") or not marks:
        return False
    charges: list[Counted] = []
    for said, mark in zip(record.fields["charges"], marks, strict=True):
        rule, unit, amount, limit, window_s, before, mode, *_ = said
        place = place_of(mark, window_s, record.at_ns)
        taken = amount
        if before is None:  # counted in a store that could not answer then
            continue
        if mode == Mode.ENFORCE and amount > limit - before:  # a smaller part was granted
            taken = max(0, limit - before)
        if place is not None:
            restored.add(place, taken, before)
        charges.append(Counted(rule, unit, place, taken))
    restored.opened[record.id] = Opened(record.id, tuple(charges))
    return True


def _completed(restored: Restored, record: Recorded) -> bool:
    opened = restored.opened.pop(record.id, None)
    if opened is None:
        return False
    for rule, unit, delta, *number in record.fields.get("corrections", ()):
        alike = [c for c in opened.charges if (c.rule, c.unit) == (rule, unit)]
        restored.change(alike[number[0] if number else 0].place, delta)
    return True
