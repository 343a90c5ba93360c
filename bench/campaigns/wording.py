"""Texts with alternatives: `{a|b}` is one of the words, `<name>` one of a named table.

Alternatives do not nest.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.campaigns.draw import Draw

_PART = re.compile(r"\{([^}]*)\}|<(\w+)>")


@dataclass(frozen=True, slots=True)
class Wording:
    """A text whose odd parts are one of some alternatives."""

    fixed: tuple[str, ...]
    choices: tuple[Sequence[str], ...]

    def said(self, draw: Draw) -> str:
        """One of its forms."""
        # One draw holds some ten choices: this runs several times a line.
        left = draw.bits()
        parts = [self.fixed[0]]
        for choice, after in zip(self.choices, self.fixed[1:], strict=True):
            left, at = divmod(left, len(choice))
            parts += choice[at], after
        return "".join(parts)


def wording(text: str, tables: Mapping[str, Sequence[str]]) -> Wording:
    """Read a text with alternatives. KeyError for a table that is not there."""
    fixed, choices, at = [], [], 0
    for found in _PART.finditer(text):
        fixed.append(text[at : found.start()])
        words, name = found.groups()
        if words and "<" in words:
            raise ValueError(f"a table within alternatives: {found.group()}")
        choices.append(tables[name] if name else tuple(words.split("|")))
        at = found.end()
    return Wording((*fixed, text[at:]), tuple(choices))


def wordings(texts: Sequence[str], tables: Mapping[str, Sequence[str]]) -> tuple[Wording, ...]:
    """Some of them."""
    return tuple(wording(text, tables) for text in texts)


def picked(draw: Draw, items: Sequence[Wording], count: int) -> list[Wording]:
    """`count` different ones, in their own order."""
    left = list(range(len(items)))
    while len(left) > count:
        left.pop(draw.below(len(left)))
    return [items[at] for at in left]


def shuffled(draw: Draw, items: Sequence[str]) -> list[str]:
    """The same in another order."""
    mixed = list(items)
    for last in range(len(mixed) - 1, 0, -1):
        other = draw.below(last + 1)
        mixed[last], mixed[other] = mixed[other], mixed[last]
    return mixed
