"""Values of a number with which conditions over it can be tried out.

A condition that only compares a fact with constants changes what it says at these alone. Each of
them, and one value between every two, stand for all values that there are.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from proxy.model.facts import CATALOGUE, FactType
from proxy.policy.cel.text import (
    CelError,
    Kind,
    Token,
    Tokens,
    begins_name,
    chain,
    is_binary,
    scan,
)
from proxy.policy.match import Atom, Condition

Number = int | float

NUMBERS = (FactType.INT, FactType.DOUBLE)
_SIGNS = frozenset(("<", "<=", ">", ">=", "==", "!=", "&&", "||", "!", "(", ")", "[", "]", ","))

# The least and the greatest value that a fact has.
RANGES: Mapping[str, tuple[Number | None, Number | None]] = {
    "request.max_tokens": (0, None),
    "request.choices": (1, None),
    "request.input_tokens": (0, None),
    "request.body_bytes": (0, None),
    "client.asn": (0, 2**32 - 1),
    "cluster.score": (0.0, 1.0),
    "cluster.accounts": (0, None),
    "cluster.account_weight": (0.0, 1.0),
    "quota.used_share": (0.0, None),
}


def points(fact: str, atoms: Iterable[Atom]) -> tuple[Number, ...]:
    """Values that stand for all of the fact's; () where a condition does more than compare it."""
    if CATALOGUE[fact].type not in NUMBERS:
        return ()
    bounds: set[Number] = set()
    for atom in atoms:
        found = _constants(fact, atom)
        if found is None:
            return ()
        bounds |= found
    least, most = RANGES.get(fact, (None, None))
    bounds |= {end for end in (least, most) if end is not None}
    tried = _whole(bounds) if CATALOGUE[fact].type is FactType.INT else _between(bounds)
    return tuple(
        value
        for value in sorted(set(tried))
        if (least is None or value >= least) and (most is None or value <= most)
    )


def _whole(bounds: set[Number]) -> Iterator[Number]:
    for bound in bounds:
        yield from (int(bound) - 1, int(bound), int(bound) + 1)


def _between(bounds: set[Number]) -> Iterator[Number]:
    ordered = sorted(map(float, bounds))
    yield from ordered
    yield from ((a + b) / 2 for a, b in pairwise(ordered))
    if ordered:
        yield from (ordered[0] - 1.0, ordered[-1] + 1.0)


def _constants(fact: str, atom: Atom) -> set[Number] | None:
    """The numbers that a condition compares the fact with; None where it does anything else."""
    if isinstance(atom, Condition) and atom.values is not None:
        return {value for value in atom.values if isinstance(value, (int, float))}
    try:
        return _compared(fact, scan(atom.text))
    except CelError:
        return None


def _compared(fact: str, tokens: Tokens) -> set[Number] | None:
    found: set[Number] = set()
    i = 0
    while i < len(tokens):
        token = tokens[i]
        if token.kind in (Kind.INT, Kind.DOUBLE):
            value, i = _product(tokens, i)
            found |= {value, -value}
            continue
        if begins_name(tokens, i):
            name, end = chain(tokens, i)
            if name != fact:
                return None
            i = end
            continue
        if not _harmless(tokens, i):
            return None
        i += 1
    return found


def _harmless(tokens: Tokens, i: int) -> bool:
    """A comparison, a connective, a bracket, or the minus of a number."""
    token = tokens[i]
    if token.kind is Kind.NAME:
        return token.text == "in"
    if token.text == "-":
        following = tokens[i + 1 : i + 2]
        return not is_binary(tokens, i) and bool(following) and _is_number(following[0])
    return token.kind is Kind.SIGN and token.text in _SIGNS


def _product(tokens: Tokens, i: int) -> tuple[Number, int]:
    """The product of numbers that begins here, and the index after it: 7 * 86400."""
    value = _number(tokens[i])
    i += 1
    while i + 1 < len(tokens) and tokens[i].text == "*" and _is_number(tokens[i + 1]):
        value *= _number(tokens[i + 1])
        i += 2
    return value, i


def _is_number(token: Token) -> bool:
    return token.kind in (Kind.INT, Kind.DOUBLE)


def _number(token: Token) -> Number:
    return int(token.text, 0) if token.kind is Kind.INT else float(token.text)
