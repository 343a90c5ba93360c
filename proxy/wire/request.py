"""What a request asks for, read from its JSON body.

Only declared fields are decoded; everything else is checked to be JSON and skipped. What is read
here and what the upstream reads must not differ, so a body that names a top-level member twice is
refused, and so is a declared field of the wrong type.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from proxy.model.exchange import Asked, BadRequest, BodyKind, Surface
from proxy.wire.asked import (
    asked_batch,
    asked_chat,
    asked_messages,
    asked_responses,
    asked_texted,
)
from proxy.wire.bodies import Batch, Body, Chat, Messages, Responses, Texted
from proxy.wire.jsontext import (
    count_members,
    mend_surrogates,
    outline,
    repeated_name,
    written_plainly,
)

_MAX_COUNT = 1_000_000_000
_MAX_CHOICES = 100_000
_MAX_VALUES = 500_000  # at about a microsecond each
_MAX_MODEL_CHARS = 256
_LEAST = {
    "n": 1,
    "best_of": 1,
    "max_tokens": 0,
    "max_completion_tokens": 0,
    "max_output_tokens": 0,
}


def read(surface: Surface, body: bytes, *, max_depth: int = 64) -> Asked | BadRequest:
    """What the JSON `body` (decoded, never compressed) of a request asks for.

    Returns a BadRequest that names the field where the body is not UTF-8 JSON, not an object,
    nested deeper than `max_depth`, names a top-level member twice, or gives a declared field the
    wrong type.
    A surface whose body is not read asks for nothing that is known.
    """
    if surface.body is not BodyKind.JSON:
        return Asked()
    reader = _READERS.get(surface.name, _TEXTED)
    decoded = _decode(reader, body, max_depth)
    if isinstance(decoded, BadRequest):
        return decoded
    return _first_problem(decoded) or reader.asked(decoded)


def _decode(reader: "_Reader", body: bytes, max_depth: int) -> Body | BadRequest:
    """The declared fields; every check of the text that decoding them leaves out is made here.

    A text with few brackets cannot be deep, and one that is written plainly names nothing twice:
    most are both, which is found out in a third of the time that the outline takes.
    """
    shallow = _is_shallow(body, max_depth)
    outlined = b"" if shallow else _outlined(body)
    if outlined is None:
        return BadRequest(f"The request body holds more than {_MAX_VALUES:,} values.", status=413)
    try:
        if not body.isascii():
            body.decode("utf-8")
        decoded, text = _decode_mended(reader.decoder, body)
        if shallow and written_plainly(text):
            return decoded
        return _misshapen(text, outlined or outline(body), max_depth) or decoded
    except RecursionError:
        return _too_deep(max_depth)
    except ValueError as error:
        return _unreadable(error)


def _misshapen(text: bytes, outlined: bytes, max_depth: int) -> BadRequest | None:
    """What is wrong with the depth and the names of an object."""
    count = count_members(outlined, max_depth=max_depth)
    if count is None:
        return _too_deep(max_depth)
    twice = repeated_name(text, count)
    if twice is None:
        return None
    return BadRequest(f"The request body names {twice!r} more than once.", param=twice)


def _is_shallow(body: bytes, max_depth: int) -> bool:
    """Whether a body has fewer brackets than levels, and fewer commas than values are too many."""
    brackets = body.count(b"{") + body.count(b"[")
    return brackets <= max_depth and body.count(b",") <= _MAX_VALUES


def _outlined(body: bytes) -> bytes | None:
    """The outline of a body, or None where it has more values than can be read in good time."""
    if len(body) > _MAX_VALUES and body.count(b'"') > 4 * _MAX_VALUES:
        return None
    outlined = outline(body)
    return None if outlined.count(b",") > _MAX_VALUES else outlined


def _decode_mended(decoder: "msgspec.json.Decoder[Body]", body: bytes) -> tuple[Body, bytes]:
    """The declared fields and the text they stand in: without lone surrogates, if it had any."""
    try:
        return decoder.decode(body), body
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        mended = mend_surrogates(body)
        if mended is body:
            raise
        return decoder.decode(mended), mended


def _too_deep(max_depth: int) -> BadRequest:
    return BadRequest(f"The request body is nested more than {max_depth} levels deep.")


def _unreadable(error: ValueError) -> BadRequest:
    match error:
        case UnicodeDecodeError():
            return BadRequest(f"The request body is not valid UTF-8 (byte {error.start}).")
        case msgspec.ValidationError():
            return _wrong_type(error)
        case _:
            return BadRequest(f"The request body is not valid JSON: {error}.")


_AT = re.compile(r"(.*) - at `\$\.?(.*)`", re.DOTALL)


def _wrong_type(error: msgspec.ValidationError) -> BadRequest:
    """msgspec's words (``Expected `str | null`, got `int` - at `$.model```) with the field."""
    found = _AT.fullmatch(str(error))
    if found is None:
        return BadRequest("The request body must be a JSON object.")
    what, path = found[1].replace(" | null", ""), found[2].replace("[...]", "[]")
    if not path:
        return BadRequest(f"The request body cannot be read: {what}.")
    return BadRequest(f"{path}: {what}.", param=path)


def _first_problem(body: Body) -> BadRequest | None:
    """Values of the right type that no upstream would take, and no counter should."""
    if isinstance(body, Batch):
        problems = (_first_problem(entry.params) for entry in body.requests or ())
        return next((problem for problem in problems if problem), None)
    if body.model is not None and len(body.model) > _MAX_MODEL_CHARS:
        return BadRequest(f"model: longer than {_MAX_MODEL_CHARS} characters.", param="model")
    for name, least in _LEAST.items():
        value = getattr(body, name, None)
        most = _MAX_CHOICES if least else _MAX_COUNT
        if value is not None and not least <= value <= most:
            return BadRequest(f"{name}: must be between {least} and {most}.", param=name)
    return None


@dataclass(frozen=True, slots=True)
class _Reader:
    """How one surface's body is read."""

    decoder: "msgspec.json.Decoder[Body]"
    asked: Callable[[Body], Asked]


def _reader(body: type[Body], asked: Callable[..., Asked]) -> _Reader:
    decoder: msgspec.json.Decoder[Body] = msgspec.json.Decoder(body)
    return _Reader(decoder, asked)


_TEXTED = _reader(Texted, asked_texted)
_READERS: dict[str, _Reader] = {
    "chat.completions": _reader(Chat, asked_chat),
    "responses": _reader(Responses, asked_responses),
    "messages": _reader(Messages, asked_messages),
    "messages.count_tokens": _reader(Messages, asked_messages),
    "messages.batches": _reader(Batch, asked_batch),
}
