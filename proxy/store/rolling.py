"""Rolling windows: never more than the limit in any span of the window's length.

A window is counted in PARTS parts. All of a part counts until its end has left the window, so that
the span that is counted is up to one part longer than the window: a little too strict for a
moment, and never too lax.
"""

from msgspec import Struct

from proxy.model.plan import Charge, Reading
from proxy.store.generations import Generations

NS_PER_S = 1_000_000_000
PARTS = 60


def part_ns(charge: Charge) -> int:
    """The length of a part."""
    return length_ns_of(charge.window_s)


def length_ns_of(window_s: int) -> int:
    """The length of a part of a window."""
    return window_s * NS_PER_S // PARTS


def reading_of(charge: Charge, parts: dict[int, int], at_ns: int) -> Reading:
    """The reading of counts by part (part number = time // length), at a time."""
    length_ns = part_ns(charge)
    first = at_ns // length_ns - PARTS
    held = {part: n for part, n in parts.items() if n and part >= first}
    if not held:
        return Reading(0, at_ns, at_ns)
    before = sum(held.values())
    resets_at_ns = (max(held) + PARTS + 1) * length_ns
    return Reading(before, resets_at_ns, _fits_at_ns(charge, held, before, at_ns))


def _fits_at_ns(charge: Charge, held: dict[int, int], before: int, at_ns: int) -> int:
    """When enough parts have left the window."""
    needs = charge.amount if charge.least < 0 else charge.least
    if before + needs <= charge.limit:
        return at_ns
    for part in sorted(held):
        before -= held[part]
        at_ns = (part + PARTS + 1) * part_ns(charge)
        if before + needs <= charge.limit:
            break
    return at_ns


class Span(Struct, gc=False):
    """Counts by part (part number = time // length), and the length of a part."""

    length_ns: int
    parts: dict[int, int]

    def over(self, at_ns: int) -> bool:
        """Whether all of it has left the window."""
        first = at_ns // self.length_ns - PARTS
        return all(part < first for part in self.parts)


class Rolling:
    """Spans by counter; what was not used for a whole window is let go."""

    def __init__(self) -> None:
        self.counts: Generations[Span] = Generations()
        self._longest_ns = 0

    def read(self, charge: Charge, at_ns: int) -> Reading:
        """How much was used in the window, when all of it is out, and when the charge fits."""
        return reading_of(charge, self._parts(charge), at_ns)

    def count(self, charge: Charge, at_ns: int, amount: int) -> None:
        """Use so much."""
        length_ns = part_ns(charge)
        now = at_ns // length_ns
        span = self.counts.get(charge.counter)
        if span is None:
            span = Span(length_ns, dict(self._parts(charge)))
        parts = span.parts
        if parts and next(iter(parts)) < now - PARTS:
            parts = span.parts = {part: n for part, n in parts.items() if part >= now - PARTS}
        parts[now] = parts.get(now, 0) + amount
        self._longest_ns = max(self._longest_ns, 2 * charge.window_s * NS_PER_S)
        self.counts.turn(at_ns, self._longest_ns)
        self.counts.put(charge.counter, span)

    def correct(self, charge: Charge, at_ns: int, delta: int) -> None:
        """Correct the part that was counted in, if it is still held."""
        span = self.counts.get(charge.counter)
        part = at_ns // part_ns(charge)
        if span is not None and part in span.parts:
            span.parts[part] = max(0, span.parts[part] + delta)

    def _parts(self, charge: Charge) -> dict[int, int]:
        own = self.counts.get(charge.counter)
        if own is not None:
            return own.parts
        spans = [self.counts.get(parent) for parent in charge.inherits]
        parents = [span.parts for span in spans if span is not None]
        return max(parents, key=lambda parts: sum(parts.values()), default={})
