"""Facts to plan: static rules are settled, quotas become charges. Plain functions, no clock."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from proxy.model.decision import RuleOutcome
from proxy.model.facts import Facts
from proxy.model.plan import Charge, Plan
from proxy.model.verdict import Durability, Mode, OnMissing, Unit, Verdict
from proxy.policy.candidates import Candidates
from proxy.policy.rules import FingerprintRule, GeographyRule, Limit, PolicySet, QuotaRule, Rule

ALGORITHM = "fixed"  # windows of fixed length, aligned to the Unix epoch

AnyStatic = TypeVar("AnyStatic", GeographyRule, FingerprintRule)


@dataclass(frozen=True, slots=True)
class Missing:
    """The name of a fact that a rule needs and that is not known."""

    fact: str


# What a rule's condition says once its match holds: why it fires, what it misses, or nothing.
Said = str | Missing | None


@dataclass(slots=True)
class _Gathered:
    """What the rules have said so far; `default` is the class of rules that name none."""

    default: Durability
    outcomes: list[RuleOutcome] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    durability: Durability | None = None
    refused: bool = False

    def governed_by(self, rule: Rule) -> None:
        """Note that the rule's match holds: its durability class counts, whatever it says."""
        wanted = self.default if rule.durability is None else rule.durability
        if self.durability is None or wanted > self.durability:
            self.durability = wanted

    def outcome(
        self, rule: GeographyRule | FingerprintRule | QuotaRule, verdict: Verdict, why: str
    ) -> None:
        """Note what a rule said."""
        self.outcomes.append(RuleOutcome(rule.id, rule.kind, rule.mode, verdict, why))
        if rule.mode is Mode.ENFORCE and verdict.refuses:
            self.refused = True


def plan(rules: Candidates | PolicySet, facts: Facts, at_ns: int, default: Durability) -> Plan:
    """What the policy wants for an exchange with these facts at that time.

    `rules` is a policy set, or those of its rules that may govern the exchange: both give the
    same plan.

    `default` is the durability class of rules that name none, and of an exchange that no rule
    governs.
    """
    gathered = _Gathered(default)
    for geography in rules.geography:
        _static(geography, _geography, Verdict.DENY, facts, gathered)
    for fingerprint in rules.fingerprints:
        _static(fingerprint, _fingerprint, fingerprint.verdict, facts, gathered)
    for quota in rules.quotas:
        _quota(quota, facts, gathered)
    return Plan(
        at_ns=at_ns,
        charges=tuple(gathered.charges),
        outcomes=tuple(gathered.outcomes),
        take=not gathered.refused,
        input_tokens=_int(facts, "request.input_tokens", 0),
        durability=default if gathered.durability is None else gathered.durability,
    )


def _static(
    rule: AnyStatic,
    condition: Callable[[AnyStatic, Facts], Said],
    verdict: Verdict,
    facts: Facts,
    gathered: _Gathered,
) -> None:
    governs = rule.match.holds(facts)
    if governs is False:
        return
    gathered.governed_by(rule)
    said = condition(rule, facts)
    if said is None:
        return
    missing = said.fact if isinstance(said, Missing) else ""
    if governs is None:
        missing = rule.match.missing(facts)
    if not missing:
        gathered.outcome(rule, verdict, str(said))
        return
    acts = rule.on_missing is OnMissing.APPLY
    why = f"{missing} is not known; on_missing: {rule.on_missing.value}"
    gathered.outcome(rule, verdict if acts else Verdict.ALLOW, why)


def _geography(rule: GeographyRule, facts: Facts) -> Said:
    country = facts.get("client.country")
    if not isinstance(country, str):
        return Missing("client.country")
    if not rule.refuses(country):
        return None
    listed = "is not among the countries allowed" if rule.inverted else "is among those denied"
    return f"client.country {country} {listed}"


def _fingerprint(rule: FingerprintRule, facts: Facts) -> Said:
    counts = facts.get("fingerprint.template_accounts")
    if not isinstance(counts, Mapping):
        return Missing("fingerprint.template_accounts")
    accounts = counts.get(rule.within_s, 0)
    if accounts < rule.accounts:
        return None
    return (
        f"{accounts} accounts shared the template within {rule.within_s} s; "
        f"the rule speaks from {rule.accounts}"
    )


def _quota(rule: QuotaRule, facts: Facts, gathered: _Gathered) -> None:
    governs = rule.match.holds(facts)
    if governs is False:
        return
    if governs is None and rule.on_missing is OnMissing.ABSTAIN:
        why = f"{rule.match.missing(facts)} is not known; on_missing: abstain"
        gathered.outcome(rule, Verdict.ALLOW, why)
        return
    gathered.governed_by(rule)
    gathered.charges.extend(_charges(rule, _subject(rule, facts), facts))


def _subject(rule: QuotaRule, facts: Facts) -> str:
    """Whom the rule counts. An account without an organization, or a key, stands for itself, and
    never for an organization that has the same id."""
    named = facts.get(rule.subject)
    return f"{rule.subject}={named}" if named else f"account.id={facts.get('account.id', '')}"


def _charges(rule: QuotaRule, subject: str, facts: Facts) -> Iterator[Charge]:
    for limit in rule.limits:
        yield Charge(
            rule=rule.id,
            counter=f"{rule.id}|{limit.unit.value}|{subject}|{ALGORITHM}",
            unit=limit.unit,
            amount=_amount(rule, limit, facts),
            limit=limit.amount,
            window_s=rule.window_s,
            binding=rule.mode is Mode.ENFORCE,
        )


def _amount(rule: QuotaRule, limit: Limit, facts: Facts) -> int:
    match limit.unit:
        case Unit.REQUESTS:
            return 1
        case Unit.INPUT_TOKENS:
            return _int(facts, "request.input_tokens", 0)
        case Unit.OUTPUT_TOKENS:
            return _output_tokens(rule, facts)
        case Unit.TOKENS:
            return _int(facts, "request.input_tokens", 0) + _output_tokens(rule, facts)


def _output_tokens(rule: QuotaRule, facts: Facts) -> int:
    each = _int(facts, "request.max_tokens", rule.assume_output_tokens)
    return each * _int(facts, "request.choices", 1)


def _int(facts: Facts, name: str, default: int) -> int:
    value = facts.get(name, default)
    return value if isinstance(value, int) else default
