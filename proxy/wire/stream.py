"""What the events of a streamed answer say: usage, progress, the end, an error.

Most events are deltas of a few bytes of text, and cost two regular expressions over their bytes
here; only an event that may carry something else is decoded. A pattern may find too much (a text
that is just `"usage":{` cannot occur unescaped in a JSON string, a value `"error"` can): what it
finds is decoded before it is believed.

Events: https://platform.openai.com/docs/api-reference/chat-streaming, …/responses-streaming and
https://docs.anthropic.com/en/docs/build-with-claude/streaming.
"""

import math
import re
from dataclasses import dataclass

import msgspec
from msgspec import Struct

from proxy.model.exchange import Dialect, Surface
from proxy.model.usage import Usage
from proxy.wire.jsontext import mend_surrogates
from proxy.wire.sse import event_data
from proxy.wire.tokens import GrowingText, inside_tokens
from proxy.wire.usage import merged, normalized

_DONE = b"[DONE]"


class _Held(Struct):
    usage: object = None


class _Event(Struct):
    """The declared fields of any event: `message` and `response` hold a usage of their own."""

    type: object = None
    choices: object = None
    usage: object = None
    error: object = None
    message: _Held | str | None = None
    response: _Held | None = None


_EVENTS: msgspec.json.Decoder[_Event] = msgspec.json.Decoder(_Event)


@dataclass(frozen=True, slots=True)
class _Grammar:
    """How one surface streams: which events to decode, what is text, what ends the stream.

    Text stands behind the first `text_after` of an event.
    """

    notable: re.Pattern[bytes]
    text_after: bytes
    text: re.Pattern[bytes]
    terminal: frozenset[str] = frozenset()
    failing: frozenset[str] = frozenset({"error"})


def _text(names: str) -> re.Pattern[bytes]:
    return re.compile(rb'"(?:' + names.encode() + rb')"\s*+:\s*+"((?:[^"\\]++|\\.)*+)"', re.DOTALL)


_CHAT_NOTABLE = re.compile(rb'"usage"\s*+:\s*+\{|"error"\s*+:\s*+[^n\s]|\[DONE\]')
_CHAT = _Grammar(
    _CHAT_NOTABLE, b'"delta"', _text("content|reasoning_content|reasoning|refusal|arguments")
)
_COMPLETIONS = _Grammar(_CHAT_NOTABLE, b'"choices"', _text("text"))
_RESPONSES = _Grammar(
    re.compile(rb'"type"\s*+:\s*+"(?:response\.(?:completed|incomplete|failed|cancelled)|error)"'),
    b'"delta"',
    _text("delta"),
    frozenset(
        {"response.completed", "response.incomplete", "response.failed", "response.cancelled"}
    ),
    frozenset({"error", "response.failed"}),
)
_MESSAGES = _Grammar(
    re.compile(rb'"usage"\s*+:\s*+\{|"type"\s*+:\s*+"(?:message_stop|error)"'),
    b'"delta"',
    _text("text|partial_json|thinking"),
    frozenset({"message_stop"}),
)
_IMAGE_DONE = frozenset({"image_generation.completed", "image_edit.completed"})
_MEDIA = _Grammar(
    re.compile(rb'"usage"\s*+:\s*+\{|"type"\s*+:\s*+"(?:[a-z_.]+\.(?:completed|done)|error)"'),
    b'"delta"',
    _text("delta"),
    _IMAGE_DONE | {"speech.audio.done", "transcript.text.done"},
)
_GRAMMARS = {
    "chat.completions": _CHAT,
    "completions": _COMPLETIONS,
    "responses": _RESPONSES,
    "messages": _MESSAGES,
}


class StreamReader:
    """The sum of what the events so far have said.

    `output_tokens` estimates the text that was delivered. `complete` is True once the surface's
    own last event has come, `error_event` once an error has.
    """

    __slots__ = (
        "_anthropic_usage",
        "_dialect",
        "_grammar",
        "_text",
        "complete",
        "error_event",
        "usage",
    )

    def __init__(self, surface: Surface) -> None:
        self._grammar = _GRAMMARS.get(surface.name, _MEDIA)
        self._dialect = surface.dialect
        self._anthropic_usage: dict[str, object] = {}
        self.usage: Usage | None = None
        self._text = GrowingText()
        self.complete = False
        self.error_event = False

    @property
    def output_tokens(self) -> int:
        """Estimated tokens of the text that was delivered."""
        return self._text.tokens

    def read(self, unit: bytes) -> bool:
        """Take one unit in; whether it is a chat chunk that carries a usage and no choice."""
        grammar = self._grammar
        text_at = unit.find(grammar.text_after)
        if text_at >= 0 and b"audio.delta" not in unit:
            for piece in grammar.text.findall(unit, text_at):
                self._text.add(piece)
        if grammar.notable.search(unit) is None:
            return False
        data = event_data(unit)
        if data.strip() == _DONE:
            self.complete = True
            return False
        event = _decoded(data)
        return event is not None and self._take(event)

    def _take(self, event: _Event) -> bool:
        kind = event.type if isinstance(event.type, str) else ""
        self.complete = self.complete or kind in self._grammar.terminal
        failed = kind in self._grammar.failing or bool(event.error)
        self.error_event = self.error_event or failed
        for usage in (event.usage, _usage_in(event.message), _usage_in(event.response)):
            if usage is not None:
                self._take_usage(usage)
        if kind in _IMAGE_DONE:
            self.usage = (self.usage or Usage()) + Usage(images=1)
        return event.choices == [] and isinstance(event.usage, dict)

    def _take_usage(self, usage: object) -> None:
        if self._dialect is Dialect.ANTHROPIC:
            self._anthropic_usage = merged(self._anthropic_usage, usage)
            usage = self._anthropic_usage
        found = normalized(self._dialect, usage)
        if found is not None and self.usage is not None and self.usage.images:
            found += self.usage  # each image is reported by itself
        self.usage = found or self.usage


def text_tokens_of(surface: Surface, answer: bytes | bytearray) -> int:
    """Estimated tokens of the output text in a JSON answer, whole or cut off."""
    names = _ANSWER_TEXT.get(surface.name)
    return math.ceil(inside_tokens(b" ".join(names.findall(answer)))) if names else 0


_ANSWER_TEXT = {
    "chat.completions": _CHAT.text,
    "completions": _COMPLETIONS.text,
    "responses": _text("text|arguments"),
    "messages": _MESSAGES.text,
    "audio": _text("text"),
}


def _usage_in(holder: _Held | str | None) -> object:
    return holder.usage if isinstance(holder, _Held) else None


def _decoded(data: bytes) -> _Event | None:
    try:
        return _EVENTS.decode(mend_surrogates(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
