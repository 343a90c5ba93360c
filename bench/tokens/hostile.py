"""Prompts made to use more tokens than they are estimated at, by one who knows the rule."""

import random
import string
from collections.abc import Iterator

SIZE = 4000


def hostile() -> Iterator[tuple[str, str]]:
    """What it is, and the text. The same every time."""
    draw = random.Random(5)

    def of(characters: str | range, size: int = SIZE) -> str:
        units = [c if isinstance(c, str) else chr(c) for c in characters]
        return "".join(draw.choices(units, k=size))

    def words(letters: str, length: int) -> str:
        return " ".join(of(letters, length) for _ in range(SIZE // (length + 1)))

    small = string.ascii_lowercase
    yield "small letters, no spaces", of(small)
    yield "words of five consonants", words("vkwgbfhy", 5)
    yield "words of three consonants", words("bcdfghklmnprstvw", 3)
    yield "single letters", " ".join(of(small, SIZE // 2))
    yield "a letter a line", "\n".join(of(small, SIZE // 2))
    yield "letter and digit in turn", "a1" * (SIZE // 2)
    yield "small and capital in turn", "aA" * (SIZE // 2)
    yield "both cases", of(string.ascii_letters)
    yield "signs", of(string.punctuation)
    yield "printable characters", of(string.printable[:95])
    yield "control characters", of(range(32))
    yield "rare only where no sample looks", _between_samples("\x01", "the rain in spain ")
    yield "base64 only where no sample looks", _between_samples("Qz7", "the rain in spain ")
    yield "spaces where samples look", _in_windows(of("Qz7kV"))
    for name, block in _BLOCKS.items():
        yield name, of(block)
    yield "any character of the first 65,536", of(range(0x100, 0xD800))
    yield "any other character", of(range(0x10000, 0x30000))


_BLOCKS: dict[str, range] = {
    "letters of Latin-1": range(0xC0, 0x100),
    "letters of Latin Extended": range(0x100, 0x250),
    "letters of Vietnamese": range(0x1EA0, 0x1EFA),
    "marks without letters": range(0x300, 0x370),
    "letters of Greek": range(0x3B1, 0x3CA),
    "letters of Cyrillic": range(0x430, 0x450),
    "all of Cyrillic": range(0x400, 0x500),
    "letters of Hebrew": range(0x5D0, 0x5EB),
    "letters of Arabic": range(0x627, 0x64B),
    "all of Hebrew and Arabic": range(0x590, 0x700),
    "all of Devanagari": range(0x900, 0x980),
    "all of Thai": range(0xE01, 0xE5C),
    "letters of Georgian": range(0x10D0, 0x10FB),
    "Khmer": range(0x1780, 0x17DE),
    "Ethiopic": range(0x1200, 0x1380),
    "kana": range(0x3041, 0x30FF),
    "any Han": range(0x4E00, 0x9FA5),
    "rare Han": range(0x3400, 0x4DB0),
    "any Hangul": range(0xAC00, 0xD7A0),
    "frames and signs": range(0x2100, 0x2C00),
    "emoji": range(0x1F300, 0x1F600),
    "private use": range(0xE000, 0xF8FF),
}


def _between_samples(costly: str, plain: str) -> str:
    """Every third character is plain prose, which is what a long text is first judged by."""
    prose, junk = plain * SIZE, costly * SIZE
    return "".join(prose[at // 3] if at % 3 == 0 else junk[at] for at in range(SIZE))


def _in_windows(text: str) -> str:
    """Spaces at the four places that are looked at more closely."""
    step = (len(text) - 256) // 3
    hidden = list(text)
    for at in range(0, len(text) - 255, step):
        hidden[at : at + 256] = " " * 256
    return "".join(hidden)
