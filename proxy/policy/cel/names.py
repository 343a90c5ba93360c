"""What a condition may name: facts, guards and lists, and their types in CEL."""

import re
from collections.abc import Mapping

from cel_expr_python import cel

from proxy.model.facts import CATALOGUE, Fact, FactType
from proxy.policy.cel.text import Kind, Tokens, begins_name, chain, closing, unwrapped

Lists = Mapping[str, tuple[str, ...]]
Edit = tuple[int, int, str]  # start and end of what is written over, and by what

LIST = "lists."
# has(account.tier) is compiled as the variable has.account.tier: of the same length with its blank,
# so that places in the text stay right.
GUARD = "has."

TYPES: dict[FactType, cel.Type] = {
    FactType.STRING: cel.Type.STRING,
    FactType.INT: cel.Type.INT,
    FactType.DOUBLE: cel.Type.DOUBLE,
    FactType.BOOL: cel.Type.BOOL,
    FactType.STRINGS: cel.Type.List(cel.Type.STRING),
    FactType.TIME: cel.Type.TIMESTAMP,
}
FACTS: dict[str, Fact] = {name: fact for name, fact in CATALOGUE.items() if fact.type in TYPES}


def variables(lists: Lists) -> dict[str, cel.Type]:
    """Every name that a condition may use, with its type."""
    texts = TYPES[FactType.STRINGS]
    return {
        **{name: TYPES[fact.type] for name, fact in FACTS.items()},
        **{GUARD + name: cel.Type.BOOL for name, fact in FACTS.items() if fact.optional},
        **{LIST + name: texts for name in lists if nameable(name)},
    }


def nameable(name: str) -> bool:
    """Whether a list's name can stand in a condition."""
    return name.isascii() and name.isidentifier()


def names_in(tokens: Tokens) -> list[tuple[int, str]]:
    """Index and text of every dotted name, variables of exists() and the like among them."""
    found = ((i, chain(tokens, i)[0]) for i in range(len(tokens)) if begins_name(tokens, i))
    return [(i, name) for i, name in found if name]


def facts_in(tokens: Tokens) -> frozenset[str]:
    """The facts that are named, has() aside."""
    guarded = {i + 2 for i in guards_at(tokens)}
    return frozenset(n for i, n in names_in(tokens) if n in FACTS and i not in guarded)


def lists_in(tokens: Tokens) -> frozenset[str]:
    """The lists that are named."""
    return frozenset(n.removeprefix(LIST) for _, n in names_in(tokens) if n.startswith(LIST))


def guards_at(tokens: Tokens) -> list[int]:
    """Where has( begins."""
    return [
        i
        for i in range(len(tokens) - 1)
        if tokens[i].text == "has" and tokens[i + 1].text == "(" and begins_name(tokens, i)
    ]


def guard(tokens: Tokens) -> str | None:
    """The fact that the tokens ask has() of, where they are nothing else."""
    if guards_at(tokens)[:1] != [0] or closing(tokens, 1) != len(tokens) - 1:
        return None
    return fact_named(tokens[2:-1])


def guarded_in(tokens: Tokens) -> frozenset[str]:
    """The facts that has() is asked of."""
    guards = (fact_named(tokens[i + 2 : closing(tokens, i + 1)]) for i in guards_at(tokens))
    return frozenset(name for name in guards if name)


def guard_edits(text: str, tokens: Tokens) -> list[Edit]:
    """has(x) to the guard's variable, in place.

    A has() that asks for something else is made `true`: its fault is told by its own.
    """
    edits: list[Edit] = []
    for i in guards_at(tokens):
        end = closing(tokens, i + 1)
        if end == len(tokens):
            continue
        name = fact_named(tokens[i + 2 : end])
        if name and FACTS[name].optional:
            edits.append((tokens[i + 1].start, tokens[i + 1].end, "."))
            edits.append((tokens[end].start, tokens[end].end, " "))
        else:
            start = tokens[i].start
            blank = re.sub(r"[^\n]", " ", text[start + 4 : tokens[end].end])
            edits.append((start, tokens[end].end, f"true{blank}"))
    return edits


def edited(text: str, edits: list[Edit], start: int, end: int) -> str:
    """The text between two offsets, written over as the edits say."""
    pieces: list[str] = []
    for from_, to, written in sorted(edits):
        if start <= from_ and to <= end:
            pieces += (text[start:from_], written)
            start = to
    return "".join((*pieces, text[start:end]))


def dotted(tokens: Tokens) -> str | None:
    """The dotted name that the tokens are, where they are nothing else."""
    if not tokens or tokens[0].kind is not Kind.NAME:
        return None
    name, end = chain(tokens, 0)
    return name if end == len(tokens) else None


def fact_named(tokens: Tokens) -> str | None:
    """The fact that the tokens are, brackets aside."""
    name = dotted(unwrapped(tokens))
    return name if name in FACTS else None
