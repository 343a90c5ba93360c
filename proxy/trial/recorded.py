"""A decision of the audit log, judged again from what its record says.

Facts stand in a record as they were; people as pseudonyms, see `who`. Where a match hangs on a fact
that cannot be read any more, what the record tells of the rule stands in for it: whether it
spoke, was counted or was lowered. Invariant: what is taken from the record is named, so that
nothing passes for judged again that was not.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from proxy.audit.read import Entry
from proxy.engine.charges import STAND_FOR_THEMSELVES
from proxy.model.facts import Facts, FactValue
from proxy.model.record import Json
from proxy.model.verdict import Cause, RuleKind
from proxy.pipeline.records import DEFAULTS
from proxy.policy.match import Expression, Failed, Match, Missing, Truth
from proxy.policy.rules import (
    DIMENSION_FACTS,
    AccessRule,
    ExceptionRule,
    FingerprintRule,
    GeographyRule,
    PolicySet,
    QuotaRule,
)
from proxy.trial.clauses import Withheld, open_conditions

SAID_IN = ("rules", "warned", "shadow")
TEMPLATE_ACCOUNTS = "fingerprint.template_accounts"
# What a rule or an exception says that was unsure, in the words of `proxy.engine`.
_UNKNOWN = re.compile(r"(?:the exception does not apply: )?([a-z0-9_.]+) is not known")
_FAILED = re.compile(r"(?:the exception does not apply: its|the) condition failed \(([^)]*)\)")

SomeRule = TypeVar("SomeRule", ExceptionRule, GeographyRule, AccessRule, FingerprintRule, QuotaRule)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a decision record says: `fields` as they stand there, and the facts it rested on."""

    exchange: str
    at_ns: int
    fields: Mapping[str, Any]
    facts: Facts
    withheld: Mapping[str, Withheld]

    @property
    def own_check(self) -> tuple[str, str] | None:
        """(check, why) where Gauger's own checks refused."""
        for said in self.fields.get("rules", ()):
            if said[1] == RuleKind.BUILTIN.value:
                return said[0], said[3]
        return None

    @property
    def disarmed(self) -> frozenset[str]:
        """The rules that were disarmed and governed the exchange."""
        lowered = self.fields.get("lowered", ())
        return frozenset(said[0] for said in lowered if said[1] == Cause.DISARMED.value)


def recorded(entry: Entry, known: Mapping[str, str], withheld: Mapping[str, Withheld]) -> Recorded:
    """A decision record with the personal facts that could be told."""
    fields: Mapping[str, Any] = entry.fields
    facts = {**dict(_facts(fields.get("facts", {}))), **known, "time.now": entry.at_ns}
    if "key" in fields:
        facts.setdefault("account.honeypot", False)
    return Recorded(entry.id, entry.at_ns, fields, facts, withheld)


def settled(policy: PolicySet, record: Recorded) -> tuple[PolicySet, tuple[str, ...]]:
    """The set with what cannot be judged again as the record says that it was.

    Also the ids of the rules and exceptions of which something is taken from the record.
    """
    taken: list[str] = []
    seen = frozenset(_traces(record.fields))

    def as_recorded(rules: Iterable[SomeRule]) -> tuple[SomeRule, ...]:
        return tuple(_as_recorded(rules, record, seen, taken))

    asked = replace(
        policy,
        exceptions=as_recorded(policy.exceptions),
        geography=as_recorded(policy.geography),
        access=as_recorded(policy.access),
        fingerprints=as_recorded(policy.fingerprints),
        quotas=as_recorded(policy.quotas),
    )
    return asked, tuple(taken)


def _facts(written: Mapping[str, Json]) -> Iterator[tuple[str, FactValue]]:
    """The facts of a record, of their types; those at their usual values are not written."""
    for name, usual in DEFAULTS.items():
        if name != "account.honeypot":
            yield name, usual  # type: ignore[misc]  # a table of fact values
    yield TEMPLATE_ACCOUNTS, {}
    for name, value in written.items():
        if isinstance(value, list):
            yield name, tuple(map(str, value))
        elif isinstance(value, dict):
            yield name, _mapping(value)
        elif value is not None:
            yield name, value


def _mapping(value: Mapping[str, Json]) -> FactValue:
    """Counts by window in seconds, or limits by rule and unit."""
    if any("." in key for key in value):
        return {key: int(str(amount)) for key, amount in value.items()}
    return {int(window): int(str(count)) for window, count in value.items()}


def _traces(fields: Mapping[str, Any]) -> Iterator[str]:
    """The rules and exceptions of which a record says something."""
    for name in (*SAID_IN, "charges", "lowered"):
        for said in fields.get(name, ()):
            yield said[0]
    for said in fields.get("lowered", ()):
        yield from said[2:]


def _as_recorded(
    rules: Iterable[SomeRule], record: Recorded, seen: frozenset[str], taken: list[str]
) -> Iterator[SomeRule]:
    for rule in rules:
        conditions, is_open = open_conditions(rule.match, record.facts, record.withheld)
        if is_open:
            taken.append(rule.id)
            if rule.id not in seen:
                continue
            unsure = tuple(_unsure(rule.id, record.fields))
            rule = replace(rule, match=Match(conditions + unsure))  # noqa: PLW2901
        yield _rolled_out(_counted_by(rule, record, taken), record, taken)


def _counted_by(rule: SomeRule, record: Recorded, taken: list[str]) -> SomeRule:
    """A quota whose subject hangs on what cannot be read now: it counted, or it did not, as the
    record says. Which subject that was changes nothing of what is compared."""
    if not isinstance(rule, QuotaRule):
        return rule
    hidden = [name for name in rule.per if DIMENSION_FACTS.get(name, "") in record.withheld]
    by = rule.by is not None and not rule.by.facts.isdisjoint(record.withheld)
    if not by and set(hidden) <= set(STAND_FOR_THEMSELVES):
        return rule
    if rule.id not in taken:
        taken.append(rule.id)
    per = tuple(name for name in rule.per if name not in hidden) or ("everybody",)
    unsure = tuple(_unsure(rule.id, record.fields))
    match = Match(rule.match.conditions + unsure)
    return replace(rule, match=match, per=("everybody",) if by else per, by=None)


def _unsure(rule: str, fields: Mapping[str, Any]) -> Iterator[Expression]:
    """What the match of a rule came to where it was neither true nor false."""
    said = [one for name in SAID_IN for one in fields.get(name, ()) if one[0] == rule]
    why = next((one[3] for one in said if len(one) > 3), "")
    truth: Truth = True
    if unknown := _UNKNOWN.match(why):
        truth = Missing(unknown[1])
    elif failed := _FAILED.match(why):
        truth = Failed(failed[1])
    if truth is not True:
        yield Expression("as recorded", frozenset(), lambda _: truth)


def _rolled_out(rule: SomeRule, record: Recorded, taken: list[str]) -> SomeRule:
    """A rollout hangs on the account: where it is not known, the record says how it came out."""
    if isinstance(rule, ExceptionRule) or rule.rollout is None or "account.id" in record.facts:
        return rule
    if rule.id not in taken:
        taken.append(rule.id)
    lowered = record.fields.get("lowered", ())
    out = any(said[:2] == [rule.id, Cause.ROLLOUT.value] for said in lowered)
    return replace(rule, rollout=0.0 if out else None)
