"""Which exchanges a rule governs: conditions over facts, in three-valued logic.

A condition on a fact that is not known is neither true nor false, and one that cannot be evaluated
(a division by zero) has failed. One false condition settles the match whatever else is missing,
so that an unknown model does not make a rule about another tier speak.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from proxy.model.facts import Facts, FactValue

Test = Callable[[FactValue], bool]


@dataclass(frozen=True, slots=True)
class Missing:
    """It hangs on a fact that is not known."""

    fact: str


@dataclass(frozen=True, slots=True)
class Failed:
    """It cannot be evaluated; `error` says why."""

    error: str


# What a condition says. Missing and Failed are truthy like any object: compare with `is True`.
Truth = bool | Missing | Failed


@dataclass(frozen=True, slots=True)
class Condition:
    """One atom: a test over one fact. `text` shows it as the file has it.

    `values` are the values that make it true, where they are a finite set: what an index may use.
    `patterns` or `networks` are what it is made of, where it is of that kind.
    """

    fact: str
    test: Test
    text: str = ""
    values: frozenset[FactValue] | None = None
    patterns: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()

    @property
    def facts(self) -> frozenset[str]:
        """Names of the facts it reads."""
        return frozenset((self.fact,))

    def holds(self, facts: Facts) -> Truth:
        """True or False, or Missing where the fact is not known."""
        value = facts.get(self.fact)
        return Missing(self.fact) if value is None else self.test(value)


@dataclass(frozen=True, slots=True)
class Expression:
    """One atom in CEL over any number of facts; `evaluate` is made by `proxy.policy.cel`.

    `guarded` are the facts whose absence it provides for itself, with has().
    """

    text: str
    facts: frozenset[str]
    evaluate: Callable[[Facts], Truth]
    guarded: frozenset[str] = frozenset()

    def holds(self, facts: Facts) -> Truth:
        """What it says of these facts."""
        return self.evaluate(facts)


Atom = Condition | Expression


@dataclass(frozen=True, slots=True)
class Keyed:
    """An expression whose value names a subject; `evaluate` is made by `proxy.policy.cel`."""

    text: str
    facts: frozenset[str]
    evaluate: Callable[[Facts], str | Missing | Failed]


@dataclass(frozen=True, slots=True)
class Match:
    """Conditions that must all hold; none of them governs every exchange."""

    conditions: tuple[Atom, ...] = ()

    @property
    def facts(self) -> frozenset[str]:
        """Names of all facts it reads."""
        return frozenset().union(*(condition.facts for condition in self.conditions))

    def holds(self, facts: Facts) -> Truth:
        """False if any condition is; else Failed or Missing if one is; else True."""
        unsure: Missing | Failed | None = None
        for condition in self.conditions:
            truth = condition.holds(facts)
            if truth is False:
                return False
            if truth is not True and (unsure is None or isinstance(truth, Failed)):
                unsure = truth
        return True if unsure is None else unsure


def one_of(fact: str, values: Iterable[str | float], text: str = "") -> Condition:
    """The fact equals one of the values."""
    wanted = frozenset(values)
    return Condition(fact, wanted.__contains__, text, wanted)


def any_of(fact: str, values: Iterable[str], text: str = "") -> Condition:
    """The fact, a tuple of strings, has one of the values."""
    wanted = frozenset(values)

    def test(value: FactValue) -> bool:
        return isinstance(value, tuple) and not wanted.isdisjoint(value)

    return Condition(fact, test, text, wanted)


def globbed(fact: str, patterns: list[str], text: str = "") -> Condition:
    """The fact matches one of the patterns (see `wildcards`).

    The empty string (a request that concerns no model) matches no pattern.
    """
    matches = wildcards(patterns)
    exact = all("*" not in pattern and "?" not in pattern for pattern in patterns)

    def test(value: FactValue) -> bool:
        return isinstance(value, str) and value != "" and matches(value)

    values = frozenset(patterns) - {""} if exact else None
    return Condition(fact, test, text, values, patterns=tuple(patterns))


def in_networks(fact: str, networks: Iterable[str], text: str = "") -> Condition:
    """The fact, an address, lies in one of the networks (CIDRs or single addresses)."""
    given = tuple(networks)
    contains = network_test(given)

    def test(value: FactValue) -> bool:
        return isinstance(value, str) and contains(value)

    return Condition(fact, test, text, networks=given)


def network_test(networks: Iterable[str]) -> Callable[[str], bool]:
    """Whether an address lies in one of the networks; ValueError for what is no network."""
    by_length: dict[tuple[int, int], set[int]] = {}
    for text in networks:
        network = _unmapped(ip_network(text))
        shift = network.max_prefixlen - network.prefixlen
        key = (network.version, shift)
        by_length.setdefault(key, set()).add(int(network.network_address) >> shift)

    def contains(text: str) -> bool:
        parsed = _address(text)
        if parsed is None:
            return False
        version, number = parsed
        return any(
            version == of and number >> shift in held for (of, shift), held in by_length.items()
        )

    return contains


def _unmapped(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """An IPv4 network that is written within IPv6 (::ffff:10.0.0.0/104) as what addresses are."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < 96:
        return network
    return IPv4Network((mapped, network.prefixlen - 96))


@lru_cache(maxsize=16_384)
def _address(text: str) -> tuple[int, int] | None:
    """Version and number of an address; an IPv4 address within IPv6 counts as IPv4."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    found = mapped or address
    return found.version, int(found)


def wildcards(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Whether a text matches one of the patterns as a whole, in time linear in its length.

    `*` stands for any text and `?` for one character; all else, brackets too, for itself, and
    case matters.
    """
    exact = frozenset(p for p in patterns if "*" not in p and "?" not in p)
    wild = "|".join(_regex(p) for p in patterns if p not in exact)
    regex = re.compile(wild, re.DOTALL) if wild else None

    def matches(text: str) -> bool:
        return text in exact or (regex is not None and regex.fullmatch(text) is not None)

    return matches


def _regex(pattern: str) -> str:
    """A pattern as a regular expression that never goes back further than its last `*`.

    Between two `*` the first place that fits is as good as any, so it is kept (an atomic group):
    callers choose the texts, and must not choose how long it takes.
    """
    first, *rest = [re.escape(part).replace(r"\?", ".") for part in pattern.split("*")]
    middle = "".join(f"(?>.*?{part})" for part in rest[:-1] if part)
    return first + (f"{middle}.*{rest[-1]}" if rest else "")
