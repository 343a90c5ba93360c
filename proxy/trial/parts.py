"""Values that a case expects, held against values that came."""

from collections.abc import Iterator
from typing import Any

from proxy.policy.match import wildcards

NOTHING = "nothing"

Triple = tuple[str, str, str]  # what, wanted, came


def word(value: object) -> str:
    """A value in a word, as differences tell it."""
    match value:
        case None:
            return NOTHING
        case bool():
            return str(value).lower()
        case list() | tuple():
            return f"[{', '.join(map(word, value))}]"
        case dict():
            return "{" + ", ".join(f"{k}: {word(v)}" for k, v in value.items()) + "}"
        case _:
            return str(value)


def fits(pattern: str, text: str) -> bool:
    """Whether a text is as expected; * and ? are wildcards."""
    return text == pattern or wildcards([pattern])(text)


def within(name: str, wanted: Any, came: Any) -> Iterator[Triple]:
    """How `wanted` is not a part of what came: mappings may have more, null is not there.

    Lists are compared element by element, texts may have wildcards, and "*" is anything.
    """
    if wanted == "*" and came is not None:
        return
    match wanted:
        case dict():
            if not isinstance(came, dict):
                yield name, word(wanted), word(came)
                return
            for key, value in wanted.items():
                yield from within(f"{name}.{key}", value, came.get(key))
        case list():
            if not isinstance(came, list) or len(came) != len(wanted):
                yield name, word(wanted), word(came)
                return
            for i, value in enumerate(wanted):
                yield from within(f"{name}[{i}]", value, came[i])
        case str():
            if not isinstance(came, str) or not fits(wanted, came):
                yield name, wanted, word(came)
        case _:
            # true is no number, though Python says that it is 1
            if wanted != came or isinstance(wanted, bool) is not isinstance(came, bool):
                yield name, word(wanted), word(came)


def span(length_s: int) -> str:
    """A length of time as policies write it."""
    units = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
    unit = next(unit for unit, unit_s in units.items() if length_s % unit_s == 0)
    return f"{length_s // units[unit]}{unit}"
