"""Prompt text in a form in which the same words are the same text.

Every step works on a bounded head, in linear time: prompts are hostile input.
"""

import re
import unicodedata

from proxy.facts.folding import INVISIBLE, TO_LATIN, mapped, tables

_PIECE_CHARS = 128  # normalization is quadratic in a run of combining marks
_WHITESPACE = b"\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f\x20"
_CONTROLS = bytes(set(range(32)) - set(_WHITESPACE)) + b"\x7f"
_LOWER = bytes(range(256)).lower()
_SPACES_AND_CONTROLS = bytes(range(33)) + b"\x7f"
_LOWER_AND_SPACES = bytes(ord(" ") if byte in _WHITESPACE else byte for byte in range(256)).lower()
_LOOK_ALIKES = "".join(map(chr, TO_LATIN))
_MIXED = re.compile(f"[{_LOOK_ALIKES}](?:(?=[A-Za-z])|(?<=[A-Za-z].))")
_NO_LETTERS = bytes(byte for byte in range(256) if not chr(byte).isalpha() or byte > 127)
_WORD = re.compile(r"\S+")
_GREEK_OR_CYRILLIC = (b"\xce", b"\xcf", b"\xd0", b"\xd1", b"\xd2", b"\xd3", b"\xd4")


def normalize(text: str, limit_chars: int = 8_192) -> str:
    """The head of a text in NFKC, without invisible characters, casefolded, spaces single.

    Two texts that look the same to a reader give the same result in nearly all cases. Cyrillic and
    Greek letters become the Latin ones that they look like, in words where they touch Latin ones.
    """
    return single_spaced(folded(text, limit_chars)).strip()


def folded(text: str, limit_chars: int) -> str:
    """The same with as many spaces as there were characters of white space."""
    text = text[:limit_chars]
    if text.isascii():
        return text.encode().translate(_LOWER_AND_SPACES, _CONTROLS).decode()
    found = mapped(text, tables().folded)
    if found is None:
        found = _composed(_visible(text, limit_chars).casefold(), limit_chars)
        return " ".join(found.split())
    return found[:limit_chars]


def single_spaced(text: str) -> str:
    """A text with single spaces where there were several."""
    while "  " in text:
        text = text.replace("  ", " ")
    return text


def bare(text: str) -> bytes:
    """A text without spaces, case and what nobody sees, in UTF-8."""
    if text.isascii():
        return text.encode().translate(_LOWER, _SPACES_AND_CONTROLS)
    return folded(text, len(text)).replace(" ", "").encode("utf-8", "surrogatepass")


def visible(text: str, limit_chars: int) -> str:
    """The head of a text in NFKC without invisible characters; case and lines as they were."""
    text = text[:limit_chars]
    if text.isascii():
        return text.encode().translate(None, _CONTROLS).decode()
    seen = mapped(text, tables().visible)
    return _visible(text, limit_chars) if seen is None else seen[:limit_chars]


def _visible(text: str, limit_chars: int) -> str:
    return _composed(INVISIBLE.sub("", text), limit_chars)


def _composed(text: str, limit_chars: int) -> str:
    """NFKC as far as the result stays in the limit, look-alikes in Latin words made Latin."""
    text = _nfkc(text, limit_chars)
    data = text.encode("utf-8", "surrogatepass")
    foreign = any(map(data.__contains__, _GREEK_OR_CYRILLIC))
    if not foreign or not data.translate(None, _NO_LETTERS) or not _MIXED.search(text):
        return text
    return _nfkc(_WORD.sub(_made_latin, text), limit_chars)


def _made_latin(word: re.Match[str]) -> str:
    return word[0].translate(TO_LATIN) if _MIXED.search(word[0]) else word[0]


def _nfkc(text: str, limit_chars: int) -> str:
    """NFKC in pieces cut at spaces."""
    pieces: list[str] = []
    start = size = 0
    while start < len(text) and size < limit_chars:
        end = start + _PIECE_CHARS
        if end < len(text):
            space = text.rfind(" ", start + 1, end)
            end = space if space > 0 else end
        pieces.append(unicodedata.normalize("NFKC", text[start:end]))
        size += len(pieces[-1])
        start = end
    return "".join(pieces)[:limit_chars]
