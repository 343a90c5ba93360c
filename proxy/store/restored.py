"""What an earlier process left of its counts, by token, until somebody asks for it.

A count moves into the memory of the store when its counter is first seen; what is never asked
for is let go as any other.
"""

from msgspec import Struct

from proxy.model.plan import NEVER_NS
from proxy.model.verdict import Algorithm
from proxy.store.buckets import NS_PER_US, back_us
from proxy.store.generations import Discarded, Table, size, table
from proxy.store.rolling import Span, length_ns_of
from proxy.store.tokens import Place, Tokens

GRACE_NS = 120_000_000_000  # a window is held so long after its end


class Counted(Struct, frozen=True, array_like=True):
    """One charge of an open reservation: `taken` of it is counted at `place` (None: a lease)."""

    rule: str
    unit: str
    place: Place | None
    taken: int


class Opened(Struct, frozen=True, array_like=True):
    """A reservation that was not settled. `floor` is what its charges are corrected by if nothing
    more is heard, in their order, or None where it was never renewed."""

    id: str
    charges: tuple[Counted, ...]
    floor: tuple[int, ...] | None = None


class Restored:
    """Counts by token: of fixed windows by their end, of buckets, and of rolling windows."""

    def __init__(self, tokens: Tokens) -> None:
        self.fixed: dict[int, Table[bytes, int]] = {}
        self.buckets: Table[bytes, int] = table()
        self.rolling: Table[bytes, Span] = table()
        self.opened: dict[str, Opened] = {}
        self.discarded: Discarded[bytes, int] = Discarded()
        self._tokens = tokens

    def __len__(self) -> int:
        return sum(map(size, self.fixed.values())) + size(self.buckets) + size(self.rolling)

    def claim_fixed(self, ends_ns: int, counter: str) -> int | None:
        """The count of a counter in a window; it is no longer here then."""
        window = self.fixed.get(ends_ns)
        if window is None:
            return None
        token = self._tokens.of(counter)
        return window[token[0]].pop(token, None)

    def claim_bucket(self, counter: str) -> int | None:
        """When a bucket is full again."""
        token = self._tokens.of(counter)
        return self.buckets[token[0]].pop(token, None)

    def claim_rolling(self, counter: str) -> Span | None:
        """The counts of a rolling window."""
        token = self._tokens.of(counter)
        return self.rolling[token[0]].pop(token, None)

    def let_go(self, at_ns: int) -> None:
        """Let go of windows that have long ended."""
        for ends_ns in [e for e in self.fixed if at_ns >= e + GRACE_NS and e < NEVER_NS]:
            self.discarded.add(self.fixed.pop(ends_ns))

    def set_fixed(self, ends_ns: int, token: bytes, count: int) -> None:
        """Set the count of a window."""
        window = self.fixed.get(ends_ns)
        if window is None:
            window = self.fixed[ends_ns] = table()
        window[token[0]][token] = count

    def set_rolling(self, token: bytes, length_ns: int, part: int, count: int) -> None:
        """Set the count of a part."""
        spans = self.rolling[token[0]]
        if token not in spans:
            spans[token] = Span(length_ns, {})
        spans[token].parts[part] = count

    def prune(self, at_ns: int) -> None:
        """Let go of whatever can be no more than nothing by now."""
        self.let_go(at_ns)
        for buckets in self.buckets:
            for token in [t for t, full_us in buckets.items() if full_us * NS_PER_US <= at_ns]:
                del buckets[token]
        for spans in self.rolling:
            for token in [token for token, span in spans.items() if span.over(at_ns)]:
                del spans[token]

    def add(self, place: Place, taken: int, before: int) -> None:
        """Count what was taken, as the store did then; where nothing is held, on top of what was
        counted `before`."""
        token, index = place.token, place.token[0]
        if place.algorithm is Algorithm.FIXED:
            window = self.fixed.get(place.ends_ns)
            count = before if window is None else window[index].get(token, before)
            self.set_fixed(place.ends_ns, token, count + taken)
        elif place.algorithm is Algorithm.GCRA:
            at_us = place.at_ns // NS_PER_US
            full_us = self.buckets[index].get(token)
            if full_us is None:
                full_us = at_us + back_us(before, place.rate, place.window_s)
            used_us = back_us(taken, place.rate, place.window_s)
            self.buckets[index][token] = max(full_us, at_us) + used_us
        elif place.algorithm is Algorithm.ROLLING:
            length_ns = length_ns_of(place.window_s)
            part, span = place.at_ns // length_ns, self.rolling[index].get(token)
            held = before if span is None else span.parts.get(part, 0)
            self.set_rolling(token, length_ns, part, held + taken)

    def change(self, place: Place | None, delta: int) -> None:
        """Correct a count; one that is not there is left alone."""
        if place is None:
            return
        token, index = place.token, place.token[0]
        if place.algorithm is Algorithm.FIXED:
            window = self.fixed.get(place.ends_ns)
            if window is not None and token in window[index]:
                window[index][token] = max(0, window[index][token] + delta)
        elif place.algorithm is Algorithm.GCRA:
            full_us = self.buckets[index].get(token)
            if full_us is not None:
                more_us = back_us(delta, place.rate, place.window_s)
                self.buckets[index][token] = max(0, full_us + more_us)
        elif place.algorithm is Algorithm.ROLLING:
            part, span = place.at_ns // length_ns_of(place.window_s), self.rolling[index].get(token)
            if span is not None and part in span.parts:
                span.parts[part] = max(0, span.parts[part] + delta)
