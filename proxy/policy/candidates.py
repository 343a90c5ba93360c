"""The rules that may govern an exchange, found without asking each of them.

A rule that names accounts, places, tiers, models and the like by value is found by the value that
the exchange has; what is left out has a false condition. For exchanges that are alike in a few
facts with few values (surface, dialect, model, tier) it is moreover remembered which rules these
facts leave, and which conditions they settle. Neither changes what is decided: a false
condition makes a match false, a true one adds nothing.

A caller chooses the model's name. A name that is seldom seen is looked up and not remembered, and
what is remembered is bounded.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Generic, TypeVar

from proxy.model.facts import Facts, FactValue
from proxy.policy.match import Condition, Match
from proxy.policy.rules import (
    AccessRule,
    ExceptionRule,
    FingerprintRule,
    GeographyRule,
    PolicySet,
    QuotaRule,
)

COARSE = ("request.surface", "request.dialect", "request.model", "account.tier")
FINE = (
    "account.id",
    "account.key",
    "account.organization",
    "account.labels",
    "client.country",
    "client.asn",
    "client.anonymizer",
)
MAX_REMEMBERED = 4096
MAX_SHELVED = 250_000  # rules on all shelves together, and in what one shelf remembers
REMEMBERED_FROM = 8  # exchanges with the same coarse facts

AnyGoverning = AccessRule | ExceptionRule | FingerprintRule | GeographyRule | QuotaRule
SomeRule = TypeVar("SomeRule", bound=AnyGoverning)
AnyHeld = TypeVar("AnyHeld")


@dataclass(frozen=True, slots=True)
class Candidate(Generic[SomeRule]):
    """A rule that may govern the exchange, and what of its match is still open.

    `place` is its place in the policy set's order.
    """

    place: int
    rule: SomeRule
    match: Match


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidates by kind, in the set's order."""

    exceptions: tuple[Candidate[ExceptionRule], ...] = ()
    geography: tuple[Candidate[GeographyRule], ...] = ()
    access: tuple[Candidate[AccessRule], ...] = ()
    fingerprints: tuple[Candidate[FingerprintRule], ...] = ()
    quotas: tuple[Candidate[QuotaRule], ...] = ()


KINDS = tuple(field.name for field in fields(Candidates))
Numbered = tuple[str, Candidate[AnyGoverning]]  # kind, candidate


def every_rule(policy: PolicySet) -> Candidates:
    """All rules of a set, none of their conditions settled."""
    return _by_kind(_numbered(policy))


def _numbered(policy: PolicySet) -> list[Numbered]:
    rules = [(kind, rule) for kind in KINDS for rule in getattr(policy, kind)]
    return [(kind, Candidate(i, rule, rule.match)) for i, (kind, rule) in enumerate(rules)]


def _by_kind(found: Iterable[Numbered]) -> Candidates:
    kinds: dict[str, list[Candidate[AnyGoverning]]] = {kind: [] for kind in KINDS}
    for kind, candidate in sorted(found, key=lambda pair: pair[1].place):
        kinds[kind].append(candidate)
    return Candidates(**{kind: tuple(held) for kind, held in kinds.items()})  # type: ignore[arg-type]  # each list holds its kind


class CandidateIndex:
    """Finds and remembers the candidates of one policy set."""

    def __init__(self, policy: PolicySet) -> None:
        self._rules = _numbered(policy)
        self._coarse = [_Coarse(numbered) for numbered in self._rules]
        self._unsettled = _Shelf(self._rules, frozenset((*COARSE, *FINE)))
        self._seen: dict[tuple[object, ...], int] = {}
        self._remembered: dict[tuple[object, ...], _Shelf] = {}
        self._shelves: dict[tuple[object, ...], _Shelf] = {}
        self._shelved = 0

    def of(self, facts: Facts) -> Candidates:
        """The rules that may govern an exchange with these facts."""
        get = facts.get
        key = (get(COARSE[0]), get(COARSE[1]), get(COARSE[2]), get(COARSE[3]))
        shelf = self._remembered.get(key)
        if shelf is None:
            shelf = self._unsettled if self._seldom(key) else self._remember(key, facts)
        return shelf.of(facts)

    def _seldom(self, key: tuple[object, ...]) -> bool:
        """Whether exchanges like this have been few so far; counts this one."""
        _bound(self._seen)
        self._seen[key] = times = self._seen.get(key, 0) + 1
        return times < REMEMBERED_FROM

    def _remember(self, key: tuple[object, ...], facts: Facts) -> "_Shelf":
        _bound(self._remembered)
        settled = tuple([coarse.settled(facts) for coarse in self._coarse if coarse.conditions])
        shelf = self._shelves.get(settled)
        if shelf is None:
            shelf = self._shelves[settled] = self._shelf(facts)
        self._remembered[key] = shelf
        return shelf

    def _shelf(self, facts: Facts) -> "_Shelf":
        """A new shelf with the rules that these facts leave."""
        left = [numbered for coarse in self._coarse if (numbered := coarse.left(facts))]
        if self._shelved + len(left) > MAX_SHELVED:
            for held in (self._seen, self._remembered, self._shelves):
                held.clear()
            self._shelved = 0
        self._shelved += len(left)
        return _Shelf(left, frozenset(FINE))


