"""When one rule is certain to act wherever another does."""

from collections.abc import Iterable, Iterator
from functools import cached_property

from proxy.model.facts import CATALOGUE, FactValue
from proxy.model.verdict import Mode, OnMissing
from proxy.policy.countries import COUNTRIES
from proxy.policy.lints.never import contradiction
from proxy.policy.lints.reach import Reach
from proxy.policy.match import Atom, Condition, Expression, one_of
from proxy.policy.rules import AnyRule, FingerprintRule, GeographyRule, PolicySet


class Acting:
    """A rule with everything that decides whether it acts; `place` is its place in the set."""

    def __init__(self, rule: AnyRule, place: int) -> None:
        self.rule = rule
        self.place = place
        self.atoms = (*rule.match.conditions, *_own(rule))

    @cached_property
    def reach(self) -> Reach:
        """What it lets through."""
        return Reach(self.atoms)

    @cached_property
    def facts(self) -> frozenset[str]:
        """The facts that its conditions read."""
        return frozenset[str]().union(*(atom.facts for atom in self.atoms))

    @cached_property
    def demands(self) -> tuple[Atom, ...]:
        """Its conditions, without those that are true of every exchange."""
        return tuple(atom for atom in self.atoms if not Reach(()).implies(atom))

    @cached_property
    def idle(self) -> bool:
        """Whether it never acts: there is nothing to say about it beside that."""
        return bool(contradiction(self.atoms))


def _own(rule: AnyRule) -> Iterator[Atom]:
    """The condition that a kind of rule has of itself, where it is one over facts."""
    if isinstance(rule, GeographyRule):
        refused = frozenset(filter(rule.refuses, COUNTRIES))
        yield one_of("client.country", refused, f"refused: {sorted(refused)}")


def acting(policy: PolicySet, at_ns: int) -> tuple[Acting, ...]:
    """The rules that work now or will, in the set's order."""
    every = (Acting(rule, i) for i, rule in enumerate(policy.rules))
    return tuple(one for one in every if one.rule.expires_ns > at_ns and not one.idle)


def steady(policy: PolicySet, rule: AnyRule) -> bool:
    """Whether nothing but an edit, or an operator's disarm, keeps a rule from acting."""
    return (
        rule.mode is Mode.ENFORCE
        and rule.rollout is None
        and rule.fuse is None
        and not rule.pending
        and not any(rule.id in exception.rules for exception in policy.exceptions)
    )


class Steadies:
    """The steady rules of a set, found by what they could be implied by."""

    def __init__(self, policy: PolicySet, every: Iterable[Acting]) -> None:
        self._anyway: list[Acting] = []
        self._by_fact: dict[str, list[Acting]] = {}
        self._by_value: dict[tuple[str, FactValue], list[Acting]] = {}
        for one in every:
            if steady(policy, one.rule):
                self._put(one)

    def _put(self, one: Acting) -> None:
        if not one.demands:
            self._anyway.append(one)
            return
        tables = [a for a in one.demands if isinstance(a, Condition) and a.values is not None]
        if not tables:
            for fact in one.demands[0].facts:
                self._by_fact.setdefault(fact, []).append(one)
            return
        table = min(tables, key=lambda atom: len(atom.values or ()))
        for value in table.values or ():
            self._by_value.setdefault((table.fact, value), []).append(one)

    def about(self, other: Acting) -> list[Acting]:
        """Those that may act wherever `other` does, in the set's order."""
        found = {one.place: one for one in self._anyway}
        for fact in other.facts:
            near = [self._by_fact.get(fact, ())]
            near += [self._by_value.get((fact, value), ()) for value in _samples(other, fact)]
            found |= {one.place: one for held in near for one in held}
        return [found[place] for place in sorted(found)]


def _samples(other: Acting, fact: str) -> Iterator[FactValue]:
    """Values of which a table must have one, if it is implied by what `other` lets through."""
    values = other.reach.values(fact)
    if values:
        yield next(iter(values))
    for atom in other.atoms:
        if isinstance(atom, Condition) and atom.fact == fact and atom.values:
            yield next(iter(atom.values))


def acts_wherever(one: Acting, other: Acting, at_ns: int) -> bool:
    """Whether `one`, which is steady, acts on every exchange on which `other` does."""
    if any(atom.facts.isdisjoint(other.facts) for atom in one.demands):
        return False  # no condition of the other can imply it
    a, b = one.rule, other.rule
    in_time = a.not_before_ns <= max(b.not_before_ns, at_ns) and a.expires_ns >= b.expires_ns
    return (
        in_time
        and _spoken_by(a, b)
        and (_acts_if_unsure(a) or _only_where_sure(one, other))
        and all(other.reach.implies(atom) for atom in one.demands)
    )


def _spoken_by(a: AnyRule, b: AnyRule) -> bool:
    """Whether a fingerprint rule's own threshold is passed wherever the other's is."""
    if not isinstance(a, FingerprintRule):
        return True
    return isinstance(b, FingerprintRule) and (
        a.within_s == b.within_s and a.accounts <= b.accounts
    )


def _acts_if_unsure(rule: AnyRule) -> bool:
    return rule.on_missing is OnMissing.APPLY and rule.on_error is OnMissing.APPLY


def _only_where_sure(one: Acting, other: Acting) -> bool:
    """Whether `one` is sure of its conditions wherever `other` acts."""
    b = other.rule
    abstains = b.on_missing is OnMissing.ABSTAIN and b.on_error is OnMissing.ABSTAIN
    tables = {atom.fact for atom in other.atoms if isinstance(atom, Condition)}
    said = {atom.text for atom in other.atoms if isinstance(atom, Expression)}
    if isinstance(one.rule, FingerprintRule) and not abstains:
        return False
    if all(isinstance(atom, Condition) for atom in one.atoms):
        facts = frozenset[str]().union(*(atom.facts for atom in one.atoms))
        return all(not CATALOGUE[f].optional or (abstains and f in tables) for f in facts)
    return abstains and all(
        atom.fact in tables if isinstance(atom, Condition) else atom.text in said
        for atom in one.atoms
    )
