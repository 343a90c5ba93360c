"""Named parts left out of an answer: log probabilities, and what a model thought.

The caller must not receive them, so this fails closed: what may carry a part and cannot be read
raises, and the reader of the answer ends it. What carries none comes back as the same object.

`logprobs`: of choices they are null, of output text and its events `[]`.

`reasoning`: `reasoning_content`, `reasoning` and the like of messages and deltas are gone, so are
the `response.reasoning…` events. An item of type `reasoning` stays as an empty shell with its id: a
stored conversation is carried on with it, and the model API refuses a function call without the
item that came before it. Blocks of an Anthropic message are gone with their events, and
the numbers of those behind them close up, since SDKs take these numbers for places in a list.
"""

import msgspec
from msgspec import Raw, Struct

from proxy.model.exchange import Surface
from proxy.wire.jsontext import mend_surrogates
from proxy.wire.parts import SHELL, parts_of
from proxy.wire.rewrite import in_member, rewritten
from proxy.wire.sse import event_data, with_data

_NOTHING = (b"null", b"[]", b'""', b"{}")  # values that carry nothing
# Below the roots of these there may be anything that callers define, such as a tool's input.
_SHALLOW = frozenset({"messages", "messages.batches"})


class StripError(ValueError):
    """An answer that may carry what must be left out cannot be read."""


class Stripper:
    """Leaves parts out of one answer: whole, or event by event (then it keeps count of blocks).

    The parts must be some that concern the surface (`parts.concerns`).
    """

    __slots__ = ("_gone", "_parts", "_pattern", "_shallow")

    def __init__(self, surface: Surface, strip: tuple[str, ...]) -> None:
        self._parts, self._pattern = parts_of(surface.name, strip)
        self._shallow = surface.name in _SHALLOW
        self._gone: list[int] = []  # numbers of the blocks that were left out

    def answer(self, text: bytes) -> bytes:
        """A JSON answer without the parts. Raises StripError."""
        if self._pattern.search(text) is None:
            return text
        try:
            return self._envelope(text)
        except (ValueError, RecursionError) as error:
            raise StripError from error

    def event(self, unit: bytes) -> bytes:
        """A unit of a stream as it is to go on: empty where it goes. Raises StripError."""
        if not self._gone and self._pattern.search(unit) is None:
            return unit
        data = event_data(unit)
        if unit.startswith((b":", b"\r", b"\n")) or data.strip() in (b"", b"[DONE]"):
            return unit
        try:
            return self._event(unit, data)
        except (ValueError, RecursionError) as error:
            raise StripError from error

    def _event(self, unit: bytes, data: bytes) -> bytes:
        event = _EVENTS.decode(mend_surrogates(data))
        kind = event.type if isinstance(event.type, str) else ""
        if kind.startswith(self._parts.events) or _type_of(event.part) in self._parts.types:
            return b""
        if self._shallow and kind.startswith("content_block_"):
            return self._block(unit, data, event)
        changed = self._envelope(data)
        return unit if changed is data else with_data(unit, changed)

    def _block(self, unit: bytes, data: bytes, event: "_Event") -> bytes:
        """An event of a block of a message: gone with its block, or with its number closed up."""
        index = event.index if type(event.index) is int else -1
        if _type_of(event.content_block) in self._parts.types:
            self._gone.append(index)
        if index in self._gone or _type_of(event.delta) in self._parts.types:
            return b""
        before = sum(gone < index for gone in self._gone)
        if not before:
            return unit
        return with_data(unit, in_member(data, "index", lambda _: b"%d" % (index - before)))

    def _envelope(self, text: bytes) -> bytes:
        """An answer, an event, or an object that holds one."""
        return rewritten(text, self._outer)

    def _outer(self, name: str, value: bytes) -> bytes | None:
        parts = self._parts
        if name in parts.top:
            return value if value in _NOTHING else parts.top[name]
        if name in parts.wraps and value.startswith(b"{"):
            return self._envelope(value)
        return self._value(value) if name in parts.roots else value

    def _value(self, value: bytes) -> bytes:
        if value.startswith(b"["):
            return rewritten(value, self._element)
        if self._shallow or not value.startswith(b"{"):
            return value
        shell = self._parts.shells and _type_of(value) in self._parts.shells
        return rewritten(value, _emptied if shell else self._inner)

    def _element(self, _name: str, value: bytes) -> bytes | None:
        if self._parts.types and _type_of(value) in self._parts.types:
            return None
        return self._value(value)

    def _inner(self, name: str, value: bytes) -> bytes | None:
        if name in self._parts.members:
            return value if value in _NOTHING else self._parts.members[name]
        # What callers attach to an answer is theirs, whatever they call it.
        return value if name == "metadata" else self._value(value)


def _emptied(name: str, value: bytes) -> bytes | None:
    return value if name not in SHELL or value in _NOTHING else SHELL[name]


class _Event(Struct):
    """What an event says of itself."""

    type: object = None
    index: object = None
    content_block: Raw = Raw(b"null")
    delta: Raw = Raw(b"null")
    part: Raw = Raw(b"null")


class _Typed(Struct):
    type: object = None


_EVENTS: msgspec.json.Decoder[_Event] = msgspec.json.Decoder(_Event)
_TYPED: msgspec.json.Decoder[_Typed] = msgspec.json.Decoder(_Typed)


def _type_of(value: bytes | Raw) -> str:
    """The type that an object names, or nothing."""
    text = bytes(value)
    if not text.startswith(b"{"):
        return ""
    kind = _TYPED.decode(mend_surrogates(text)).type
    return kind if isinstance(kind, str) else ""
