"""Tokens that an exchange used, in one vocabulary for both dialects."""

from msgspec import Struct


class Usage(Struct, frozen=True, gc=False):
    """Token counts of one exchange.

    `input_tokens` is the whole input: `cached_tokens` (read from a cache) and
    `cache_written_tokens` are parts of it. `reasoning_tokens` is a part of `output_tokens`.
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    cache_written_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


class Outcome(Struct, frozen=True, gc=False):
    """How a forwarded exchange ended.

    `usage` is what the upstream reported, or None; `delivered_output_tokens` is an estimate from
    the bytes that were passed on, for when it reported nothing. `complete` is False where
    the stream broke, the client left or a time-out struck. `status` 0 means that no answer came.
    """

    status: int
    complete: bool
    usage: Usage | None
    delivered_output_tokens: int = 0
    forwarded: bool = True
    error: str | None = None  # "client_gone", "upstream_reset", "idle_timeout" …
