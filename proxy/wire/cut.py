"""The end of a stream that is cut off on its way, such that an SDK sees a normal end.

What a stream has opened is remembered event by event, and closed as the model API itself closes an
answer that has reached its bound of output: choices with `length`, a message with `max_tokens`, a
response that is incomplete by `max_output_tokens`. The counts in it are Gauger's own estimates
where the model API has not reported any. Nothing that a model did not say is put into its mouth:
an item of a response that was still open ends with the text that was delivered.

Events: https://platform.openai.com/docs/api-reference/chat-streaming, …/responses-streaming and
https://docs.anthropic.com/en/docs/build-with-claude/streaming.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec
from msgspec import Raw, Struct

from proxy.model.exchange import Surface
from proxy.model.usage import Usage
from proxy.wire.cut_responses import Items
from proxy.wire.jsontext import mend_surrogates
from proxy.wire.sse import event_data, written


class Ending(Protocol):
    """What is open in a stream, and how it is closed."""

    def read(self, data: bytes) -> None:
        """Take in the data of one event."""
        ...

    def close(self, usage: Usage) -> bytes:
        """The events that end the stream here; `usage` is what it will have used."""
        ...


class Cutter:
    """Watches one stream for the point where it ends."""

    __slots__ = ("_ending",)

    def __init__(self, surface: Surface, *, tell_usage: bool) -> None:
        self._ending = _ENDINGS[surface.name](tell_usage)

    def read(self, unit: bytes) -> None:
        """Take in one unit that goes on to the client; what cannot be read opens nothing."""
        data = event_data(unit)
        if data.startswith(b"{"):
            try:
                self._ending.read(mend_surrogates(data))
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
                return

    def close(self, usage: Usage) -> bytes:
        """The events that end the stream here; `usage` is what it will have used."""
        return self._ending.close(usage)


def can_cut(surface: Surface) -> bool:
    """Whether streams of the surface can be ended on their way."""
    return surface.name in _ENDINGS


# -- chat and older completions ------------------------------------------------------------------


class _Choice(Struct):
    index: int = 0
    finish_reason: object = None


class _Chunk(Struct):
    choices: list[_Choice] = []


_CHUNKS: msgspec.json.Decoder[_Chunk] = msgspec.json.Decoder(_Chunk)
_HEADS: msgspec.json.Decoder[dict[str, Raw]] = msgspec.json.Decoder(dict[str, Raw])
_OF_ONE_CHUNK = ("choices", "usage", "obfuscation")


class _Choices:
    """Choices that have begun and not ended; the rest of a chunk is the same in all of them."""

    def __init__(self, nothing: dict[str, object], *, tell_usage: bool) -> None:
        self._nothing = nothing
        self._tell_usage = tell_usage
        self._head: dict[str, Raw] = {}
        self._open: dict[int, None] = {}

    def read(self, data: bytes) -> None:
        chunk = _CHUNKS.decode(data)
        if chunk.choices and not self._head:
            head = _HEADS.decode(data)
            self._head = {
                name: Raw(bytes(head[name])) for name in head if name not in _OF_ONE_CHUNK
            }
        for choice in chunk.choices:
            self._open[choice.index] = None
            if choice.finish_reason is not None:
                del self._open[choice.index]

    def close(self, usage: Usage) -> bytes:
        told: dict[str, object] = {"usage": None} if self._tell_usage else {}
        ended = {**self._nothing, "logprobs": None, "finish_reason": "length"}
        events = [
            written({**self._head, "choices": [{"index": index, **ended}], **told})
            for index in sorted(self._open)
        ]
        if self._tell_usage:
            counts = {
                "prompt_tokens": usage.input_tokens,
                "completion_tokens": usage.output_tokens,
                "total_tokens": usage.total_tokens,
            }
            events.append(written({**self._head, "choices": [], "usage": counts}))
        return b"".join([*events, b"data: [DONE]\n\n"])


# -- messages ------------------------------------------------------------------------------------


class _BlockEvent(Struct):
    type: str = ""
    index: int = 0


_BLOCK_EVENTS: msgspec.json.Decoder[_BlockEvent] = msgspec.json.Decoder(_BlockEvent)


class _Blocks:
    """Blocks of a message that have begun and not ended."""

    def __init__(self) -> None:
        self._open: dict[int, None] = {}

    def read(self, data: bytes) -> None:
        event = _BLOCK_EVENTS.decode(data)
        if event.type == "content_block_start":
            self._open[event.index] = None
        elif event.type == "content_block_stop":
            self._open.pop(event.index, None)

    def close(self, usage: Usage) -> bytes:
        stops: list[dict[str, object]] = [
            {"type": "content_block_stop", "index": index} for index in sorted(self._open)
        ]
        ended: dict[str, object] = {
            "type": "message_delta",
            "delta": {"stop_reason": "max_tokens", "stop_sequence": None},
            "usage": {"output_tokens": usage.output_tokens},
        }
        events: list[dict[str, object]] = [*stops, ended, {"type": "message_stop"}]
        return b"".join(written(event, str(event["type"])) for event in events)


_ENDINGS: dict[str, Callable[[bool], Ending]] = {
    "chat.completions": lambda tell: _Choices({"delta": {}}, tell_usage=tell),
    "completions": lambda tell: _Choices({"text": ""}, tell_usage=tell),
    "messages": lambda _tell: _Blocks(),
    "responses": lambda _tell: Items(),
}
