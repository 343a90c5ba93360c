"""Why an exchange was decided as it was: each rule of the set is asked again, clause by clause.

The decision is taken as it is given; this says what it rests on. Rules that an index left out are
asked as well, so that their false clause can be shown. A plain function over frozen values.
"""

from collections.abc import Iterator, Mapping

from proxy.engine.limits import used_share
from proxy.engine.wording import within
from proxy.model.decision import Decision, RuleOutcome
from proxy.model.facts import ORDINARY_FACTS, Facts
from proxy.model.plan import (
    NEVER_NS,
    PER_MILLION,
    Charge,
    Lowered,
    Plan,
    Reading,
    Readings,
)
from proxy.model.verdict import Cause, RuleKind, Unit
from proxy.pipeline.enactable import MODIFIERS
from proxy.policy.ending import utc_text
from proxy.policy.match import Atom, Condition, Match
from proxy.policy.rules import (
    AnyRule,
    ExceptionRule,
    FingerprintRule,
    GeographyRule,
    Limit,
    PolicySet,
    QuotaRule,
)
from proxy.trial.clauses import NOTHING_WITHHELD, WithheldFacts, clause_of, shown, together
from proxy.trial.decided import decided_of, deciding
from proxy.trial.explanation import (
    Clause,
    Counted,
    Explained,
    ExplainedException,
    Explanation,
    Mark,
    Said,
    Value,
)

SHOWN = 6  # countries of a list


def explain(
    policy: PolicySet,
    facts: Facts,
    plan: Plan,
    readings: Readings,
    decision: Decision,
    at_ns: int,
    *,
    withheld: WithheldFacts = NOTHING_WITHHELD,
) -> Explanation:
    """The explanation of a decision that rests on these facts, this plan and these readings.

    `withheld` names facts that were known then and are not among `facts`.
    """
    decided = decided_of(decision, facts, at_ns)
    if decided.own_check and decided.own_check != MODIFIERS:
        held = _all_facts(facts)
        return Explanation(utc_text(at_ns), policy.digest, decided, asked=False, facts=held)
    share = used_share(plan, readings)
    known = facts if share is None else {**facts, "quota.used_share": share}
    asking = _Asking(policy, known, plan, readings, decision, at_ns, withheld)
    return Explanation(
        utc_text(at_ns),
        policy.digest,
        decided,
        tuple(asking.exception(rule) for rule in policy.exceptions),
        tuple(asking.rule(rule) for rule in policy.rules),
        facts=_all_facts(known),
    )


def _all_facts(facts: Facts) -> tuple[tuple[str, Value], ...]:
    return tuple((name, shown(name, value)) for name, value in sorted(facts.items()))


