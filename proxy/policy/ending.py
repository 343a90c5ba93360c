"""Exceptions and rules that have come to their end, or soon will: what an operator must hear of.

An exception that has run out no longer holds its rules back, and a rule past `expires` no longer
acts; neither says so by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from proxy.model.verdict import RuleKind
from proxy.policy.rules import PolicySet

NS_PER_S = 1_000_000_000
SOON_NS = 14 * 86_400 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Ending:
    """An exception or rule that ends at `at_ns` (Unix ns), or `ended` then."""

    id: str
    kind: RuleKind
    at_ns: int
    ended: bool

    def __str__(self) -> str:
        what = "exception" if self.kind is RuleKind.EXCEPTION else "rule"
        if self.ended:
            return f"{what} {self.id} ended {utc_text(self.at_ns)}: renew it or remove it"
        return f"{what} {self.id} ends {utc_text(self.at_ns)}"


def endings(policy: PolicySet, at_ns: int) -> tuple[Ending, ...]:
    """Exceptions that have run out or will within two weeks, and rules that have; soonest first."""
    return tuple(sorted(_endings(policy, at_ns), key=lambda ending: (ending.at_ns, ending.id)))


def _endings(policy: PolicySet, at_ns: int) -> Iterator[Ending]:
    for exception in policy.exceptions:
        if exception.expires_ns <= at_ns + SOON_NS:
            ended = exception.expires_ns <= at_ns
            yield Ending(exception.id, exception.kind, exception.expires_ns, ended)
    for rule in policy.rules:
        if rule.expires_ns <= at_ns:
            yield Ending(rule.id, rule.kind, rule.expires_ns, ended=True)


def utc_text(at_ns: int) -> str:
    """An instant (Unix ns) to the second, such as 2026-12-01T12:00:00Z."""
    at = datetime.fromtimestamp(at_ns // NS_PER_S, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
