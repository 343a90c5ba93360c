"""Clauses of simple form as tables: they mean what CEL means, and need none at run time.

Any clause that is not of one of these forms is None here, and CEL's to evaluate.
"""

import operator
from collections.abc import Callable
from math import prod
from typing import Any

from proxy.model.facts import Fact, FactType, FactValue
from proxy.policy.cel.names import FACTS, LIST, Lists, dotted, fact_named
from proxy.policy.cel.text import Kind, Token, Tokens, closing, split, string_of, top, unwrapped
from proxy.policy.match import Condition, any_of, globbed, in_networks, one_of

Literal = str | int | float | bool

MAX_INT = 2**63 - 1  # facts beyond 64 bits are cut to this in CEL: such a literal is left to it
_PYTHON: dict[FactType, type[Literal]] = {
    FactType.STRING: str,
    FactType.INT: int,
    FactType.DOUBLE: float,
    FactType.BOOL: bool,
}
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def table(tokens: Tokens, lists: Lists, text: str) -> Condition | None:
    """The table that the clause is, or None. The clause has passed the type check."""
    operators = top(tokens)
    if not operators:
        return _called(tokens, lists, text) or _bare(tokens, text)
    relations = [found for found in operators if found[1] in _TURNED or found[1] == "in"]
    if len(relations) != 1:
        return None
    at, sign = relations[0]
    left, right = tokens[:at], tokens[at + 1 :]
    if sign == "in":
        return _among(left, right, lists, text)
    if sign in _TURNED:
        return _compared(left, sign, right, text) or _compared(right, _TURNED[sign], left, text)
    return None


def negated(condition: Condition, text: str) -> Condition:
    """True where the condition is false; on an unknown fact, as unsure as it."""
    test = condition.test
    return Condition(condition.fact, lambda value: not test(value), text)


def either(conditions: list[Condition], text: str) -> Condition | None:
    """One table for alternatives over the same fact, where each is a set of values."""
    fact = conditions[0].fact
    values: set[FactValue] = set()
    for condition in conditions:
        if condition.fact != fact or condition.values is None:
            return None
        values |= condition.values
    if FACTS[fact].type is FactType.STRINGS:
        return any_of(fact, [str(value) for value in values], text)
    return one_of(fact, [v for v in values if isinstance(v, (str, int, float))], text)


def literal(tokens: Tokens) -> Literal | None:
    """The constant that the tokens are, or None."""
    tokens = unwrapped(tokens)
    match tokens:
        case (Token(kind=Kind.STRING) as token,):
            return string_of(token)
        case (Token(kind=Kind.INT) as token,):
            return int(token.text, 0)
        case (Token(kind=Kind.DOUBLE) as token,):
            return float(token.text)
        case (Token(kind=Kind.NAME, text="true" | "false" as word),):
            return word == "true"
        case (Token(text="-"), Token(kind=Kind.INT | Kind.DOUBLE) as token):
            return -(int(token.text, 0) if token.kind is Kind.INT else float(token.text))
        case _:
            return _product(tokens)


def _product(tokens: Tokens) -> int | None:
    """The value of `7 * 24 * 3600`, as people write spans of time; None for anything else."""
    factors, signs = tokens[::2], tokens[1::2]
    if len(factors) != len(signs) + 1 or any(token.kind is not Kind.INT for token in factors):
        return None
    if any(sign.text != "*" for sign in signs):
        return None
    value = prod(int(token.text, 0) for token in factors)
    return value if value < MAX_INT else None


def constants(tokens: Tokens, lists: Lists) -> tuple[Literal, ...] | None:
    """The values of a list of literals, or of lists.NAME; None for anything else."""
    tokens = unwrapped(tokens)
    name = dotted(tokens) or ""
    if name.startswith(LIST):
        return lists.get(name.removeprefix(LIST))
    if len(tokens) < 2 or tokens[0].text != "[" or closing(tokens, 0) != len(tokens) - 1:
        return None
    inner = tokens[1:-2] if tokens[-2].text == "," else tokens[1:-1]
    values = [literal(part) for part in split(inner, ",")] if inner else []
    known = tuple(value for value in values if value is not None)
    return known if len(known) == len(values) else None


def texts(tokens: Tokens, lists: Lists) -> tuple[str, ...] | None:
    """The texts that a helper's second argument is: one literal, or constants."""
    one = literal(tokens)
    values = (one,) if one is not None else constants(tokens, lists)
    if values is None:
        return None
    given = tuple(value for value in values if isinstance(value, str))
    return given if len(given) == len(values) else None


def _bare(tokens: Tokens, text: str) -> Condition | None:
    name = fact_named(tokens)
    return one_of(name, (True,), text) if name else None


def _called(tokens: Tokens, lists: Lists, text: str) -> Condition | None:
    """glob(fact, constants) and in_network(fact, constants)."""
    name = tokens[0].text
    if name not in ("glob", "in_network") or len(tokens) < 3 or tokens[1].text != "(":
        return None
    if closing(tokens, 1) != len(tokens) - 1:
        return None
    subject, *rest = split(tokens[2:-1], ",")
    fact, given = fact_named(subject), texts(rest[0], lists) if len(rest) == 1 else None
    if fact is None or given is None:
        return None
    return globbed(fact, list(given), text) if name == "glob" else in_networks(fact, given, text)


def _among(left: Tokens, right: Tokens, lists: Lists, text: str) -> Condition | None:
    fact, values = fact_named(left), constants(right, lists)
    if fact and values is not None and all(_fits(FACTS[fact], value) for value in values):
        return one_of(fact, values, text)
    holder, value = fact_named(right), literal(left)
    if holder and FACTS[holder].type is FactType.STRINGS and isinstance(value, str):
        return any_of(holder, (value,), text)
    return None


def _compared(left: Tokens, sign: str, right: Tokens, text: str) -> Condition | None:
    fact, value = fact_named(left), literal(right)
    if fact is None or value is None or not _fits(FACTS[fact], value):
        return None
    if sign == "==":
        return one_of(fact, (value,), text)
    if sign == "!=":
        return negated(one_of(fact, (value,)), text)
    if FACTS[fact].type not in (FactType.INT, FactType.DOUBLE):
        return None
    compare = _ORDER[sign]
    return Condition(fact, lambda known: compare(known, value), text)


def _fits(fact: Fact, value: Literal) -> bool:
    """Whether the fact is of the literal's type (true is no int here), and no rounding differs."""
    small = not isinstance(value, int) or abs(value) < MAX_INT
    return type(value) is _PYTHON.get(fact.type) and small
