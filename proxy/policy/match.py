"""Which exchanges a rule governs: tables over static facts, in three-valued logic.

A condition on a fact that is not known is neither true nor false. One false condition settles the
match whatever is missing (so that an unknown model does not make a rule about another tier speak).
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from proxy.model.facts import Facts, FactValue

Test = Callable[[FactValue], bool]


@dataclass(frozen=True, slots=True)
class Condition:
    """One atom: a test over one fact."""

    fact: str
    test: Test

    def holds(self, facts: Facts) -> bool | None:
        """True or False, or None where the fact is not known."""
        value = facts.get(self.fact)
        return None if value is None else self.test(value)


@dataclass(frozen=True, slots=True)
class Match:
    """Conditions that must all hold; none of them governs every exchange."""

    conditions: tuple[Condition, ...] = ()

    def holds(self, facts: Facts) -> bool | None:
        """True, False, or None where it hangs on a fact that is not known."""
        unknown = False
        for condition in self.conditions:
            value = facts.get(condition.fact)
            if value is None:
                unknown = True
            elif not condition.test(value):
                return False
        return None if unknown else True

    def missing(self, facts: Facts) -> str:
        """The first fact it needs that is not known."""
        return next((c.fact for c in self.conditions if facts.get(c.fact) is None), "")


def one_of(fact: str, values: list[str]) -> Condition:
    """The fact equals one of the values."""
    return Condition(fact, frozenset(values).__contains__)


def any_of(fact: str, values: list[str]) -> Condition:
    """The fact, a tuple of strings, has one of the values."""
    wanted = frozenset(values)

    def test(value: FactValue) -> bool:
        return isinstance(value, tuple) and not wanted.isdisjoint(value)

    return Condition(fact, test)


def globbed(fact: str, patterns: list[str]) -> Condition:
    """The fact matches one of the patterns (see `wildcards`).

    The empty string (a request that concerns no model) matches no pattern.
    """
    matches = wildcards(patterns)

    def test(value: FactValue) -> bool:
        return isinstance(value, str) and value != "" and matches(value)

    return Condition(fact, test)


def wildcards(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Whether a text matches one of the patterns as a whole.

    `*` stands for any text and `?` for one character; all else, brackets too, for itself, and
    case matters.
    """
    exact = frozenset(p for p in patterns if "*" not in p and "?" not in p)
    wild = "|".join(
        re.escape(p).replace(r"\*", ".*").replace(r"\?", ".") for p in patterns if p not in exact
    )
    regex = re.compile(wild, re.DOTALL) if wild else None

    def matches(text: str) -> bool:
        return text in exact or (regex is not None and regex.fullmatch(text) is not None)

    return matches
