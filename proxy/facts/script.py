"""The scripts of a text, and the language of one in Latin letters, roughly and cheaply.

English is told from other languages by the words that every text of a language has. A text that
shows none (code, lists) has no language here.
"""

import re
from bisect import bisect_right

SAMPLED_CHARS = 32
LEAST_WORDS = 2  # of a language
LEAST_SHARE = 8  # a script counts from one eighth of the letters on

# fmt: off
_COMMON = {
    "en": "the of and is in that for with this you are what how your on as be",
    "de": "der die das und ist nicht ein eine mit für von zu den wie auf",
    "fr": "le la les des est une et dans pour que vous sur du pas quel",
    "es": "el los las una y en que por para con del es como su qué",
    "pt": "o os um uma e em que por para com não do da como você",
    "it": "il lo gli una e di che per con non del della come sono",
    "nl": "de het een en van is niet met voor dat op zijn hoe",
    "pl": "w i na się nie jest do że jak z o dla co",
    "tr": "bir ve bu için ile ne nas\u0131l da de olarak gibi",
    "id": "yang dan di ini untuk dengan dari adalah tidak apa",
    "vi": "là của và các cho một có không những được trong",
}
_BLOCKS = (  # (first code point, script); whatever lies between is of the one before
    (0x0000, ""), (0x0041, "Latn"), (0x005B, ""), (0x0061, "Latn"), (0x007B, ""), (0x00C0, "Latn"),
    (0x02B0, ""), (0x0370, "Grek"), (0x0400, "Cyrl"), (0x0530, "Armn"), (0x0590, "Hebr"),
    (0x0600, "Arab"), (0x0700, "Othr"), (0x0900, "Deva"), (0x0980, "Indc"), (0x0E00, "Thai"),
    (0x0E80, "Othr"), (0x10A0, "Geor"), (0x1100, "Hang"), (0x1200, "Othr"), (0x1E00, "Latn"),
    (0x2000, ""), (0x3040, "Kana"), (0x3100, "Othr"), (0x3400, "Hani"), (0xA000, "Othr"),
    (0xAC00, "Hang"), (0xD800, ""), (0xF900, "Hani"), (0xFB00, "Othr"),
)  # letters beyond U+FFFF count nothing
# fmt: on
LATIN = ("Latn",)
_NAMES = tuple(dict.fromkeys(name for _, name in _BLOCKS))  # "" is the first
_CODES = {name: code for code, name in enumerate(_NAMES)}
_ONE = tuple((name,) for name in _NAMES)
_STARTS = tuple(start for start, _ in _BLOCKS)
_MANY = len(_NAMES)  # code of a first byte that several scripts have


def _code_of(point: int) -> int:
    return _CODES[_BLOCKS[bisect_right(_STARTS, point) - 1][1]]


def _code_of_byte(byte: int) -> int:
    """Of the first byte of a character in UTF-8: letters of one script, of many, or none."""
    if byte < 0x80:
        return _code_of(byte)
    if byte < 0xE0:
        return _code_of((byte & 31) << 6 | 32)
    if byte >= 0xF0 or byte == 0xE2:  # emoji and rare letters; punctuation and signs
        return 0
    codes = {_code_of((byte & 15) << 12 | low) for low in range(0x1000)}
    return codes.pop() if len(codes) == 1 else _MANY


# Nearly always the first byte of a character in UTF-8 tells its script, at the price of one pass.
_BY_BYTE = bytes(0 if 0x80 <= byte < 0xC2 else _code_of_byte(byte) for byte in range(256))
_UNKNOWN = bytes([0, _MANY])
_NO_LETTERS = bytes(byte for byte in range(256) if _BY_BYTE[byte] == 0)
_OF_MANY = re.compile(
    b"[%s][\x80-\xbf]" % bytes(byte for byte in range(256) if _BY_BYTE[byte] == _MANY)
)
_BY_TWO = {
    bytes((first, second)): _code_of(((first & 15) << 12) | (second & 63) << 6 | 32)
    for first in range(0xE0, 0xF0)
    for second in range(0x80, 0xC0)
}
_ENGLISH = frozenset(_COMMON["en"].split())
_COMMON_WORDS = frozenset(" ".join(_COMMON.values()).split())
_OF_WORD = {
    word: [name for name, words in _COMMON.items() if word in words.split()]
    for word in sorted(_COMMON_WORDS)
}


def scripts(text: str) -> tuple[str, ...]:
    """Scripts that have a good share of some letters at even distances, by name."""
    if text.isascii():
        return LATIN
    data = text[:: max(1, len(text) // SAMPLED_CHARS)].encode("utf-8", "surrogatepass")
    codes = data.translate(_BY_BYTE, _NO_LETTERS)
    if _MANY in codes:
        found = bytes([_BY_TWO[pair] for pair in _OF_MANY.findall(data)])
        codes = (codes + found).translate(None, _UNKNOWN)
    if codes and codes.count(codes[0]) == len(codes):
        return _ONE[codes[0]]
    counts = {code: codes.count(code) for code in set(codes) if code}
    least = sum(counts.values()) / LEAST_SHARE
    return tuple(sorted(_NAMES[code] for code, count in counts.items() if count >= least))


def mix(found: tuple[str, ...], words: list[str]) -> str:
    """Scripts with the language of the words, as "Latn:en" or "Hani+Latn"; "" for no letters."""
    named = "+".join(found)
    if "Latn" not in found:
        return named
    language = _language(words)
    return f"{named}:{language}" if language else named


def _language(words: list[str]) -> str:
    if len(_ENGLISH.intersection(words)) >= LEAST_WORDS:
        return "en"
    counts: dict[str, int] = {}
    for word in _COMMON_WORDS.intersection(words):
        for name in _OF_WORD[word]:
            counts[name] = counts.get(name, 0) + 1
    best = max(counts, key=counts.__getitem__, default="")
    return best if counts.get(best, 0) >= LEAST_WORDS else ""
