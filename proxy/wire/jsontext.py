"""JSON as bytes: where the members of an object stand, and how the text is nested.

msgspec finds the spans of the values at C speed; the text around them is then walked key by key,
which shows what a decoder hides: that a name occurs twice. Nothing here recurses, and the cost
is linear in the bytes.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from msgspec import Raw

_WS = rb"[ \t\r\n]*+"
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_OPENING = re.compile(_WS + rb"\{")
_KEY = re.compile(_WS + b"(" + _STRING + b")" + _WS + b":" + _WS, re.DOTALL)
_AFTER = re.compile(_WS + b"([,}])")

_LONE_SURROGATE = rb"u[dD][89a-fA-F][0-9a-fA-F]{2}"
_PAIR = rb"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rb"\\(?:" + _PAIR + b"|" + _LONE_SURROGATE + b"|.)", re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

_RAW_MEMBERS: msgspec.json.Decoder[dict[str, Raw]] = msgspec.json.Decoder(dict[str, Raw])

_ONE_BRACKET_KIND = bytes.maketrans(b"{}", b"[]")
_NOT_SHAPE = bytes(set(range(256)) - set(b"{}[]:"))
_LEAF = re.compile(rb"\[:*+\]")


class RepeatedNameError(ValueError):
    """An object names a member more than once."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} is named more than once")
        self.name = name


class Member(NamedTuple):
    """One member of an object: its decoded name, and the byte span of its value."""

    name: str
    start: int
    end: int


def members(text: bytes) -> tuple[Member, ...]:
    """The members of the JSON object that `text` is, in order.

    Raises RepeatedNameError, or msgspec.DecodeError where the text is not a JSON object.
    """
    text = mend_surrogates(text)  # which keeps every position
    found: list[Member] = []
    opening = _OPENING.match(text)
    values = _RAW_MEMBERS.decode(text)
    assert opening is not None
    position, delimiter = opening.end(), b","
    for name, value in values.items():
        key = _KEY.match(text, position)
        assert key is not None
        start = key.end()
        end = start + memoryview(value).nbytes
        after = _AFTER.match(text, end)
        # A decoder keeps a repeated name's first place and last value: one of them differs here.
        if _decoded(key[1]) != name or not text.startswith(value, start) or after is None:
            raise RepeatedNameError(_decoded(key[1]))
        found.append(Member(name, start, end))
        position, delimiter = after.end(), after[1]
    extra = _KEY.match(text, position) if delimiter == b"," else None
    if extra is not None:
        raise RepeatedNameError(_decoded(extra[1]))
    return tuple(found)


def outline(text: bytes) -> bytes:
    """The text without its strings: brackets, colons, commas, numbers and white space."""
    if b"\\" in text and rb"\"" in text:
        text = text.replace(rb"\\", b"").replace(rb"\"", b"")
    return b"".join(text.split(b'"')[::2])


def count_members(outlined: bytes, *, max_depth: int) -> int | None:
    """How many members the object of this outline has, or None where it is nested deeper.

    The outline is that of a valid JSON object, which counts as the first level.
    """
    inside = outlined.translate(_ONE_BRACKET_KIND, _NOT_SHAPE)[1:-1]
    for _ in range(max_depth):
        if b"[" not in inside:
            return len(inside)  # nothing is left but the colons of the members
        inside = _LEAF.sub(b"", inside)
    return None


def repeated_name(text: bytes, count: int) -> str | None:
    """The first name that occurs twice among the `count` members of an object, or None.

    The text is valid JSON without lone surrogates.
    """
    if len(_RAW_MEMBERS.decode(text)) == count:
        return None
    try:
        members(text)
    except RepeatedNameError as error:
        return error.name
    return None


def written_plainly(text: bytes, values: Mapping[str, Raw] | None = None) -> bool:
    """Whether the object is written in one of the two ways in which encoders write it.

    These are without white space, and with one space after each colon and comma outside of values.
    Then no name is there twice: what is decoded gives the same text again. False says nothing. The
    text has no lone surrogates; `values` are its members where they are decoded already.
    """
    if values is None:
        values = _RAW_MEMBERS.decode(text)
    if not values:
        return text == b"{}"
    colon = text.find(b'":') + 2
    spaced = text[colon : colon + 1] == b" "
    after_name, comma = (b'": ', b', "') if spaced else (b'":', b',"')
    again: list[bytes | Raw] = []
    for name, value in values.items():
        again += (comma, name.encode(), after_name, value)
    again[:1] = [b'{"']
    again.append(b"}")
    return b"".join(again) == text


def mend_surrogates(text: bytes) -> bytes:
    r"""The same JSON text, of the same length, with each lone surrogate (`\ud800`) as `\ufffd`.

    Such escapes are within JSON's grammar (RFC 8259, 8.2), and stand for no Unicode text.
    """
    return _ESCAPE.sub(_mended, text) if _SURROGATE.search(text) else text


def _mended(escape: re.Match[bytes]) -> bytes:
    found = escape[0]
    return rb"\ufffd" if len(found) == 6 and _SURROGATE.match(found) else found


def _decoded(key: bytes) -> str:
    if b"\\" not in key:
        return key[1:-1].decode("utf-8", "replace")
    return msgspec.json.decode(key, type=str)
