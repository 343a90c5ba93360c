"""What the readers of answers share: what they are asked for, and how a body is to be read."""

import re
from typing import Protocol

import msgspec
from msgspec import Raw, Struct

from proxy.model.exchange import Asked, Surface
from proxy.model.usage import Usage
from proxy.wire.bodies import NO_RAW
from proxy.wire.jsontext import mend_surrogates
from proxy.wire.usage import heard, normalized, with_images

MAX_READ_BYTES = 16 * 1024 * 1024
_MAX_HELD_BYTES = 8 * 1024
_A_CHOICE = re.compile(rb'"choices"\s*+:\s*+\[\s*+[^\]\s]')


class AnswerReader(Protocol):
    """What the relay asks of a reader: of one that only reads, and of one that changes too."""

    def feed(self, chunk: bytes) -> bytes:
        """Read a chunk as it came from the upstream; the bytes to send to the client now."""
        ...

    def finish(self) -> bytes:
        """The upstream has ended its body properly; the bytes that were still held, if any."""
        ...

    @property
    def usage(self) -> Usage | None:
        """What the upstream reported, or None."""
        ...

    @property
    def delivered_output_tokens(self) -> int:
        """Estimated tokens of the output text that was passed on."""
        ...

    @property
    def complete(self) -> bool:
        """Whether the whole answer has been passed on."""
        ...

    @property
    def mid_event(self) -> bool:
        """Whether the client has got the beginning of an event and not its end."""
        ...

    @property
    def held(self) -> bool:
        """Whether nothing can be passed on before the whole body is here."""
        ...

    @property
    def cut(self) -> bool:
        """Whether the stream has been ended by its reader; nothing more goes on."""
        ...

    def allow(self, output_tokens: int) -> None:
        """Let a stream go on to so many output tokens, where it is to be ended by its reader."""
        ...

    @property
    def gave_up(self) -> bool:
        """Whether the answer is too large to be read, or in a coding that cannot be."""
        ...

    @property
    def broken(self) -> bool:
        """Whether the answer cannot be changed as it must be; nothing more goes on."""
        ...


class _JsonAnswer(Struct):
    usage: object = None
    svg_usage: object = None  # of images that a second model draws as text
    data: Raw = NO_RAW
    duration: object = None  # of a recording, in seconds


_ANY_JSON = msgspec.json.Decoder(msgspec.Raw)
_JSON_ANSWERS: msgspec.json.Decoder[_JsonAnswer] = msgspec.json.Decoder(_JsonAnswer)


def json_answer(surface: Surface, answer: bytes) -> tuple[bool, Usage | None]:
    """Whether an answer is whole JSON, and the usage that it reports."""
    try:
        mended = mend_surrogates(answer)
        _ANY_JSON.decode(mended)
        return True, _used(surface, _JSON_ANSWERS.decode(mended))
    except msgspec.ValidationError:
        return True, None  # whole JSON, but not an object
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False, None


def _used(surface: Surface, answer: _JsonAnswer) -> Usage | None:
    usage = normalized(surface.dialect, answer.usage)
    match surface.name:
        case "images":
            drawn = normalized(surface.dialect, answer.svg_usage)
            if drawn is not None:
                usage = (usage or Usage()) + drawn
            return with_images(usage, answer.data)
        case "audio" if usage is None:
            return heard(answer.duration)
        case _:
            return usage


def media_kind(content_type: str | None, asked: Asked) -> str:
    """How to read an answer: as a stream, as JSON, or not at all."""
    if not content_type:
        return "stream" if asked.stream else "json"
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "text/event-stream":
        return "stream"
    if media_type == "application/json" or media_type.endswith("+json"):
        return "json"
    return "opaque"


def may_be_usage_chunk(event: bytes | bytearray) -> bool:
    """Whether an event, whole or unfinished, can still be the chunk that is hidden.

    Once False for the beginning of an event, it is False for the whole event.
    """
    if len(event) > _MAX_HELD_BYTES or event.startswith(b":"):
        return False
    return _A_CHOICE.search(event) is None
