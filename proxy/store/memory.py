"""The embedded store: fixed windows in memory, for one process.

Windows are aligned to the Unix epoch. Of each window length only the current window and
the one before it are kept (a late correction still finds its window), so that memory is bounded
by the subjects seen in two windows. Time comes with each call; a clock that steps back
counts in the oldest window that is still held.
"""

from collections import defaultdict
from collections.abc import Iterable

from proxy.model.plan import Charge, Correction, Plan, Reading, Readings

NS_PER_S = 1_000_000_000


class _Windows:
    """Counts of one window length: by window index, then by counter."""

    __slots__ = ("counts", "latest", "length_ns")

    def __init__(self, length_s: int) -> None:
        self.length_ns = length_s * NS_PER_S
        self.latest = 0
        self.counts: dict[int, dict[str, int]] = {}

    def at(self, at_ns: int) -> tuple[int, dict[str, int]]:
        """The window that `at_ns` falls in, and its counts."""
        index = at_ns // self.length_ns
        if index > self.latest:
            self.latest = index
            self.counts = {i: c for i, c in self.counts.items() if i >= index - 1}
        index = max(index, self.latest - 1)
        counts = self.counts.get(index)
        if counts is None:
            counts = self.counts[index] = {}
        return index, counts


class MemoryStore:
    """Counters of one process; every call is atomic because nothing in it waits."""

    def __init__(self) -> None:
        self._windows: dict[int, _Windows] = {}

    def take(self, plan: Plan) -> Readings:
        """Count all charges of the plan if every binding one fits, else none of them."""
        if not plan.charges:
            return Readings(taken=plan.take)
        places = [self._place(charge, plan.at_ns) for charge in plan.charges]
        readings = tuple(
            Reading(counts.get(charge.counter, 0), ends_ns)
            for charge, (counts, ends_ns) in zip(plan.charges, places, strict=True)
        )
        taken = plan.take and all(
            charge.fits(reading.before)
            for charge, reading in zip(plan.charges, readings, strict=True)
            if charge.binding
        )
        if taken:
            for charge, (counts, _), reading in zip(plan.charges, places, readings, strict=True):
                counts[charge.counter] = reading.before + charge.amount
        return Readings(readings, taken)

    def correct(self, corrections: Iterable[Correction]) -> None:
        """Apply differences to the windows they were taken in; a window long gone is left alone."""
        for correction in corrections:
            windows = self._windows.get(correction.window_s)
            if windows is None:
                continue
            counts = windows.counts.get(correction.taken_at_ns // windows.length_ns)
            if counts is not None:
                before = counts.get(correction.counter, 0)
                counts[correction.counter] = max(0, before + correction.delta)

    def counters(self) -> dict[int, int]:
        """Number of counters held, by window length in seconds."""
        held: defaultdict[int, int] = defaultdict(int)
        for length_s, windows in self._windows.items():
            held[length_s] += sum(map(len, windows.counts.values()))
        return dict(held)

    def _place(self, charge: Charge, at_ns: int) -> tuple[dict[str, int], int]:
        windows = self._windows.get(charge.window_s)
        if windows is None:
            windows = self._windows[charge.window_s] = _Windows(charge.window_s)
        index, counts = windows.at(at_ns)
        return counts, (index + 1) * windows.length_ns
