"""Lines of a live recording put in the order of arrival, each with its answer.

A gateway tells an exchange when it is judged and its answer when that has ended, up to minutes
later; a recording has both on one line, in the order of arrival. So lines wait here: until
everything that arrived before them must have been told, and until their answer has ended. Who
waits too long, or takes too much room, is written without its answer, and counted.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

HOLD_S = 75.0  # a body may take a minute to arrive, and its exchange is told after that
PATIENCE_S = 900.0
MAX_BYTES = 512 * 2**20


@dataclass(slots=True)
class _Held:
    ts: float
    text: bytes
    final: bool


@dataclass(slots=True)
class Joiner:
    """Lines that wait. Times are Unix seconds of the gateway's clock."""

    hold_s: float = HOLD_S
    patience_s: float = PATIENCE_S
    max_bytes: int = MAX_BYTES
    unanswered: int = 0  # written without their answer, which had not ended
    late: int = 0  # told after later ones were written, and left out
    _held: dict[str, _Held] = field(default_factory=dict)
    _order: list[tuple[float, int, str]] = field(default_factory=list)
    _count: int = 0
    _bytes: int = 0
    _written_ts: float = 0.0

    def line(self, ts: float, identity: str, text: bytes, *, final: bool) -> None:
        """An exchange was judged; `final`: no answer will come. `text` is a JSON object."""
        if ts < self._written_ts or identity in self._held:
            self.late += 1
            return
        self._held[identity] = _Held(ts, text, final)
        heapq.heappush(self._order, (ts, self._count, identity))
        self._count += 1
        self._bytes += len(text)

    def ended(self, identity: str, response: bytes) -> None:
        """The answer to an exchange has ended; `response` is a JSON object."""
        held = self._held.get(identity)
        if held is not None and not held.final:
            joined = held.text[:-1] + b',"response":' + response + b"}"
            self._bytes += len(joined) - len(held.text)
            held.text, held.final = joined, True

    @property
    def waiting(self) -> int:
        """Exchanges whose answer has not ended."""
        return sum(not held.final for held in self._held.values())

    def due(self, now_s: float) -> Iterator[bytes]:
        """The lines that can be written by now, in the order of arrival."""
        while self._order:
            ts, _, identity = self._order[0]
            held = self._held[identity]
            patient = now_s - ts < self.patience_s and self._bytes <= self.max_bytes
            if patient and not (held.final and now_s - ts >= self.hold_s):
                return
            yield self._next()

    def rest(self) -> Iterator[bytes]:
        """All that is left, at the end."""
        while self._order:
            yield self._next()

    def _next(self) -> bytes:
        ts, _, identity = heapq.heappop(self._order)
        held = self._held.pop(identity)
        self._written_ts = ts
        self._bytes -= len(held.text)
        self.unanswered += not held.final
        return held.text