class _Coarse:
    """A rule and its conditions over the coarse facts alone."""

    __slots__ = ("_numbered", "conditions")

    def __init__(self, numbered: Numbered) -> None:
        self._numbered = numbered
        names = frozenset(COARSE)
        given = numbered[1].match.conditions
        self.conditions = tuple([atom for atom in given if atom.facts.issubset(names)])

    def settled(self, facts: Facts) -> tuple[bool | None, ...]:
        """What the conditions say, None where they are unsure; nothing more once one is false."""
        said: list[bool | None] = []
        for atom in self.conditions:
            truth = atom.holds(facts)
            said.append(truth if isinstance(truth, bool) else None)
            if truth is False:
                break
        return tuple(said)

    def left(self, facts: Facts) -> Numbered | None:
        """The rule with what is open of its match; None where that is false."""
        if not self.conditions:
            return self._numbered
        kind, candidate = self._numbered
        told = dict(zip(map(id, self.conditions), self.settled(facts), strict=False))
        if False in told.values():
            return None
        given = candidate.match.conditions
        match = Match(tuple([atom for atom in given if told.get(id(atom)) is not True]))
        return kind, Candidate(candidate.place, candidate.rule, match)


def _bound(held: dict[tuple[object, ...], AnyHeld], most: int = MAX_REMEMBERED) -> None:
    if len(held) >= most:
        held.clear()


class _Shelf:
    """Rules found by the values of facts: each under its condition with the fewest values."""

    def __init__(self, rules: list[Numbered], facts: frozenset[str]) -> None:
        self._anyway: list[Numbered] = []
        self._by_value: dict[str, dict[FactValue, list[Numbered]]] = {}
        self._unknown: dict[str, list[Numbered]] = {}
        for numbered in rules:
            self._put(numbered, facts)
        self._remembered: dict[tuple[object, ...], Candidates] = {}
        self._most = min(MAX_REMEMBERED, MAX_SHELVED // max(1, len(rules)))

    def _put(self, numbered: Numbered, facts: frozenset[str]) -> None:
        key = _finite(numbered[1].match, facts)
        if key is None or key.values is None:
            self._anyway.append(numbered)
            return
        table = self._by_value.setdefault(key.fact, {})
        for value in key.values:
            table.setdefault(value, []).append(numbered)
        self._unknown.setdefault(key.fact, []).append(numbered)

    def of(self, facts: Facts) -> Candidates:
        """The rules that none of these conditions rules out."""
        hits = tuple([_hit(facts.get(fact), table) for fact, table in self._by_value.items()])
        candidates = self._remembered.get(hits)
        if candidates is None:
            _bound(self._remembered, self._most)
            candidates = self._remembered[hits] = self._search(hits)
        return candidates

    def _search(self, hits: tuple[object, ...]) -> Candidates:
        held = {numbered[1].place: numbered for numbered in self._anyway}
        for (fact, table), hit in zip(self._by_value.items(), hits, strict=True):
            for numbered in self._unknown[fact] if hit is None else _under(table, hit):
                held[numbered[1].place] = numbered
        return _by_kind(held.values())


def _hit(value: FactValue | None, table: Mapping[FactValue, object]) -> object:
    """What of a fact's value a table knows: its value or values, () for others, None if unknown."""
    if value is None:
        return None
    if isinstance(value, tuple):
        return tuple(label for label in value if label in table)
    return value if value in table else ()


def _under(table: Mapping[FactValue, list[Numbered]], hit: object) -> Iterator[Numbered]:
    for value in hit if isinstance(hit, tuple) else (hit,):
        yield from table[value]


def _finite(match: Match, facts: frozenset[str]) -> Condition | None:
    """The condition over one of these facts that the fewest values make true."""
    keys = [
        atom
        for atom in match.conditions
        if isinstance(atom, Condition) and atom.fact in facts and atom.values is not None
    ]
    return min(keys, key=lambda atom: len(atom.values or ()), default=None)
