"""What came of an exchange, in words: the verdict, whose doing it is, and what the caller heard."""

from proxy.model.decision import Decision, RuleOutcome
from proxy.model.exchange import Dialect
from proxy.model.facts import Facts
from proxy.model.verdict import Mode, RuleKind, Verdict
from proxy.policy.ending import utc_text
from proxy.trial.explanation import Decided, Told
from proxy.wire.refuse import answer

_DONE = {
    Verdict.ALLOW: "Let through",
    Verdict.DELAY: "Let through after a delay",
    Verdict.STEP_UP: "Refused until the caller has verified himself",
    Verdict.THROTTLE: "Refused for now",
    Verdict.DENY: "Refused",
}


def deciding(decision: Decision) -> frozenset[str]:
    """The rules whose doing the verdict is, and each change of what is let through."""
    return frozenset(outcome.rule for outcome in deciding_outcomes(decision))


def decided_of(decision: Decision, facts: Facts, at_ns: int) -> Decided:
    """The decision in words."""
    by = deciding_outcomes(decision)
    builtin = next((outcome for outcome in by if outcome.kind is RuleKind.BUILTIN), None)
    return Decided(
        decision.verdict.word,
        tuple(dict.fromkeys(outcome.rule for outcome in by)),
        _why(decision, by),
        _told(decision, facts, at_ns),
        decision.by_cluster,
        decision.delay_s,
        tuple(decision.modifiers.words()),
        decision.warnings,
        builtin.rule if builtin else "",
    )


def deciding_outcomes(decision: Decision) -> list[RuleOutcome]:
    """In the order in which rules are heard; a refusal by Gauger's own checks is theirs alone."""
    enforced = [outcome for outcome in decision.spoke if outcome.mode is Mode.ENFORCE]
    if builtin := [outcome for outcome in enforced if outcome.kind is RuleKind.BUILTIN]:
        return builtin
    strongest = [
        outcome
        for outcome in enforced
        if outcome.verdict is decision.verdict and outcome.verdict > Verdict.ALLOW
    ]
    if decision.verdict.refuses:
        return strongest
    return [o for o in enforced if o in strongest or o.modifiers]


def _why(decision: Decision, by: list[RuleOutcome]) -> str:
    done = _DONE[decision.verdict]
    if not by:
        return f"{done}: no enforced rule says otherwise."
    reasons = "; ".join(f"{outcome.rule} ({outcome.why})" for outcome in by)
    changed = ", changed" if decision.modifiers else ""
    return f"{done}{changed}: {reasons}."


def _told(decision: Decision, facts: Facts, at_ns: int) -> Told | None:
    refusal = decision.refusal
    if refusal is None:
        return None
    anthropic = facts.get("request.dialect") == Dialect.ANTHROPIC.value
    dialect = Dialect.ANTHROPIC if anthropic else Dialect.OPENAI
    given = answer(dialect, refusal, decision.limits, exchange_id="", at_ns=at_ns)
    retry_at = None if refusal.retry_at_ns is None else utc_text(refusal.retry_at_ns)
    return Told(given.status, refusal.kind.value, refusal.message, retry_at, refusal.should_retry)
