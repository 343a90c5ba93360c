"""Facts to plan: static rules are settled, quotas become charges. Plain functions, no clock.

Exceptions come first: they lower the rules they name to shadow. Then every rule is heard.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from proxy.engine.charges import Asked, asked_of, charges_of, int_of, subject_known
from proxy.engine.combine import combine
from proxy.engine.standing import lowered, unsure
from proxy.model.decision import NOTHING_MODIFIED, Modifiers, RuleOutcome
from proxy.model.facts import Facts
from proxy.model.plan import Charge, Lowered, Pending, Plan
from proxy.model.verdict import Cause, Durability, Mode, RuleKind, Verdict
from proxy.policy.candidates import Candidate, Candidates
from proxy.policy.match import Failed, Missing, Truth
from proxy.policy.rules import (
    AccessRule,
    ActingRule,
    AnyRule,
    ExceptionRule,
    FingerprintRule,
    GeographyRule,
    QuotaRule,
)

# An attribute of an enum is looked up slowly, and these are looked up for every rule.
SHADOW = Mode.SHADOW
NO_ACTION = (Verdict.ALLOW, 0.0, NOTHING_MODIFIED)
DENIAL = (Verdict.DENY, 0.0, NOTHING_MODIFIED)

AnyStatic = TypeVar("AnyStatic", GeographyRule, AccessRule, FingerprintRule)

# What a rule's own condition says once its match holds: why it fires, what it misses, or nothing.
Said = str | Missing | None


class _Gathered:
    """What the rules have said so far; `default` is the class of rules that name none."""

    __slots__ = (
        "_strict",
        "asked",
        "at_ns",
        "charges",
        "default",
        "disarmed",
        "durability",
        "exempt",
        "facts",
        "lowered",
        "outcomes",
        "output_tokens",
        "pending",
        "unsure",
    )

    def __init__(
        self, facts: Facts, at_ns: int, default: Durability, disarmed: frozenset[str]
    ) -> None:
        self.facts = facts
        self.at_ns = at_ns
        self.default = default
        self.disarmed = disarmed
        self.exempt: dict[str, str] = {}  # rule → exception
        self.outcomes: list[RuleOutcome] = []
        self.output_tokens = 0
        self._strict = -1
        self.asked: dict[tuple[int | None, bool], Asked] = {}
        self.charges: list[Charge] = []
        self.lowered: list[Lowered] = []
        self.pending: list[Pending] = []
        self.durability: Durability | None = None
        self.unsure: dict[str, tuple[frozenset[str], str]] = {}  # exception → its rules, and why

    def governed_by(self, rule: AnyRule) -> Cause | None:
        """Note that the rule's match holds; what lowers the rule.

        Its durability class counts, whatever it says.
        """
        wanted = self.default if rule.durability is None else rule.durability
        if self.durability is None or wanted > self.durability:
            self.durability = wanted
        cause = lowered(rule, self.facts, self.exempt, self.disarmed)
        if cause is not None:
            self.lowered.append(Lowered(rule.id, cause, self.exempt.get(rule.id, "")))
        elif self.unsure and rule.mode is not Mode.SHADOW:
            self._not_exempt(rule)
        return cause

    def reserve(
        self,
        charges: list[Charge],
        output_tokens: int,
    ) -> None:
        """Note what a quota reserves of output.

        All of it together is what the strictest kind of quota reserves at least: an answer must
        not go beyond what a hard limit has reserved for it because another quota expects more.
        """
        strict = 0
        for charge in charges:
            if charge.per_output:
                strict = 1 + charge.binding + (charge.binding and charge.hard)
        if strict > self._strict:
            self._strict, self.output_tokens = strict, output_tokens
        elif strict == self._strict:
            self.output_tokens = min(self.output_tokens or output_tokens, output_tokens)

    def _not_exempt(self, rule: AnyRule) -> None:
        """Say once of each exception which might have lowered the rule that it does not."""
        for exception in [id_ for id_, (rules, _) in self.unsure.items() if rule.id in rules]:
            _, unknown = self.unsure.pop(exception)
            why = f"the exception does not apply: {unknown}"
            said = RuleOutcome(exception, RuleKind.EXCEPTION, Mode.ENFORCE, Verdict.ALLOW, why)
            self.outcomes.append(said)


def plan(
    rules: Candidates,
    facts: Facts,
    at_ns: int,
    default: Durability,
    disarmed: frozenset[str] = frozenset(),
    id_: str = "",
) -> Plan:
    """What the policy wants for an exchange with these facts at that time.

    `rules` are those of a policy set that may govern the exchange, or all of them: both give the
    same plan. `default` is the durability class of rules that name none, and of an exchange
    that no rule governs. `disarmed` names the rules that are lowered to shadow for now,
    `id_` the reservation.
    """
    gathered = _Gathered(facts, at_ns, default, disarmed)
    _exceptions(rules.exceptions, gathered)
    _static(rules.geography, _geography, gathered)
    _static(rules.access, _access, gathered)
    _static(rules.fingerprints, _fingerprint, gathered)
    said = combine(gathered.outcomes)
    for candidate in rules.quotas:
        _quota(candidate, gathered, said.modifiers)
    return Plan(
        at_ns,
        tuple(gathered.charges),
        tuple(gathered.outcomes),
        not said.verdict.refuses,
        int_of(facts, "request.input_tokens", 0),
        default if gathered.durability is None else gathered.durability,
        tuple(gathered.lowered),
        tuple(gathered.pending),
        id_,
        gathered.output_tokens,
        int_of(facts, "request.choices", 1),
        int_of(facts, "request.requests", 1),
    )


def _exceptions(rules: Iterable[Candidate[ExceptionRule]], gathered: _Gathered) -> None:
    """Which rules are lowered. One that cannot tell whether it applies does not.

    It says so where a rule that it names governs the exchange.
    """
    for candidate in rules:
        rule = candidate.rule
        if gathered.at_ns >= rule.expires_ns:
            continue
        truth = candidate.match.holds(gathered.facts)
        if truth is True:
            for name in rule.rules:
                gathered.exempt.setdefault(name, rule.id)
        elif truth is not False:
            gathered.unsure[rule.id] = (rule.rules, _unknown(truth))


def _unknown(truth: Truth) -> str:
    if isinstance(truth, Missing):
        return f"{truth.fact} is not known"
    return f"its condition failed ({truth.error})" if isinstance(truth, Failed) else ""


def _static(
    candidates: Iterable[Candidate[AnyStatic]],
    condition: Callable[[AnyStatic, Facts], Said],
    gathered: _Gathered,
) -> None:
    facts, at_ns = gathered.facts, gathered.at_ns
    for candidate in candidates:
        rule = candidate.rule
        if not rule.not_before_ns <= at_ns < rule.expires_ns:
            continue
        truth = candidate.match.holds(facts)
        if truth is False:
            continue
        cause = gathered.governed_by(rule)
        if rule.pending:
            gathered.pending.append(Pending(rule.id, cause))
            continue
        said = condition(rule, facts)
        if said is not None:
            gathered.outcomes.append(spoken(rule, cause, truth, said))


def spoken(
    rule: GeographyRule | AccessRule | FingerprintRule,
    cause: Cause | None,
    truth: Truth,
    said: str | Missing,
) -> RuleOutcome:
    """What a rule says whose match is not false; `said` is what its own condition says.

    Where either is unsure, the rule acts or abstains as it says.
    """
    acts, why = True, str(said)
    if truth is not True:
        acts, why = unsure(rule, truth)
    elif isinstance(said, Missing):
        acts, why = unsure(rule, said)
    if rule.reason:
        why = f"{why}; {rule.reason}"
    verdict, delay_s, modifiers = _action(rule) if acts else NO_ACTION
    return RuleOutcome(
        rule=rule.id,
        kind=rule.kind,
        mode=rule.mode if cause is None else SHADOW,
        verdict=verdict,
        why=why,
        lowered=cause,
        recognizes=rule.recognizes,
        delay_s=delay_s,
        modifiers=modifiers,
    )


def _action(
    rule: GeographyRule | AccessRule | FingerprintRule,
) -> tuple[Verdict, float, Modifiers]:
    if isinstance(rule, ActingRule):
        return rule.verdict, rule.delay_s, rule.modifiers
    return DENIAL


def _geography(rule: GeographyRule, facts: Facts) -> Said:
    country = facts.get("client.country")
    if not isinstance(country, str):
        return Missing("client.country")
    if not rule.refuses(country):
        return None
    listed = "is not among the countries allowed" if rule.inverted else "is among those denied"
    return f"client.country {country} {listed}"


def _access(rule: AccessRule, _: Facts) -> Said:
    if rule.modifiers is NOTHING_MODIFIED:
        return "its match holds"
    return f"its match holds; {', '.join(rule.modifiers.words())}"


def _fingerprint(rule: FingerprintRule, facts: Facts) -> Said:
    counts = facts.get("fingerprint.template_accounts")
    if not isinstance(counts, dict):
        return Missing("fingerprint.template_accounts")
    accounts = counts.get(rule.within_s, 0)
    if accounts < rule.accounts:
        return None
    return (
        f"{accounts} accounts shared the template within {rule.within_s} s; "
        f"the rule speaks from {rule.accounts}"
    )


def _quota(candidate: Candidate[QuotaRule], gathered: _Gathered, modifiers: Modifiers) -> None:
    rule, facts = candidate.rule, gathered.facts
    if not rule.not_before_ns <= gathered.at_ns < rule.expires_ns:
        return
    truth = candidate.match.holds(facts)
    if truth is False:
        return
    if truth is True and rule.names_subjects:
        truth = subject_known(rule, facts)
    if truth is not True:
        acts, why = unsure(rule, truth)
        if not acts:
            gathered.outcomes.append(_abstention(rule, why))
            return
    cause = gathered.governed_by(rule)
    model = modifiers.reroute or facts.get("request.model")
    named = model if isinstance(model, str) else None
    unnamed = (rule.assume_output_tokens, rule.hard)  # all of a rule that matters to what is asked
    asked = gathered.asked.get(unnamed)
    if asked is None:
        asked = gathered.asked[unnamed] = asked_of(facts, rule, modifiers.max_tokens, named)
    charges = charges_of(rule, cause, facts, gathered.at_ns, asked)
    gathered.reserve(charges, asked.output_tokens)
    gathered.charges.extend(charges)


def _abstention(rule: QuotaRule, why: str) -> RuleOutcome:
    allow = Verdict.ALLOW
    return RuleOutcome(rule.id, rule.kind, rule.mode, allow, why, recognizes=rule.recognizes)


def pending_outcome(rule: AnyRule, cause: Cause | None, facts: Facts) -> RuleOutcome | None:
    """What an access rule over reading facts says, now that they are among the facts."""
    assert isinstance(rule, AccessRule)
    truth = rule.match.holds(facts)
    if truth is False:
        return None
    return spoken(rule, cause, truth, str(_access(rule, facts)))
