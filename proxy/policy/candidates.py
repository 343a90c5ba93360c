"""The rules that may govern an exchange, found without asking each of them.

Most conditions are over a few facts with few values (surface, dialect, model, tier). A rule with
such a condition that is false cannot govern the exchange, whatever else it says; which rules remain
is remembered by the values of these facts. Dropping a rule never changes what is decided: a
false condition makes a match false.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from proxy.model.facts import Facts
from proxy.policy.rules import FingerprintRule, GeographyRule, PolicySet, QuotaRule, Rule

FACTS = ("request.surface", "request.dialect", "request.model", "account.tier")
MAX_REMEMBERED = 4096  # a caller chooses the model's name: what it can fill is bounded

AnyRule = TypeVar("AnyRule", bound=Rule)


@dataclass(frozen=True, slots=True)
class Candidates:
    """The rules of a policy set that remain, in the set's order."""

    geography: tuple[GeographyRule, ...]
    fingerprints: tuple[FingerprintRule, ...]
    quotas: tuple[QuotaRule, ...]


class CandidateIndex:
    """Remembers the candidates of one policy set."""

    def __init__(self, policy: PolicySet) -> None:
        self._policy = policy
        self._remembered: dict[tuple[object, ...], Candidates] = {}

    def of(self, facts: Facts) -> Candidates:
        """The rules that may govern an exchange with these facts."""
        get = facts.get
        key = (get(FACTS[0]), get(FACTS[1]), get(FACTS[2]), get(FACTS[3]))
        found = self._remembered.get(key)
        if found is None:
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            found = self._remembered[key] = self._search(facts)
        return found

    def _search(self, facts: Facts) -> Candidates:
        policy = self._policy
        return Candidates(
            _remaining(policy.geography, facts),
            _remaining(policy.fingerprints, facts),
            _remaining(policy.quotas, facts),
        )


def _remaining(rules: Iterable[AnyRule], facts: Facts) -> tuple[AnyRule, ...]:
    return tuple(rule for rule in rules if not _ruled_out(rule, facts))


def _ruled_out(rule: Rule, facts: Facts) -> bool:
    return any(
        condition.holds(facts) is False
        for condition in rule.match.conditions
        if condition.fact in FACTS
    )
