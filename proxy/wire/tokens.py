"""How many tokens a text is, estimated from its bytes, without a vocabulary.

Every vocabulary cuts text differently, and most are not published, so each kind of character has a
price in tokens, found by fitting four vocabularies in use over prose in 60 languages, code, JSON
and machine data (`docs/benchmarks/tokens.md` has the error, by language and kind). What a model
truly counts is learned from its answers (`proxy.pipeline.learned`).

The bytes of a text are added up at C speed, in the same time whatever they say; of long ASCII text
every third, and where these look like prose, that is all. Otherwise all are added up, and up to a
kilobyte is looked at more closely (`proxy.wire.script_tokens`) and the rest taken to be like it. So
a text costs at most about 2 ns for each byte, and a small constant, however it is made.
"""

import math
import zlib

import msgspec

from proxy.wire.script_tokens import closer_tokens

PER_WORD = 0.36  # more than the letters of a word cost; a space stands for the word behind it
_PER_SPACE_PAIR = 0.3  # indentation: many spaces are one token
_UNITS = 33  # a price in the table below is a byte: so many are one token
_CHUNK_BYTES = 1984  # no valid UTF-8 of this size comes to more than 65,520 units
_WHOLE_BYTES = 2048
_STRIDE = 3  # plain prose is told by every third byte
_CLOSER_BYTES = 1024
_WINDOWS = 4
_MOST_LOWERED = 3
_ENOUGH_BYTES = 512
_LESS_FOR_ESCAPE = 1.8  # six characters of JSON are one character of the text
_PROSE = (0.2, 0.27)  # tokens for each byte of plain ASCII prose


def _price_table() -> bytes:
    """The price of each byte of UTF-8: a character's stands with its first byte."""
    prices = bytearray(256)

    def let(first: int, last: int, price: float) -> None:
        prices[first : last + 1] = bytes([round(price * _UNITS)]) * (last + 1 - first)

    let(0x00, 0x7F, 1.0)  # control characters keep this
    let(0x21, 0x7E, 0.5)  # signs and digits keep this
    let(0x61, 0x7A, 0.18)
    let(0x41, 0x5A, 0.26)
    for rare in b"jqz":  # few pairs of letters in a vocabulary have them
        let(rare, rare, 0.66)
    for space, price in ((0x20, PER_WORD), (0x09, 0.4), (0x0A, 0.4), (0x0D, 0.4)):
        let(space, space, price)
    let(0xC2, 0xC3, 0.8)  # Latin-1
    let(0xC4, 0xCB, 1.6)  # Latin with rarer marks
    let(0xCC, 0xCD, 1.8)  # combining marks
    let(0xCE, 0xCF, 0.38)  # Greek
    let(0xD0, 0xD1, 0.32)  # Cyrillic
    let(0xD2, 0xD3, 1.0)  # Cyrillic of fewer languages
    let(0xD4, 0xD7, 0.46)  # Armenian, Hebrew
    let(0xD8, 0xDB, 0.36)  # Arabic
    let(0xDC, 0xDF, 1.9)  # Syriac, Thaana, N'Ko
    let(0xE0, 0xE0, 0.5)  # Devanagari to Thai
    let(0xE1, 0xE1, 1.2)  # Georgian, Khmer, Vietnamese … are told apart by a closer look
    let(0xE2, 0xE2, 1.8)  # so are dashes from other signs
    let(0xE3, 0xE3, 0.6)  # kana
    let(0xE4, 0xE9, 0.7)  # Han
    let(0xEA, 0xED, 0.62)  # Hangul
    let(0xEE, 0xEF, 2.8)
    let(0xF0, 0xF4, 3.9)  # so are emoji from rare scripts
    return bytes(prices)


_PRICES = _price_table()


def text_tokens(text: str) -> float:
    """Estimated tokens of a text that stands alone; 0 for an empty one."""
    return PER_WORD + part_tokens(text.encode()) if text else 0.0


def json_tokens(text: bytes) -> float:
    """Estimated tokens of JSON text as it stands; escapes count as what they stand for."""
    if b"\\" not in text:
        return part_tokens(text[1:-1] if text.startswith(b'"') else text)
    if b"\\u" in text or text.startswith(b'"'):
        try:
            return part_tokens(_unescaped(text))
        except (ValueError, RecursionError):
            pass  # a lone surrogate, or cut off in an escape
    return part_tokens(text.replace(b'\\"', b'"').replace(b"\\n", b"\n"))


def inside_tokens(text: bytes) -> float:
    """Estimated tokens of what stands between the quotes of JSON strings."""
    return json_tokens(b'"%b"' % text) if b"\\" in text else part_tokens(text)


class GrowingText:
    """Tokens of a text that comes in pieces, each the inside of a JSON string.

    What is new is added up byte by byte, and looked at more closely once there is enough of it.
    """

    __slots__ = ("_new", "_rough", "_tokens")

    def __init__(self) -> None:
        self._tokens = self._rough = 0.0
        self._new = bytearray()

    def add(self, inside: bytes) -> None:
        """Take a piece in."""
        self._new += inside
        rough = _added_up(inside)
        if b"\\u" in inside:
            rough = max(0.0, rough - inside.count(b"\\u") * _LESS_FOR_ESCAPE)
        self._rough += rough
        if len(self._new) >= _ENOUGH_BYTES:
            self._tokens += inside_tokens(bytes(self._new))
            self._rough = 0.0
            self._new.clear()

    @property
    def tokens(self) -> int:
        """The estimate so far."""
        return math.ceil(self._tokens + self._rough)


def part_tokens(text: bytes) -> float:
    """Estimated tokens of UTF-8 text that continues another: parts cost what their whole costs.

    What a closer look at a sample says can raise the sum, and lower it only where the first byte
    of a character leaves its script open, to a third at most: nobody gains by guessing the sample.
    """
    size = len(text)
    plain = text.isascii()
    if plain:
        looked_at, scale = (text, 1) if size <= _WHOLE_BYTES else (text[::_STRIDE], _STRIDE)
        rough = _added_up(looked_at) * scale
        if _PROSE[0] * size <= rough <= _PROSE[1] * size:
            return rough
    rough = _added_up(text)
    sample = _sample(text, size)
    closer = closer_tokens(sample, plain=plain) - _added_up(sample)
    least = rough if plain else rough / _MOST_LOWERED
    tokens = max(least, rough + closer * (size / max(1, len(sample))))
    if b"   " in sample:
        tokens -= text.count(b"  ") * (2 * PER_WORD - _PER_SPACE_PAIR)
    return tokens


def _added_up(text: bytes) -> float:
    """The sum of the prices. The low half of Adler-32 is the sum of bytes mod 65,521 (RFC 1950)."""
    priced = text.translate(_PRICES)
    if len(priced) <= _CHUNK_BYTES:
        return (zlib.adler32(priced, 0) & 0xFFFF) / _UNITS
    view, units = memoryview(priced), 0
    for at in range(0, len(priced), _CHUNK_BYTES):
        units += zlib.adler32(view[at : at + _CHUNK_BYTES], 0) & 0xFFFF
    return units / _UNITS


def _sample(text: bytes, size: int) -> bytes:
    """The text, or of a long one some windows at even distances."""
    if size <= _CLOSER_BYTES:
        return text
    width = _CLOSER_BYTES // _WINDOWS
    step = (size - width) // (_WINDOWS - 1)
    return b"".join(text[at : at + width] for at in range(0, size - width + 1, step))


def _unescaped(text: bytes) -> bytes:
    value: object = msgspec.json.decode(text)
    return value.encode() if isinstance(value, str) else msgspec.json.encode(value)
