"""The counts of a moment, taken out of the memory of a store to be written down.

Taking them waits for nothing, so that what is taken fits together; making tokens and bytes of
them costs more, and may be done in pieces afterwards.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar

from msgspec import Struct, field

from proxy.model.plan import Charge, Plan
from proxy.store.frames import COUNT, PART, Frame
from proxy.store.generations import MASK, Table
from proxy.store.memory import FIXED, GCRA, ROLLING, MemoryStore
from proxy.store.rolling import Span, part_ns

Item = TypeVar("Item")
Name = str | bytes  # of a counter; of one that an earlier process left, its token
_Parts = tuple[tuple[tuple[int, Mapping[Any, int]], ...], Mapping[Any, int], Mapping[Any, Span]]
TokenOf = Callable[[str], bytes]
AT_ONCE = 250  # counts that are encoded between two looks at anything else


class Captured(Struct):
    """Counts by counter (of an earlier process: by token) at one moment."""

    fixed: dict[int, dict[Name, int]] = field(default_factory=dict)
    buckets: dict[Name, int] = field(default_factory=dict)
    rolling: dict[tuple[Name, int], tuple[int, int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(map(len, self.fixed.values())) + len(self.buckets) + len(self.rolling)


def changed(store: MemoryStore, plans: Iterable[Plan]) -> Captured:
    """The present counts of what plans were counted by."""
    captured = Captured()
    for plan in {id(plan): plan for plan in plans}.values():  # taken and settled: once is enough
        for charge in plan.charges:
            _add(captured, store, charge, plan.at_ns)
    return captured


def _add(captured: Captured, store: MemoryStore, charge: Charge, at_ns: int) -> None:
    counter, algorithm = charge.counter, charge.algorithm
    if algorithm is FIXED:
        counts = captured.fixed.setdefault(charge.ends_ns, {})
        window = store.fixed.get(charge.ends_ns)
        if counter not in counts and window is not None:
            count = window[hash(counter) & MASK].get(counter)
            if count is not None:
                counts[counter] = count
    elif algorithm is GCRA:
        full_us = store.buckets.counts.get(counter)
        if full_us is not None:
            captured.buckets[counter] = full_us
    elif algorithm is ROLLING:
        length_ns = part_ns(charge)
        span = store.rolling.counts.get(counter)
        parts = {} if span is None else span.parts
        # One that began with what it inherits is new in all its parts.
        for part in parts if charge.inherits else (at_ns // length_ns,):
            if part in parts:
                captured.rolling[counter, part] = length_ns, parts[part]


def all_of(store: MemoryStore, at_least: int) -> Iterator[Captured]:
    """All counts, some of them at each step, as they are at that step.

    What an earlier process left comes first: what is asked for meanwhile moves to the counts of
    this one, which come later. What has changed since its step is for `changed` to tell.
    """
    into = Captured()
    for fixed, buckets, rolling in _tables(store):
        for ends_ns, counts in fixed:
            into.fixed.setdefault(ends_ns, {}).update(counts)
        into.buckets.update(buckets)
        for name, span in rolling.items():
            for part, count in span.parts.items():
                into.rolling[name, part] = span.length_ns, count
        if len(into) >= at_least:
            yield into
            into = Captured()
    yield into


def _tables(store: MemoryStore) -> Iterator[_Parts]:
    """A part of a table at each step: of windows by their end, of buckets, or of spans."""
    if store.restored is not None:
        yield from _parts_of(store.restored.fixed)
        yield from (((), buckets, {}) for buckets in store.restored.buckets)
        yield from (((), {}, spans) for spans in store.restored.rolling)
    yield from _parts_of(store.fixed)
    for buckets in store.buckets.counts.tables():
        yield from (((), part, {}) for part in buckets)
    for spans in store.rolling.counts.tables():
        yield from (((), {}, part) for part in spans)


def _parts_of(fixed: Mapping[int, Table[Any, int]]) -> Iterator[_Parts]:
    for ends_ns in list(fixed):
        for part in fixed.get(ends_ns, ()):
            if part:
                yield ((ends_ns, part),), {}, {}


def encoded(captured: Captured, of: TokenOf, into: Frame) -> Iterator[None]:
    """Put what was captured into a frame, some of it at each step; `of` makes tokens."""
    fixed: dict[int, list[bytes]] = {ends_ns: [into.fixed[ends_ns]] for ends_ns in into.fixed}
    for ends_ns, counts in captured.fixed.items():
        packed = fixed.setdefault(ends_ns, [])
        for some in batched(counts.items()):
            packed.append(b"".join([COUNT.pack(_token(n, of), count) for n, count in some]))
            yield
    into.fixed = {ends_ns: b"".join(packed) for ends_ns, packed in fixed.items()}
    for some in batched(captured.buckets.items()):
        into.buckets += b"".join([COUNT.pack(_token(n, of), full) for n, full in some])
        yield
    for parts in batched(captured.rolling.items()):
        into.rolling += b"".join(
            [
                PART.pack(_token(name, of), length_ns, part, count)
                for (name, part), (length_ns, count) in parts
            ]
        )
        yield


def batched(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Items in lists of AT_ONCE."""
    iterator = iter(items)
    while some := list(islice(iterator, AT_ONCE)):
        yield some


def _token(name: Name, of: TokenOf) -> bytes:
    return name if isinstance(name, bytes) else of(name)
