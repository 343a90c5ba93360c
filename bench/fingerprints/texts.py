"""Prompts of each kind, no two alike: what is kept by its text must not flatter a figure."""

# ruff: noqa: RUF001 (the other alphabets are the point)

import random
from collections.abc import Callable

KB = 1024

_ENGLISH = """
The harbour was quiet when the old ferry came in. Only two people stood on the pier, and one of
them had waited since the morning for a letter. The other sold coffee and talked about the weather.
Nobody knew what the price of fish would be in spring. In the evening the wind turned west. The
boats began to move against their ropes while the lamps went out. A child asked why the sea is
salty. Her mother said that rivers carry it down from the hills.
"""
_FRENCH = """
Le port était calme quand le vieux bac est arrivé. Deux personnes se tenaient sur la jetée, et
l’une d’elles attendait une lettre depuis le matin. L’autre vendait du café et parlait du temps.
Le soir, le vent a tourné à l’ouest. Les bateaux ont commencé à tirer sur leurs amarres.
"""
_RUSSIAN = """
Гавань была тиха, когда старый паром подошёл к берегу. На пристани стояли только двое, и один из
них с утра ждал письма. Другой продавал кофе и говорил о погоде. Вечером ветер переменился. Лодки
закачались на своих канатах, и фонари погасли. Ребёнок спросил, почему море солёное.
"""
_CHINESE = """
旧渡船靠岸的时候，港口很安静。码头上只站着两个人，其中一个从早上起就在等一封信。另一个人在卖咖啡，谈论着天气。
傍晚风向变了。船开始在缆绳上摇晃，灯也熄灭了。一个孩子问，为什么海水是咸的。
"""


def english(rng: random.Random, size: int) -> str:
    """Plain letters."""
    return _mixed(_ENGLISH, " ", rng, size)


def typographic(rng: random.Random, size: int) -> str:
    """English with the quotes, dashes and dots of a word processor."""
    text = english(rng, size).replace("The other", "“The other").replace("weather.", "weather.”")
    text = text.replace(" and ", " — and ").replace("west.", "west…")
    return _of_size(text.replace("coffee", "coffee’s"), size)


def french(rng: random.Random, size: int) -> str:
    """Latin letters with accents."""
    return _mixed(_FRENCH, " ", rng, size)


def russian(rng: random.Random, size: int) -> str:
    """Cyrillic."""
    return _mixed(_RUSSIAN, " ", rng, size)


def chinese(rng: random.Random, size: int) -> str:
    """Han letters with full-width marks, which NFKC changes."""
    return _mixed(_CHINESE, "", rng, size)


def few_shot(rng: random.Random, size: int) -> str:
    """An instruction, and examples that differ in numbers and names."""
    made = ["Solve the problem and show each step of your reasoning before the answer.\n"]
    while sum(map(len, made)) < size:
        one, two = rng.randint(2, 99), rng.randint(2, 99)
        name = rng.choice(("Ann", "Bob", "Carl", "Dora", "Emil"))
        made.append(
            f"\nQuestion: {name} has {one} apples and buys {two} more. How many are there?\n"
            f"Answer: {one} + {two} = {one + two}, so {name} has {one + two} apples.\n"
        )
    return _of_size("".join(made), size)


def code(rng: random.Random, size: int) -> str:
    """A question about a function."""
    made = ["Find the bug in this module and say how you found it:\n\n```python\n"]
    while sum(map(len, made)) < size:
        name, number = rng.choice(("read", "send", "fold", "sort")), rng.randint(0, 999)
        made.append(
            f"def {name}_{number}(items: list[int], limit: int = {number}) -> int:\n"
            f'    """Sum of those under the limit."""\n'
            f"    return sum(item for item in items if item < limit - {number % 7})\n\n"
        )
    return _of_size("".join(made), size)


def hostile(rng: random.Random, size: int) -> str:
    """Lone surrogates and marks that do not compose."""
    parts = ("\ud800 word ", "e\u0301\u0316 ", "p\u0430y ", "\u200bzero ")
    made = "".join(rng.choice(parts) for _ in range(size // 4))
    return _of_size(made, size)


def _mixed(story: str, between: str, rng: random.Random, size: int) -> str:
    """Clauses of a story in any order, each with a word more from elsewhere in it."""
    mark = "." if between else "。"
    sentences = [" ".join(part.split()) for part in story.split(mark) if part.strip()]
    words = " ".join(sentences).split() if between else list("".join(sentences))
    made: list[str] = []
    length = 0
    while length < size:
        sentence = rng.choice(sentences)
        pieces = sentence.split() if between else list(sentence)
        pieces.insert(rng.randrange(len(pieces)) + 1, rng.choice(words))
        made.append(between.join(pieces) + mark)
        length += len(made[-1].encode())
    return _of_size(between.join(made), size)


def _of_size(text: str, size: int) -> str:
    """Cut to so many bytes of UTF-8."""
    data = text.encode("utf-8", "surrogatepass")[:size]
    while True:  # a character may be cut in two
        try:
            return data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            data = data[:-1]


KINDS: dict[str, tuple[Callable[[random.Random, int], str], int]] = {
    "English, 200 bytes": (english, 200),
    "English": (english, 4 * KB),
    "English, typographic": (typographic, 4 * KB),
    "few-shot": (few_shot, 4 * KB),
    "code": (code, 4 * KB),
    "French": (french, 4 * KB),
    "Russian": (russian, 4 * KB),
    "Chinese": (chinese, 4 * KB),
    "hostile": (hostile, 4 * KB),
    "English, 400 KB": (english, 400 * KB),
    "Chinese, 400 KB": (chinese, 400 * KB),
}
