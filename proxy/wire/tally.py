"""The sums that requests of a batch add up to, whatever they came in.

Sums are bounded in number and in size: a batch may name as many models as it has lines, and ask
for as much as it likes. Models beyond the bound count as one that nobody knows.
"""

from dataclasses import dataclass

from proxy.model.batch import BatchCount, BatchPart, Sampler
from proxy.model.exchange import Asked
from proxy.wire.asked import BYTES_PER_TOKEN

_MAX_PARTS = 64
_MOST = 10**15  # of a sum; what is larger is no different, and has to stay within 64 bits
_WITHOUT_OUTPUT = frozenset({"embeddings", "moderations", "images", "messages.count_tokens"})


@dataclass(slots=True)
class _Sums:
    requests: int = 0
    input_tokens: int = 0
    max_output_tokens: int = 0
    unbounded: int = 0
    images: int = 0


class Tally:
    """Adds requests up by surface and model. A `sampler` is shown each request that was read."""

    __slots__ = (
        "_first_unread", "_parts", "_sampler", "_unread_bytes", "_unread_lines", "_unread_tokens",
    )  # fmt: skip

    def __init__(self, sampler: Sampler | None = None) -> None:
        self._sampler = sampler
        self._parts: dict[tuple[str, str | None], _Sums] = {}
        self._unread_lines = 0
        self._unread_bytes = 0
        self._unread_tokens = 0
        self._first_unread: tuple[int, str] | None = None

    def add(self, surface: str, asked: Asked) -> None:
        """Count one request of a surface."""
        sums = self._sums(surface, asked.model)
        sums.requests += 1
        if self._sampler is not None:
            self._sampler.take(asked)
        sums.input_tokens = min(_MOST, sums.input_tokens + asked.input_tokens_estimate)
        if surface == "images":
            sums.images = min(_MOST, sums.images + asked.choices)
        if surface in _WITHOUT_OUTPUT:
            return
        if asked.max_output_tokens is None:
            sums.unbounded = min(_MOST, sums.unbounded + asked.choices)
        else:
            most = asked.max_output_tokens * asked.choices
            sums.max_output_tokens = min(_MOST, sums.max_output_tokens + most)

    def add_unread(self, size: int, number: int, why: str, *, lines: int = 1) -> None:
        """Count lines that cannot be read by their `size` in bytes, from line `number` on."""
        self._first_unread = self._first_unread or (number, why)
        self._unread_lines += lines
        self._unread_bytes += size
        self._unread_tokens += -(-size // BYTES_PER_TOKEN)

    def count(self) -> BatchCount:
        """The sums so far, in the order of their names."""
        named = sorted(self._parts.items(), key=lambda item: (item[0][0], item[0][1] or ""))
        number, why = self._first_unread or (None, None)
        return BatchCount(
            tuple(_part(surface, model, sums) for (surface, model), sums in named),
            self._unread_lines,
            self._unread_bytes,
            self._unread_tokens,
            number,
            why,
            self._sampler.tokens() if self._sampler is not None else (),
        )

    def _sums(self, surface: str, model: str | None) -> _Sums:
        found = self._parts.get((surface, model))
        if found is not None:
            return found
        if len(self._parts) >= _MAX_PARTS:
            model = None
        return self._parts.setdefault((surface, model), _Sums())


def _part(surface: str, model: str | None, sums: _Sums) -> BatchPart:
    return BatchPart(
        surface,
        model,
        sums.requests,
        sums.input_tokens,
        sums.max_output_tokens,
        sums.unbounded,
        sums.images,
    )
