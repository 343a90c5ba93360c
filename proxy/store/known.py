"""What was last read of each shared counter, so that a used-up limit does not begin anew.

Bounded by two generations: what was not read while the younger one filled up is let go.
"""

from collections.abc import Iterable
from typing import NamedTuple

from proxy.model.plan import Charge, Correction, Plan, Readings
from proxy.model.verdict import Algorithm

NS_PER_S = 1_000_000_000
HELD = 100_000


class Last(NamedTuple):
    """What is used of a limit once this process has taken; `full_ns`: when all of it is back."""

    used: int
    ends_ns: int
    full_ns: int


class LastKnown:
    """The last readings, by counter. Leases are not kept: this process knows its own."""

    def __init__(self, held: int = HELD) -> None:
        self._most = max(1, held // 2)
        self._young: dict[str, Last] = {}
        self._old: dict[str, Last] = {}

    def read(self, plan: Plan, readings: Readings) -> None:
        """Keep what was read for the charges of a plan."""
        for charge, reading in readings.of(plan):
            if not reading.known or charge.algorithm is Algorithm.CONCURRENT:
                continue
            taken = charge.taken(reading.before) if readings.taken else 0
            used, full_ns = reading.before + taken, reading.resets_at_ns
            if charge.algorithm is Algorithm.GCRA:
                full_ns = max(full_ns, plan.at_ns) + _back_ns(charge, taken)
            elif charge.algorithm is Algorithm.ROLLING and taken:
                full_ns = plan.at_ns + charge.window_s * NS_PER_S
            self._keep(charge.counter, Last(used, charge.ends_ns, full_ns))

    def correct(self, corrections: Iterable[Correction]) -> None:
        """The same counts after a settlement."""
        for charge, delta in ((c.charge, c.delta) for c in corrections):
            last = self._last(charge.counter)
            if last is not None and last.ends_ns == charge.ends_ns:
                full_ns = last.full_ns
                if charge.algorithm is Algorithm.GCRA:
                    full_ns += _back_ns(charge, delta)
                self._keep(charge.counter, Last(max(0, last.used + delta), last.ends_ns, full_ns))

    def used(self, charge: Charge, at_ns: int) -> int:
        """How much of a limit is used at a time, as far as is known."""
        last = self._last(charge.counter)
        if last is None:
            last = max((p for c in charge.inherits if (p := self._last(c))), default=None)
        if last is None or last.full_ns <= at_ns or last.ends_ns != charge.ends_ns:
            return 0
        if charge.algorithm is Algorithm.GCRA:
            return -(-(last.full_ns - at_ns) * charge.rate // (charge.window_s * NS_PER_S))
        return last.used

    def full_ns(self, charge: Charge) -> int:
        """When all of a limit is back; 0 where nothing is known."""
        last = self._last(charge.counter)
        return last.full_ns if last else 0

    def _last(self, counter: str) -> Last | None:
        return self._young.get(counter) or self._old.get(counter)

    def _keep(self, counter: str, last: Last) -> None:
        if len(self._young) >= self._most:
            self._young, self._old = {}, self._young
        self._young[counter] = last


def _back_ns(charge: Charge, amount: int) -> int:
    return amount * charge.window_s * NS_PER_S // charge.rate
