"""How many different texts were seen, in bounded memory: exact up to a bound, then estimated.

Kept are the smallest hashes; how small they are tells how many there are. With k kept the relative
standard error is about 1/√k: 1.6 % for 4,096, 0.4 % for 65,536. Source: Bar-Yossef et al.,
"Counting distinct elements in a data stream", RANDOM 2002 (k minimum values).
"""

import heapq
from dataclasses import dataclass
from hashlib import blake2b

_HASHES = 2**64


@dataclass(frozen=True, slots=True)
class Count:
    """A number; not `exact` where it is an estimate."""

    value: int
    exact: bool = True

    def __str__(self) -> str:
        return f"{self.value:,}" if self.exact else f"about {self.value:,}"


class Distinct:
    """Counts different texts."""

    __slots__ = ("_heap", "_kept", "_most", "_passed")

    def __init__(self, exact_up_to: int) -> None:
        self._most = exact_up_to
        self._kept: set[int] = set()
        self._heap: list[int] = []  # the kept ones negated: the largest comes first
        self._passed = False

    def add(self, text: str) -> None:
        """Note a text."""
        raw = text.encode("utf-8", "surrogatepass")
        number = int.from_bytes(blake2b(raw, digest_size=8).digest())
        if number in self._kept:
            return
        if len(self._kept) < self._most:
            self._kept.add(number)
            heapq.heappush(self._heap, -number)
            return
        self._passed = True
        if number < -self._heap[0]:
            self._kept.discard(-heapq.heapreplace(self._heap, -number))
            self._kept.add(number)

    def count(self) -> Count:
        """How many different texts were noted."""
        if not self._passed:
            return Count(len(self._kept))
        return Count(round((self._most - 1) * _HASHES / -self._heap[0]), exact=False)
