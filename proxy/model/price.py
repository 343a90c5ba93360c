"""What tokens cost: one entry of a price table, and the cost of a usage by it."""

from msgspec import Struct

from proxy.model.usage import Usage

PER = 1_000_000  # prices are for a million tokens; costs are in millionths: the two cancel


class Price(Struct, frozen=True, gc=False):
    """Prices of one model, in millionths of the currency.

    `input`, `cached`, `cache_written`, `output` and `reasoning` are for a million tokens, `request`
    for each request, `image` for each image of an answer, `second` for each second of audio.
    """

    input: int = 0
    cached: int = 0
    cache_written: int = 0
    output: int = 0
    reasoning: int = 0
    request: int = 0
    image: int = 0
    second: int = 0

    def of(self, usage: Usage, requests: int = 1) -> int:
        """The cost of a usage in millionths, rounded up: what is used is never free by rounding."""
        plain = usage.input_tokens - usage.cached_tokens - usage.cache_written_tokens
        written = usage.output_tokens - usage.reasoning_tokens
        tokens = (
            max(0, plain) * self.input
            + usage.cached_tokens * self.cached
            + usage.cache_written_tokens * self.cache_written
            + max(0, written) * self.output
            + usage.reasoning_tokens * self.reasoning
        )
        pieces = usage.images * self.image + requests * self.request
        return pieces - -tokens // PER + _ceil(usage.seconds * self.second)

    @property
    def dearest_input(self) -> int:
        """The most that a million tokens of input may cost: caching them may cost more."""
        return max(self.input, self.cached, self.cache_written)

    @property
    def dearest_output(self) -> int:
        """The most that a million tokens of output may cost."""
        return max(self.output, self.reasoning)


def _ceil(value: float) -> int:
    return -int(-value // 1)
