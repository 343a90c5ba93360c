"""Unicode text made comparable by one look-up for each character, in numpy.

NFKC with everything that it needs (`unicodedata.normalize`) takes half a microsecond for each
character of a text in which anything changes: a full-width comma is enough. Nearly all characters
can be mapped one by one; texts with others (marks that compose, look-alikes beside Latin letters)
are left to `proxy.facts.prompt_text`, which does the same step by step. Its invariant: where
`mapped` gives a text, the slow way gives the same.
"""

import re
import sys
import unicodedata
from functools import lru_cache
from itertools import chain
from string import ascii_letters
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

U32 = NDArray[np.uint32]

END = 0x20000  # of the tables; what lies beyond is left to the slow way
_UTF_32 = f"utf-32-{sys.byteorder[0]}e"
_POINT = np.uint32((1 << 21) - 1)
# Flags above the mapped code point.
HARD = 1 << 21  # composes with what stands before it, or becomes what does
EXPANDS = 1 << 22  # becomes several characters
GONE = 1 << 23  # nothing that a reader sees
MARK = 1 << 24  # two in a row may have to be put in order
LATIN = 1 << 25  # a to z
LOOKS_LATIN = 1 << 26  # a Cyrillic or Greek letter
_DOTS = "\u2026"
MAX_EXPANDED = 8  # different ones in a text

# Where characters are changed, joined or ordered (Unicode 14; `test_folding` looks at all).
_CHANGING = (
    range(0x3400), range(0xA000, 0xAC00), range(0xF900, 0x12000), range(0x16800, 0x17000),
    range(0x1BC00, END),
)  # fmt: skip

# What no reader sees: controls, soft hyphen, joiners, zero-width and bidi characters, variation
# selectors, fillers, tags (Unicode 15, default-ignorable code points and U+2800).
INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)

# The commonest letters that look like Latin ones (Unicode TR39, confusables).
TO_LATIN = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u04bb\u0475\u051b\u051d"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0406\u0408\u0405"
    "\u03bf\u03b1\u03c1\u03bd\u03b9\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f"
    "\u03a1\u03a4\u03a5\u03a7",
    "aeopcyxijsdhvqwABEKMHOPCTXIJSoapviABEZHIKMNOPTYX",
)
_NOTED = frozenset(ascii_letters) | frozenset(map(chr, TO_LATIN))  # have flags


class Form(NamedTuple):
    """A way to map text: the entry of each code point, and the text of those that expand."""

    entries: U32
    expanded: dict[int, str]


class Tables(NamedTuple):
    """`visible` keeps case and white space; `folded` has lower case, and spaces only."""

    visible: Form
    folded: Form


def points_of(text: str) -> U32:
    """The code points of a text that is not empty, lone surrogates as they are."""
    return np.array([text]).view(np.uint32)


def text_of(points: U32) -> str:
    """The text of code points."""
    return points.tobytes().decode(_UTF_32, "surrogatepass")


def mapped(text: str, form: Form) -> str | None:
    """A text that is not empty in that form; None where only the slow way knows it."""
    if _DOTS in text:  # what expands most often
        text = text.replace(_DOTS, "...")
    entries = form.entries.take(points_of(text), mode="clip")
    flags = int(np.bitwise_or.reduce(entries))
    if flags & EXPANDS and not flags & HARD:
        spread = _expanded(text, entries, form.expanded)
        if spread is None:
            return None
        entries = form.entries.take(points_of(spread), mode="clip")
        flags = int(np.bitwise_or.reduce(entries))
    if flags & HARD:
        return None
    if flags & GONE:
        entries = entries[entries & np.uint32(GONE) == 0]
    if flags & MARK and _touch(entries, MARK, MARK):
        return None
    if flags & LATIN and flags & LOOKS_LATIN and _touch(entries, LATIN, LOOKS_LATIN):
        return None
    return text_of(entries & _POINT)


def _expanded(text: str, entries: U32, expanded: dict[int, str]) -> str | None:
    """What becomes several characters, replaced; None for a text with many such."""
    found = set(points_of(text)[entries & np.uint32(EXPANDS) != 0].tolist())
    if len(found) > MAX_EXPANDED:
        return None
    for point in found:
        text = text.replace(chr(point), expanded[point])
    return text


def _touch(entries: U32, one: int, other: int) -> bool:
    """Whether an entry with one flag stands beside one with the other."""
    ones = entries & np.uint32(one) != 0
    others = ones if one == other else entries & np.uint32(other) != 0
    touching = (ones[1:] & others[:-1]).any() or (ones[:-1] & others[1:]).any()
    return bool(touching)


@lru_cache(maxsize=1)
def tables() -> Tables:
    """Made once in a process, in some 50 ms: better before the first request than in it."""
    composing = _composing()
    made = Tables(*(Form(np.arange(END, dtype=np.uint32), {}) for _ in range(2)))
    for point in chain(*_CHANGING):
        char = chr(point)
        seen = unicodedata.normalize("NFKC", char)
        if seen == char == char.casefold() and _is_inert(char, composing):
            continue
        _enter(made, char, seen, composing)
    for form in made:
        form.entries[END - 1] = HARD
    return made


def _is_inert(char: str, composing: frozenset[str]) -> bool:
    return not (
        unicodedata.combining(char)
        or char in composing
        or char in _NOTED
        or char.isspace()
        or INVISIBLE.match(char)
    )


def _enter(made: Tables, char: str, seen: str, composing: frozenset[str]) -> None:
    """Enter a character that becomes `seen` in NFKC into both tables."""
    if INVISIBLE.match(char):
        seen = folded = ""
    else:
        folded = unicodedata.normalize("NFKC", seen.casefold())
        folded = " " if folded.isspace() else folded
    stages = (char, seen, folded)
    joins = any(not composing.isdisjoint(stage) for stage in stages)
    marks = any(unicodedata.combining(one) for stage in stages for one in stage)
    hard = joins or (marks and not char == seen == folded)
    looks = any(ord(one) in TO_LATIN for stage in stages for one in stage)
    for form, becomes in ((made.visible, seen), (made.folded, folded)):
        point = ord(char)
        if hard or (looks and len(becomes) > 1):
            form.entries[point] = HARD
        elif len(becomes) > 1:
            form.entries[point] = EXPANDS
            form.expanded[point] = becomes
        elif not becomes:
            form.entries[point] = GONE
        else:
            latin = "a" <= becomes.lower() <= "z"
            flags = marks * MARK | latin * LATIN | looks * LOOKS_LATIN
            form.entries[point] = ord(becomes) | flags


def _composing() -> frozenset[str]:
    """Characters that may join the one before them."""
    found = set(map(chr, chain(range(0x1161, 0x1176), range(0x11A8, 0x11C3))))  # of Hangul
    for point in chain(*_CHANGING):
        parts = unicodedata.normalize("NFD", chr(point))
        if len(parts) > 1:
            found.update(parts[1:])
    return frozenset(found)
