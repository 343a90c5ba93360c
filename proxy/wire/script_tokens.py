"""A closer look at a short text: what scripts it is in, and whether it is words or data.

`proxy.wire.tokens` hands over at most a kilobyte. Scripts are told apart by the high byte of
UTF-16, which names a block of 256 code points. What is data and not words shows in what stands side
by side: capitals among small letters, digits among letters, runs longer than words.
"""

from typing import NamedTuple

_PER_LETTER = 0.18
_PER_SPACE = 0.36  # for the word behind it
_PER_RARE = 0.66  # j, q and z
_PER_CAPITAL = 0.26
_PER_DIGIT = 0.5  # three digits are a token in some vocabularies, each is one in others
_PER_DIGIT_AMONG_LETTERS = 0.38  # more: identifiers are cut where letters and digits meet
_PER_CAPITAL_AMONG_SMALL = 0.4  # more: base64 is cut where its case changes
_PER_LETTER_OF_LONG_RUN = 0.32  # more: base64, hex, keys
_PER_LINE_END = 0.4
_PER_LINE_TOO_SHORT = 1.2  # more: a line of one letter is two tokens
_PER_CONTROL = 1.0
_PER_SIGN = 0.5

_LONG_RUN, _LONGEST_RUN = 9, 21  # characters: words are shorter than this, data are longer
_SHORTEST_LINE = 6
_CAPITALS_IN_NAMES = 8  # one letter in eight is a capital in camelCase and in titles

_PLAIN_OR_NOT_ASCII = b"abcdefghiklmnoprstuvwxy " + bytes(range(0x80, 0x100))
_RARE, _CAPITAL, _DIGIT, _LINE_END, _CONTROL, _SIGN = b"rcdlxs"


def _kind_table() -> bytes:
    kinds = bytearray([_CONTROL]) * 256
    kinds[0x21:0x7F] = bytes([_SIGN]) * (0x7F - 0x21)
    kinds[0x30:0x3A] = bytes([_DIGIT]) * 10
    kinds[0x41:0x5B] = bytes([_CAPITAL]) * 26
    for byte in b"jqz":
        kinds[byte] = _RARE
    for byte in b"\n\t\r":
        kinds[byte] = _LINE_END
    return bytes(kinds)


_KINDS = _kind_table()


class _Script(NamedTuple):
    """Blocks of 256 code points, by the high byte of UTF-16, and the price of a character."""

    first: int
    last: int
    price: float


_SCRIPTS = (
    _Script(0x01, 0x02, 1.6),  # Latin with rarer marks: one mark breaks a word in two
    _Script(0x03, 0x03, 0.38),  # Greek
    _Script(0x04, 0x04, 0.32),  # Cyrillic
    _Script(0x05, 0x05, 0.47),  # Armenian, Hebrew
    _Script(0x06, 0x06, 0.36),  # Arabic
    _Script(0x07, 0x08, 1.9),  # Syriac, Thaana, N'Ko
    _Script(0x09, 0x0D, 0.5),  # Devanagari to Sinhala
    _Script(0x0E, 0x0E, 0.45),  # Thai, Lao
    _Script(0x0F, 0x0F, 1.6),  # Tibetan
    _Script(0x10, 0x10, 0.45),  # Georgian, Burmese
    _Script(0x11, 0x16, 1.9),  # Hangul letters, Ethiopic, syllabics
    _Script(0x17, 0x17, 0.8),  # Khmer
    _Script(0x18, 0x1D, 2.6),
    _Script(0x1E, 0x1E, 0.3),  # Vietnamese, whose words have known tokens
    _Script(0x1F, 0x1F, 1.9),
    _Script(0x20, 0x20, 1.2),  # dashes and quotation marks
    _Script(0x21, 0x2F, 1.8),  # arrows, signs, frames
    _Script(0x30, 0x30, 0.6),  # kana
    _Script(0x31, 0x4D, 2.8),  # rare Han
    _Script(0x4E, 0x9F, 0.7),  # Han
    _Script(0xA0, 0xAB, 2.8),
    _Script(0xAC, 0xD7, 0.62),  # Hangul
    _Script(0xD8, 0xDB, 3.9),  # the first half of what is beyond 65,535
    _Script(0xE0, 0xFD, 2.8),
    _Script(0xFE, 0xFE, 1.2),  # what makes an emoji of a sign
    _Script(0xFF, 0xFF, 1.0),  # full-width forms
)
_PER_LATIN_1 = 0.8
_PER_EMOJI = 1.6
_PER_COMBINING = 1.8
_PER_RARER_CYRILLIC = 1.0
_PER_MARK_OUT_OF_PLACE = 1.8  # letters of block 0x1E beyond half of the plain ones

