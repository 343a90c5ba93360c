"""JSON text with some values changed or left out, and every other byte as it was.

Values are found by their spans (`proxy.wire.jsontext`), so that white space, key order, escapes and
numbers of what stays are never written anew. Nothing is changed where nothing needs to be: the
same object comes back then, which callers may test with `is`.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from msgspec import Raw

from proxy.wire.jsontext import RepeatedNameError, members, mend_surrogates

_GAP = re.compile(rb"[ \t\r\n]*+[,{\[]?[ \t\r\n]*+")
_RAW_ELEMENTS: msgspec.json.Decoder[list[Raw]] = msgspec.json.Decoder(list[Raw])

# A value as it is to be written instead, the same value where it stays, None where it goes. The
# name is that of a member, "" for the elements of an array.
Change = Callable[[str, bytes], bytes | None]


class Item(NamedTuple):
    """A member or an element: where it begins (at its key), and the span of its value."""

    name: str
    begin: int
    start: int
    end: int


def items(text: bytes) -> tuple[Item, ...]:
    """The members of an object or the elements of an array, in order.

    Raises ValueError where the text is neither, or an object names a member twice.
    """
    spans = _elements(text) if text.lstrip()[:1] == b"[" else members(text)
    found: list[Item] = []
    position = 0
    for name, start, end in spans:
        gap = _GAP.match(text, position)
        assert gap is not None
        found.append(Item(name, min(gap.end(), start), start, end))
        position = end
    return tuple(found)


def rewritten(text: bytes, change: Change) -> bytes:
    """The object or array `text` with each value as `change` gives it. Raises ValueError."""
    found = items(text)
    values = [text[item.start : item.end] for item in found]
    changed = [change(item.name, value) for item, value in zip(found, values, strict=True)]
    if all(new is old for new, old in zip(changed, values, strict=True)):
        return text
    return _written(text, found, changed)


def without(text: bytes, *names: str) -> bytes:
    """The object without these members."""
    return rewritten(text, lambda name, value: None if name in names else value)


def in_member(text: bytes, wanted: str, change: Callable[[bytes], bytes | None]) -> bytes:
    """The object with one member changed where it is there, or left out."""
    return rewritten(text, lambda name, value: change(value) if name == wanted else value)


def in_object(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes | None]:
    """The change made in objects alone; one that names a member twice goes: readers would differ
    in what it says.
    """

    def changed(value: bytes) -> bytes | None:
        if not value.startswith(b"{"):
            return value
        try:
            return change(value)
        except RepeatedNameError:
            return None

    return changed


def in_each(change: Callable[[bytes], bytes | None]) -> Callable[[bytes], bytes]:
    """The change made in each element of an array; what is no array stays."""

    def changed(value: bytes) -> bytes:
        if not value.startswith(b"["):
            return value
        return rewritten(value, lambda _name, element: change(element))

    return changed


def _written(text: bytes, found: tuple[Item, ...], changed: list[bytes | None]) -> bytes:
    """What stays keeps the gap in front of it; the first that stays gets the first one's."""
    out = [text[: found[0].begin]]
    first = True
    for number, (item, value) in enumerate(zip(found, changed, strict=True)):
        if value is None:
            continue
        if not first:
            out.append(text[found[number - 1].end : item.begin])
        out.append(text[item.begin : item.start] + value)
        first = False
    out.append(text[found[-1].end :])
    return b"".join(out)


def _elements(text: bytes) -> list[tuple[str, int, int]]:
    mended = mend_surrogates(text)  # which keeps every position
    spans: list[tuple[str, int, int]] = []
    position = 0
    for element in _RAW_ELEMENTS.decode(mended):
        gap = _GAP.match(mended, position)
        assert gap is not None
        start = gap.end()
        position = start + memoryview(element).nbytes
        spans.append(("", start, position))
    return spans
