"""Behaviours that a request asks for by the name of its model.

The names in `BEHAVIOURS` work on the surfaces that generate (chat completions, completions,
responses, messages), streamed or not. `words-N`, names with `reason` or `cached` are told of in
`generation`, `telling` and `reason-aloud` in `told`.
"""

from dataclasses import dataclass
from enum import Enum

from proxy.demo.upstream.errors import mid_stream
from proxy.demo.upstream.reply import Reply, RequestError
from proxy.model.exchange import Dialect, Headers

BEHAVIOURS = {
    "fault-400": "refused with 400",
    "fault-403": "refused with 403",
    "fault-404": "refused with 404, as an unknown model is",
    "fault-429": "refused with 429 and a time to wait (20 ms)",
    "fault-429-stay": "refused with 429 and x-should-retry: false",
    "fault-429-once": "refused with 429 the first time that the same request comes, then served",
    "fault-500": "refused with 500",
    "fault-503": "refused with 503",
    "fault-529": "refused with 529, overloaded",
    "fault-reset": "the connection is reset before a byte of an answer",
    "fault-reset-mid": "the connection is reset after half the answer",
    "fault-truncated": "the connection closes after half the answer, inside a chunked body or "
    "before Content-Length is reached",
    "fault-no-end": "half the answer, then a proper end of the body: no terminal event",
    "fault-silent": "no byte of an answer ever comes",
    "fault-idle": "half the answer, then silence",
    "fault-slow": "every event (of JSON: each half) waits `slow_s` first",
    "fault-bad-json": "an event, or the whole body, is not JSON",
    "fault-event": "half a stream, then the dialect's error event; of JSON: 500",
    "fault-huge": "an answer of 8 MiB, where the output limit allows 2048 tokens",
    "no-usage": "an answer that tells no usage",
    "two-deltas": "messages only: usage is told twice, cumulatively",
    "encoded-gzip": "the answer is compressed with gzip, if the client accepts that",
    "encoded-br": "the answer is compressed with Brotli, if the client accepts that",
    "encoded-zstd": "the answer is compressed with Zstandard, if the client accepts that",
}

_WAIT: Headers = (("retry-after-ms", "20"), ("retry-after", "1"))
_REFUSALS: dict[str, tuple[int, str, Headers]] = {
    "fault-400": (400, "The emulator was asked to find fault with this request", ()),
    "fault-403": (403, "The emulator was asked to forbid this request", ()),
    "fault-404": (404, "The model 'fault-404' does not exist", ()),
    "fault-429": (429, "Rate limit reached", _WAIT),
    "fault-429-stay": (429, "You exceeded your current quota", (("x-should-retry", "false"),)),
    "fault-429-once": (429, "Rate limit reached", _WAIT),
    "fault-500": (500, "The server had an error", ()),
    "fault-503": (503, "The server is overloaded", ()),
    "fault-529": (529, "Overloaded", ()),
}


class Ending(Enum):
    """What happens to the connection once the steps are sent."""

    PROPER = "proper"
    CLOSE = "close"
    RESET = "reset"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True)
class Sending:
    """A reply cut into the writes that carry it; without a head no byte of an answer leaves."""

    chunks: tuple[bytes, ...]
    ending: Ending = Ending.PROPER
    head: bool = True


def refusal(model: str, seen_before: bool) -> tuple[RequestError, Headers] | None:
    """The error that a model's name asks for, and the fields beside it."""
    if model not in _REFUSALS or (model == "fault-429-once" and seen_before):
        return None
    status, message, headers = _REFUSALS[model]
    return RequestError(status, message, "model" if status == 404 else None), headers


_BROKEN = {
    "fault-reset": (Ending.RESET, False),
    "fault-silent": (Ending.SILENCE, False),
    "fault-reset-mid": (Ending.RESET, True),
    "fault-truncated": (Ending.CLOSE, True),
    "fault-idle": (Ending.SILENCE, True),
    "fault-no-end": (Ending.PROPER, True),
}


def sending(model: str, reply: Reply, dialect: Dialect) -> Sending:
    """How a reply leaves."""
    chunks = reply.events or _halves(reply.body)
    if reply.status != 200:
        return Sending(chunks)
    half = chunks[: len(chunks) // 2]
    if model in _BROKEN:
        ending, head = _BROKEN[model]
        return Sending(half if head else (), ending, head)
    if model == "fault-bad-json":
        return Sending(_bad_json(chunks, half) if reply.events else (b'{"broken": ',))
    if model == "fault-event":
        return Sending((*half, mid_stream(dialect, RequestError(529, "Overloaded"))))
    return Sending(chunks)


def _bad_json(events: tuple[bytes, ...], half: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return (*half, b'data: {"broken": \n\n', *events[len(half) :])


def _halves(body: bytes) -> tuple[bytes, ...]:
    middle = len(body) // 2
    return (body[:middle], body[middle:])