_PRICES = tuple(sorted({script.price for script in _SCRIPTS}))


def _block_table() -> bytes:
    """For each block, the place of its price in `_PRICES`, counted from 1; 0 is free."""
    places = bytearray(256)
    for first, last, price in _SCRIPTS:
        places[first : last + 1] = bytes([1 + _PRICES.index(price)]) * (last + 1 - first)
    return bytes(places)


_PRICE_OF_BLOCK = _block_table()


def closer_tokens(text: bytes, *, plain: bool) -> float:
    """Estimated tokens of a short text in UTF-8, which may begin and end within a character.

    `plain` says that it is ASCII.
    """
    odd = text.translate(None, _PLAIN_OR_NOT_ASCII)
    if plain:
        return _words_and_data(text, len(text), odd, 0)
    blocks = text.decode("utf-8", "ignore").encode("utf-16-be")[::2]
    latin_1 = text.count(0xC2) + text.count(0xC3)
    size = max(0, blocks.count(0) - latin_1)  # characters in ASCII
    places = blocks.translate(_PRICE_OF_BLOCK)
    found = [at for at in range(1, len(_PRICES) + 1) if at in places]
    tokens = latin_1 * _PER_LATIN_1 + sum(places.count(at) * _PRICES[at - 1] for at in found)
    tokens += _told_apart(blocks, text, size - len(odd))
    if size:
        tokens += _words_and_data(text, size, odd, len(blocks) - size)
    return tokens


def _told_apart(blocks: bytes, text: bytes, plain: int) -> float:
    """What the price by block leaves out, where two kinds of character share a block."""
    more = 0.0
    if 0x03 in blocks:
        more += (text.count(0xCC) + text.count(0xCD)) * (_PER_COMBINING - _price(0x03))
    if 0x04 in blocks:
        more += (text.count(0xD2) + text.count(0xD3)) * (_PER_RARER_CYRILLIC - _price(0x04))
    if 0x1E in blocks:
        beyond = max(0.0, blocks.count(0x1E) - plain / 2)
        more += beyond * (_PER_MARK_OUT_OF_PLACE - _price(0x1E))
    if 0xD8 in blocks:
        more += text.count(b"\xf0\x9f") * (_PER_EMOJI - _price(0xD8))
    return more


def _price(block: int) -> float:
    return _PRICES[_PRICE_OF_BLOCK[block] - 1]


def _words_and_data(text: bytes, size: int, odd: bytes, others: int) -> float:
    """Tokens of the `size` ASCII characters of a text, of which `odd` are no plain letters.

    `others` is the number of its other characters, which end runs of letters.
    """
    spaces = text.count(b" ")
    pairs = text.count(b"  ") if spaces else 0
    kinds = odd.translate(_KINDS)
    rare, capitals, digits = kinds.count(_RARE), kinds.count(_CAPITAL), kinds.count(_DIGIT)
    line_ends, controls, signs = kinds.count(_LINE_END), kinds.count(_CONTROL), kinds.count(_SIGN)
    plain = max(0, size - len(odd) - spaces)
    small = plain + rare
    letters = small + capitals
    mixed_case = max(0.0, min(capitals, small) - letters / _CAPITALS_IN_NAMES)
    runs = spaces - pairs + line_ends + signs + controls + others + 1
    long = ((letters + digits) / runs - _LONG_RUN) / (_LONGEST_RUN - _LONG_RUN)
    return (
        plain * _PER_LETTER
        + spaces * _PER_SPACE
        + rare * _PER_RARE
        + capitals * _PER_CAPITAL
        + digits * _PER_DIGIT
        + line_ends * _PER_LINE_END
        + max(0.0, line_ends - size / _SHORTEST_LINE) * _PER_LINE_TOO_SHORT
        + controls * _PER_CONTROL
        + signs * _PER_SIGN
        + min(letters, digits) * _PER_DIGIT_AMONG_LETTERS
        + mixed_case * _PER_CAPITAL_AMONG_SMALL
        + letters * min(1.0, max(0.0, long)) * _PER_LETTER_OF_LONG_RUN
    )
