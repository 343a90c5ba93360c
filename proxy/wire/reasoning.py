"""Signatures of reasoning that a caller sends back, by which a session is known again.

Anthropic's `thinking` blocks have a `signature`, `redacted_thinking` has `data`; an item of
OpenAI's responses has `encrypted_content`. All are opaque, and may have any type here.
Formats: https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking and
https://platform.openai.com/docs/guides/reasoning.
"""

from collections.abc import Iterator, Sequence

from msgspec import Raw

from proxy.wire.bodies import NO_RAW, Part, Turn

MAX_SIGNATURES = 8
_END_BYTES = 256


def signatures(turn: Turn) -> Iterator[bytes]:
    """Those in a turn of the model's, or in an item of its own, as JSON texts."""
    if turn.encrypted_content is not NO_RAW:
        yield _ends(turn.encrypted_content)
    if turn.content is None or isinstance(turn.content, str):
        return
    for part in turn.content:
        if not isinstance(part, Part):
            continue
        if part.signature is not NO_RAW:
            yield _ends(part.signature)
        elif part.type == "redacted_thinking" and part.data is not NO_RAW:
            yield _ends(part.data)


def few(found: Sequence[bytes]) -> tuple[bytes, ...]:
    """The first ones, which are in all that follows of a session, and the last ones."""
    if len(found) <= MAX_SIGNATURES:
        return tuple(found)
    half = MAX_SIGNATURES // 2
    return *found[:half], *found[-half:]


def _ends(raw: Raw) -> bytes:
    """Enough of a signature to know it again: all begin alike, and some are long."""
    view = memoryview(raw)
    if len(view) <= 2 * _END_BYTES:
        return bytes(view)
    return bytes(view[:_END_BYTES]) + bytes(view[-_END_BYTES:])
