"""Which counters a change of the policy set resets: edited limits keep their counts, these do not.

A counter's identity is (rule id, unit, subject, algorithm, window), see `proxy.engine.charges`.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from proxy.model.verdict import Algorithm
from proxy.policy.match import Condition
from proxy.policy.rules import PolicySet, QuotaRule


@dataclass(frozen=True, slots=True)
class Reset:
    """A quota that counts from nothing, though what it counts was counted before.

    `key` is the key of its entry that makes it so: id, window or per. `was` is the id under which
    it counted before, where that is another one.
    """

    rule: str
    key: str
    why: str
    was: str = ""

    def __str__(self) -> str:
        return f"{self.rule} ({self.why})"


def counters_reset(before: PolicySet, after: PolicySet) -> tuple[str, ...]:
    """The same as `resets`, in words."""
    return tuple(map(str, resets(before, after)))


def resets(before: PolicySet, after: PolicySet) -> tuple[Reset, ...]:
    """The quotas of `after` that count from nothing although they counted before, and why.

    A quota counts as renamed where its id is new and one that is gone had the same match, subject
    and window, and a unit in common.
    """
    return tuple(_resets(before, after))


def _resets(before: PolicySet, after: PolicySet) -> Iterator[Reset]:
    old = {rule.id: rule for rule in before.quotas}
    gone: defaultdict[object, list[QuotaRule]] = defaultdict(list)  # by what they counted
    for rule in before.quotas:
        if rule.id not in after.by_id:
            gone[_counted(rule)].append(rule)
    for rule in after.quotas:
        same = old.get(rule.id)
        if same is None:
            alike = _alike(rule, gone.get(_counted(rule), []))
            if alike:
                yield Reset(rule.id, "id", f"it was called {alike.id}", alike.id)
        elif same.window != rule.window:
            why = f"its window was {same.window.text} and is {rule.window.text}"
            yield Reset(rule.id, "window", why)
        elif _algorithms(same) != _algorithms(rule):
            yield Reset(rule.id, "algorithm", "it counts by another algorithm")
        elif same.subject != rule.subject:
            yield Reset(rule.id, "per", f"it counted {same.subject} and counts {rule.subject}")


def _alike(rule: QuotaRule, gone: list[QuotaRule]) -> QuotaRule | None:
    """Of rules that are gone and counted what this one counts, one with the same limits if any."""
    found = [old for old in gone if _units(old) & _units(rule)]
    return min(found, key=lambda old: old.limits != rule.limits, default=None)


def _counted(rule: QuotaRule) -> tuple[object, ...]:
    return tuple(map(_meaning, rule.match.conditions)), rule.subject, rule.window


def _meaning(atom: object) -> object:
    """What a condition says; the text of a long table is shortened."""
    if isinstance(atom, Condition):
        return atom.fact, atom.values or atom.patterns or atom.networks or atom.text
    return getattr(atom, "text", "")


def _algorithms(rule: QuotaRule) -> set[str]:
    return {limit.algorithm.value for limit in rule.limits} - {Algorithm.CONCURRENT.value}


def _units(rule: QuotaRule) -> set[str]:
    return {limit.unit.value for limit in rule.limits}
