"""Tokens that an exchange used, in one vocabulary for both dialects."""

from msgspec import Struct


class Usage(Struct, frozen=True, gc=False):
    """Token counts of one exchange.

    `input_tokens` is the whole input: `cached_tokens` (read from a cache) and
    `cache_written_tokens` are parts of it. `reasoning_tokens` is a part of `output_tokens`.
    `images` is how many an answer holds, `seconds` how much audio was heard.
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    cache_written_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    images: int = 0
    seconds: float = 0.0

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.cache_written_tokens + other.cache_written_tokens,
            self.output_tokens + other.output_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.images + other.images,
            self.seconds + other.seconds,
        )


class Outcome(Struct, frozen=True, gc=False):
    """How a forwarded exchange ended.

    `usage` is what the upstream reported, or None; `delivered_output_tokens` is an estimate from
    the bytes that were passed on (`answer_bytes`, with those of a request that did not say how
    large it is), for when it reported nothing. `complete` is False where the stream broke, the
    client left or a time-out struck. `status` 0 means that no answer came. `unknown` says that more
    may have been used than anybody here can tell, unless there is a usage: what was reserved stays.
    """

    status: int
    complete: bool
    usage: Usage | None
    delivered_output_tokens: int = 0
    forwarded: bool = True
    answer_bytes: int = 0
    error: str | None = None  # "client_gone", "upstream_reset", "idle_timeout" …
    unknown: bool = False
