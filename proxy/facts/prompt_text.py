"""Prompt text in a form in which the same words are the same text.

Every step works on a bounded head, in linear time: prompts are hostile input.
"""

import re
import unicodedata

_PIECE_CHARS = 128  # normalization is quadratic in a run of combining marks
_WHITESPACE = b"\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f\x20"
_CONTROLS = bytes(set(range(32)) - set(_WHITESPACE)) + b"\x7f"
_LOWER_AND_SPACES = bytes(ord(" ") if byte in _WHITESPACE else byte for byte in range(256)).lower()
# What no reader sees: controls, soft hyphen, joiners, zero-width and bidi characters, variation
# selectors, fillers, tags (Unicode 15, default-ignorable code points and U+2800).
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)


def normalize(text: str, limit_chars: int = 8_192) -> str:
    """The head of a text in NFKC, without invisible characters, casefolded, spaces single.

    Two texts that look the same to a reader give the same result in nearly all cases; letters of
    other alphabets that look alike stay different.
    """
    text = text[:limit_chars]
    if text.isascii():
        plain = text.encode().translate(_LOWER_AND_SPACES, _CONTROLS)
        while b"  " in plain:
            plain = plain.replace(b"  ", b" ")
        return plain.strip().decode()
    folded = _composed(visible(text, limit_chars).casefold(), limit_chars)
    return " ".join(folded.split())


def visible(text: str, limit_chars: int) -> str:
    """The head of a text in NFKC without invisible characters; case and lines as they were."""
    text = text[:limit_chars]
    if text.isascii():
        return text.encode().translate(None, _CONTROLS).decode()
    return _composed(_INVISIBLE.sub("", text), limit_chars)


def _composed(text: str, limit_chars: int) -> str:
    """NFKC in pieces cut at spaces, as far as the result stays in the limit."""
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
