"""The words of a normalized text as 64-bit hashes, all at once in numpy.

A word is a run of letters and digits; one with a digit in it is the same word as any other, since
numbers change from call to call. A letter of a script without spaces is a word of its own. A hash
is a polynomial of the word's code points modulo 2^64 with a keyed, odd base; what uses it must mix
it (`proxy.facts.sketch`).
"""

import unicodedata
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from proxy.facts.folding import points_of

U64 = NDArray[np.uint64]
Points = NDArray[np.uint8] | NDArray[np.uint32]
_ZERO = ord("0")
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f")) + b"\x7f"  # invisible
_NONE = np.empty(0, dtype=np.intp)
_SEPARATOR, _LETTER, _DIGIT, _ALONE = range(4)
_UNSPACED = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x9FFF),
    (0xF900, 0xFAFF),
)  # fmt: skip
_NUMBER = np.uint64(0x9E3779B97F4A7C15)  # the hash of every word with a digit


class Words(NamedTuple):
    """Hashes of the words of a text, and which of them are letters of a script without spaces.

    `alone` is None where there are none.
    """

    hashes: U64
    alone: NDArray[np.bool_] | None


class Powers(NamedTuple):
    """Of a base, and of its inverse modulo 2^64."""

    up: U64
    down: U64


def powers(base: int, count: int) -> Powers:
    """The first `count` powers of an odd base and of its inverse."""
    inverse = pow(base, -1, 1 << 64)
    return Powers(_powers(base, count), _powers(inverse, count))


def _powers(base: int, count: int) -> U64:
    factors = np.full(count, base, dtype=np.uint64)
    factors[0] = 1
    return np.multiply.accumulate(factors)


def words_of(text: str, bases: Powers) -> Words:
    """The words of a text: a normalized one, or ASCII in any case.

    It has at least two characters fewer than there are powers.
    """
    if text.isascii():
        data = b"\0" + text.encode().translate(_PLAIN, _CONTROLS)
        points = np.frombuffer(data, dtype=np.uint8)
        inside = points != 0
        digits = (points == _ZERO).nonzero()[0] if b"0" in data else _NONE
        return _hashed(points, inside[1:] > inside[:-1], digits, bases, None)
    wide = points_of(f"\n{text}\n")  # a string of numpy loses NULs at its end
    kinds = _kinds().take(wide, mode="clip")
    inside = kinds != _SEPARATOR
    digits = (kinds == _DIGIT).nonzero()[0]
    wide = wide * inside
    begins = inside[1:] > inside[:-1]
    alone = kinds == _ALONE
    if not alone.any():
        return _hashed(wide, begins, digits, bases, None)
    begins |= alone[1:]
    begins |= alone[:-1] & inside[1:]
    return _hashed(wide, begins, digits, bases, alone)


def _hashed(
    points: Points,
    begins: NDArray[np.bool_],
    digits: NDArray[np.intp],
    bases: Powers,
    alone: NDArray[np.bool_] | None,
) -> Words:
    """Sums of the polynomial up to the next word's start (separators count nothing), shifted.

    `begins` says whether a word begins at each point but the first, which is a separator.
    """
    before = begins.nonzero()[0]  # of each word, the place before its first point
    if not before.size:
        return Words(np.empty(0, dtype=np.uint64), None)
    sums = np.add.accumulate(points * bases.up[: points.size])
    hashes = sums.take(before)
    np.subtract(hashes[1:], hashes[:-1], out=hashes[:-1])
    np.subtract(sums[-1:], hashes[-1:], out=hashes[-1:])
    hashes *= bases.down.take(before)
    if digits.size:
        hashes[np.searchsorted(before, digits, "left") - 1] = _NUMBER
    return Words(hashes, None if alone is None else alone[before + 1])


@lru_cache(maxsize=1)
def _kinds() -> NDArray[np.uint8]:
    """Of the code points up to U+FFFF, the last of which stands for all further ones."""
    kinds = np.array([_kind(point) for point in range(0x10000)], dtype=np.uint8)
    for first, last in _UNSPACED:
        part = kinds[first : last + 1]
        part[part == _LETTER] = _ALONE
    kinds[0xFFFF] = _LETTER
    return kinds


def _kind(point: int) -> int:
    match unicodedata.category(chr(point))[0]:
        case "L" | "M":
            return _LETTER
        case "N":
            return _DIGIT
        case _:
            return _SEPARATOR


# ASCII in lower case with every digit a zero, and separators NUL.
_PLAIN = bytes(
    0 if _kind(byte) == _SEPARATOR else _ZERO if _kind(byte) == _DIGIT else byte
    for byte in range(256)
).lower()