class _Asking:
    """Asks the rules of a set about one exchange."""

    def __init__(
        self,
        policy: PolicySet,
        facts: Facts,
        plan: Plan,
        readings: Readings,
        decision: Decision,
        at_ns: int,
        withheld: WithheldFacts,
    ) -> None:
        self._policy = policy
        self._facts = facts
        self._plan = plan
        self._readings = readings
        self._at_ns = at_ns
        self._withheld = withheld
        self._lowered = {lowered.rule: lowered for lowered in plan.lowered}
        self._spoke = (*decision.spoke, *decision.shadow)
        self._deciding = deciding(decision)

    def rule(self, rule: AnyRule) -> Explained:
        clauses = self._clauses(rule.match)
        return Explained(
            id=rule.id,
            kind=rule.kind.value,
            place=self._place(rule.id),
            description=rule.description,
            mode=rule.mode.value,
            rests=_rests(rule.not_before_ns, rule.expires_ns, self._at_ns),
            lowered=_why_lowered(self._lowered.get(rule.id), rule),
            clauses=clauses,
            matches=together(clauses),
            own=tuple(self._own(rule)),
            counted=tuple(self._counted(rule)),
            said=tuple(_said(o) for o in self._spoke if o.rule == rule.id),
            decided=rule.id in self._deciding,
        )

    def exception(self, rule: ExceptionRule) -> ExplainedException:
        clauses = self._clauses(rule.match)
        said = (o.why for o in self._spoke if o.rule == rule.id and o.kind is RuleKind.EXCEPTION)
        return ExplainedException(
            id=rule.id,
            place=self._place(rule.id),
            rules=tuple(sorted(rule.rules)),
            granted_by=rule.granted_by,
            reason=rule.reason,
            until=utc_text(rule.expires_ns),
            rests=_rests(0, rule.expires_ns, self._at_ns),
            clauses=clauses,
            matches=together(clauses),
            lowers=tuple(low.rule for low in self._plan.lowered if low.exception == rule.id),
            said=next(said, ""),
        )

    def _place(self, rule: str) -> str:
        file, line, _ = self._policy.places.get(rule, ("", 0, 0))
        return f"{file}:{line}" if line else file

    def _clauses(self, match: Match) -> tuple[Clause, ...]:
        return tuple(map(self._clause, match.conditions))

    def _clause(self, atom: Atom) -> Clause:
        return clause_of(atom, self._facts, self._withheld)

    def _own(self, rule: AnyRule) -> Iterator[Clause]:
        """The condition that a rule has by its kind."""
        if isinstance(rule, GeographyRule):
            key = "allow_countries" if rule.inverted else "deny_countries"
            verb = "is not among" if rule.inverted else "is among"
            text = f"client.country {verb} {key}: {_some(rule.countries)}"
            refuses = rule.refuses
            yield self._clause(Condition("client.country", lambda c: refuses(str(c)), text))
        elif isinstance(rule, FingerprintRule):
            yield self._sharing(rule)

    def _sharing(self, rule: FingerprintRule) -> Clause:
        text = f"template shared by {rule.accounts} or more accounts within {rule.within_s} s"
        name = "fingerprint.template_accounts"
        counts = self._facts.get(name)
        if not isinstance(counts, Mapping):
            return Clause(text, Mark.MISSING, ((name, None),), f"{name} is not known")
        accounts = next((n for window, n in counts.items() if window == rule.within_s), 0)
        mark = Mark.TRUE if accounts >= rule.accounts else Mark.FALSE
        return Clause(text, mark, ((name, accounts),))

    def _counted(self, rule: AnyRule) -> Iterator[Counted]:
        limits = rule.limits if isinstance(rule, QuotaRule) else ()
        learned = {limit.unit: self._learned(limit) for limit in limits if limit.ordinary}
        for charge, reading in self._readings.of(self._plan):
            if charge.rule != rule.id:
                continue
            known, granted = reading.known, charge.granted(reading.before, reading.share)
            yield Counted(
                charge.unit.value,
                reading.before if known else None,
                charge.amount,
                charge.limit // reading.share,
                charge.window_s,
                _resets_at(charge, reading),
                granted is not None if known else None,
                granted if known else None,
                reading.share,
                within(charge),
                learned.get(charge.unit, ""),
            )

    def _learned(self, limit: Limit) -> str:
        fact, share = ORDINARY_FACTS[limit.unit], f"{limit.ordinary / PER_MILLION:g}"
        used = self._facts.get(fact)
        return f"until {fact} is known" if used is None else f"{share} of {fact} {used}"


def _resets_at(charge: Charge, reading: Reading) -> str | None:
    """When the whole limit is there again; None where nobody knows, or no time brings it."""
    lasting = charge.unit is Unit.CONCURRENT or reading.resets_at_ns >= NEVER_NS
    known = reading.known and reading.resets_at_ns > 0  # a record does not tell it of all windows
    return utc_text(reading.resets_at_ns) if known and not lasting else None


def _rests(begins_ns: int, ends_ns: int, at_ns: int) -> str:
    if at_ns < begins_ns:
        return f"begins {utc_text(begins_ns)}"
    return f"ended {utc_text(ends_ns)}" if ends_ns != NEVER_NS and at_ns >= ends_ns else ""


def _why_lowered(lowered: Lowered | None, rule: AnyRule) -> str:
    if lowered is None:
        return ""
    match lowered.cause:
        case Cause.EXCEPTION:
            return f"exception {lowered.exception}"
        case Cause.ROLLOUT:
            percent = f"{(rule.rollout or 0) * 100:g}"
            return f"rollout: it acts for {percent} % of accounts, and this one is not among them"
        case Cause.DISARMED:
            return "disarmed, by an operator or its fuse"


def _said(outcome: RuleOutcome) -> Said:
    return Said(
        outcome.mode.value,
        outcome.verdict.word,
        outcome.why,
        outcome.delay_s,
        tuple(outcome.modifiers.words()),
    )


def _some(values: frozenset[str]) -> str:
    given = sorted(values)
    more = f", … {len(given)} in all" if len(given) > SHOWN else ""
    return f"[{', '.join(given[:SHOWN])}{more}]"
