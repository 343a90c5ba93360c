"""What conditions that must all hold let through, as far as it is certain without an exchange.

Conditions are asked, not parsed: a fact with few values is tried with each of them, a number with
one value of each span in which no condition changes its mind. What remains undecided counts as
possible, and as not implied. That rests on three-valued logic: what a condition says where facts
are missing, it says whatever they are. Only has() breaks this, so a guarded fact is never left out.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from ipaddress import ip_network
from itertools import combinations

from proxy.model.cluster import ClusterState
from proxy.model.exchange import SURFACE_NAMES, Dialect
from proxy.model.facts import CATALOGUE, FactType, FactValue
from proxy.policy.cel.values import STATES
from proxy.policy.compile_match import ANONYMIZERS
from proxy.policy.countries import COUNTRIES
from proxy.policy.lints.globs import covers, meet
from proxy.policy.lints.spans import points
from proxy.policy.lints.surfaces import DIALECTS, NAMELESS
from proxy.policy.match import Atom, Condition, Expression

SURFACE, DIALECT, MODEL = "request.surface", "request.dialect", "request.model"

# Facts of which every value is known beforehand.
UNIVERSES: Mapping[str, frozenset[FactValue]] = {
    SURFACE: SURFACE_NAMES,
    DIALECT: frozenset(dialect.value for dialect in Dialect),
    "client.country": COUNTRIES,
    "client.anonymizer": frozenset(ANONYMIZERS),
    "cluster.state": frozenset(STATES) - {ClusterState.DISMISSED.value},  # that is in none then
    **{
        name: frozenset((True, False))
        for name, fact in CATALOGUE.items()
        if fact.type is FactType.BOOL
    },
}
SEVERAL = (FactType.STRINGS, FactType.COUNTS, FactType.LIMITS)  # facts of several values


class Reach:
    """What a match lets through."""

    def __init__(self, atoms: Iterable[Atom]) -> None:
        self.atoms = tuple(atoms)
        self._values: dict[str, frozenset[FactValue] | None] = {}

    def values(self, fact: str) -> frozenset[FactValue] | None:
        """The values of a fact for which no condition is false; None where they have no end."""
        if fact not in self._values:
            self._values[fact] = self._possible(fact)
        return self._values[fact]

    def _possible(self, fact: str) -> frozenset[FactValue] | None:
        if CATALOGUE[fact].type in SEVERAL:
            return None
        given = [a.values for a in self._tables(fact) if a.values is not None]
        every = UNIVERSES.get(fact)
        start = min(given, key=len) if given else every
        if start is None:
            return None
        start = start if every is None else start & every
        asked = [a for a in self.atoms if fact in a.facts and _unguarded(a, fact)]
        return frozenset(v for v in start if all(a.holds({fact: v}) is not False for a in asked))

    def _tables(self, fact: str) -> list[Condition]:
        return [a for a in self.atoms if isinstance(a, Condition) and a.fact == fact]

    # Whether anything is let through

    @cached_property
    def impossible(self) -> bool:
        """Whether certainly no exchange makes all conditions hold."""
        return (
            any(not atom.facts and atom.holds({}) is False for atom in self.atoms)
            or any(self._nowhere(fact) for atom in self.atoms for fact in atom.facts)
            or self._surfaces_at_odds()
        )

    def _nowhere(self, fact: str) -> bool:
        if self.values(fact) == frozenset():
            return True
        tables = self._tables(fact)
        return self._no_number(fact) or any(_apart(a, b) for a, b in combinations(tables, 2))

    def _no_number(self, fact: str) -> bool:
        atoms = [atom for atom in self.atoms if atom.facts == {fact}]
        tried = points(fact, atoms)
        return bool(tried) and not any(
            all(atom.holds({fact: value}) is not False for atom in atoms) for value in tried
        )

    def _surfaces_at_odds(self) -> bool:
        """Whether no surface that is let through has the protocol, or the model, that is asked."""
        surfaces = self.values(SURFACE)
        if not surfaces:
            return False
        dialects = self.values(DIALECT) or UNIVERSES[DIALECT]
        models = [a for a in self.atoms if a.facts == {MODEL} and _unguarded(a, MODEL)]
        nameless = all(atom.holds({MODEL: ""}) is not False for atom in models)
        return not any(
            DIALECTS[str(surface)] & dialects and (nameless or surface not in NAMELESS)
            for surface in surfaces
        )

    # Whether a condition holds wherever these do

    def implies(self, atom: Atom) -> bool:
        """Whether the condition is certainly not false wherever none of these is.

        Where all facts are known it then holds.
        """
        if any(_same(own, atom) for own in self.atoms):
            return True
        if not atom.facts:
            return atom.holds({}) is True
        return any(self._settles(fact, atom) for fact in atom.facts)

    def _settles(self, fact: str, atom: Atom) -> bool:
        if isinstance(atom, Condition) and any(_within(a, atom) for a in self._tables(fact)):
            return True
        if not _unguarded(atom) or CATALOGUE[fact].type in SEVERAL:
            return False
        values = self.values(fact)
        if values is None:
            return self._in_every_span(fact, atom)
        return all(atom.holds({fact: value}) is True for value in values)

    def _in_every_span(self, fact: str, atom: Atom) -> bool:
        own = [a for a in self.atoms if a.facts == {fact}]
        if atom.facts != {fact}:
            return False
        tried = points(fact, [*own, atom])
        through = [v for v in tried if all(a.holds({fact: v}) is not False for a in own)]
        return bool(tried) and all(atom.holds({fact: value}) is True for value in through)


def _unguarded(atom: Atom, but: str = "") -> bool:
    """Whether the condition asks has() of no fact (but one)."""
    return isinstance(atom, Condition) or atom.guarded <= {but}


def _same(one: Atom, other: Atom) -> bool:
    """Whether two conditions are written alike; the text of a long table is shortened."""
    if isinstance(one, Condition):
        return isinstance(other, Condition) and _made_of(one) == _made_of(other)
    return isinstance(other, Expression) and one.text == other.text


def _made_of(table: Condition) -> tuple[object, ...]:
    return (table.fact, table.text, table.values, table.patterns, table.networks)


def _apart(one: Condition, other: Condition) -> bool:
    """Whether patterns, or networks, of two conditions have nothing in common."""
    if one.patterns and other.patterns:
        return not any(meet(a, b) for a in one.patterns for b in other.patterns)
    if one.networks and other.networks:
        return not any(
            network_within(a, b) or network_within(b, a)
            for a in one.networks
            for b in other.networks
        )
    return False


def _within(narrow: Condition, wide: Condition) -> bool:
    """Whether the values, patterns or networks of one are all among those of the other."""
    if narrow.values is not None and wide.values is not None:
        return narrow.values <= wide.values
    if narrow.patterns and wide.patterns:
        return all(any(covers(b, a) for b in wide.patterns) for a in narrow.patterns)
    if narrow.networks and wide.networks:
        return all(any(network_within(a, b) for b in wide.networks) for a in narrow.networks)
    return False


def network_within(narrow: str, wide: str) -> bool:
    """Whether one network (CIDR or address) lies in another, or is the same."""
    a, b = ip_network(narrow), ip_network(wide)
    return (
        a.version == b.version
        and b.prefixlen <= a.prefixlen
        and int(a.network_address) >> (a.max_prefixlen - b.prefixlen)
        == int(b.network_address) >> (b.max_prefixlen - b.prefixlen)
    )
