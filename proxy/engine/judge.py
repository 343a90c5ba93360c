"""Plan and readings to decision. Plain functions, no clock.

Every rule is heard, not only the first that refuses; `combine` says what it comes to.
"""

from collections.abc import Iterator

from proxy.engine.combine import combine
from proxy.engine.limits import published, used_share
from proxy.engine.plan import pending_outcome
from proxy.engine.refusal import refusal_of
from proxy.model.decision import Decision, LimitState, Refusal, RuleOutcome
from proxy.model.facts import Facts
from proxy.model.plan import Charge, Plan, Readings
from proxy.model.verdict import Cause, Mode, OnUnavailable, RuleKind, Verdict
from proxy.policy.rules import AnyRule, PolicySet

_WOULD = {
    Verdict.DELAY: "delayed",
    Verdict.STEP_UP: "asked the caller to verify himself for",
    Verdict.THROTTLE: "throttled",
    Verdict.DENY: "denied",
}

_UNAVAILABLE = {OnUnavailable.DENY: Verdict.THROTTLE, OnUnavailable.ALLOW: Verdict.ALLOW}


def judge(policy: PolicySet, plan: Plan, readings: Readings, index: int, facts: Facts) -> Decision:
    """The decision for an exchange; `index` is the cluster index its facts rested on.

    A refusal may rest on a rule over readings although the store took the charges: whoever asked
    the store gives them back (`settle` of an exchange that was never forwarded).
    """
    every = [*plan.outcomes, *_counted(policy, plan, readings)]
    if plan.pending:
        every.extend(_pending(policy, plan, readings, facts))
    said = combine(every)
    refuses = said.verdict.refuses
    limits = tuple(published(plan, readings, refused=refuses))
    spoke = tuple([outcome for outcome in every if outcome.mode is not Mode.SHADOW])
    refusal = refusal_of(policy, plan, readings, spoke, limits) if refuses else None
    if said.by_cluster and refusal and refusal.limit:
        limits = _with(limits, refusal.limit)
    return Decision(
        said.verdict,
        spoke,
        tuple([outcome for outcome in every if outcome.mode is Mode.SHADOW]),
        refusal,
        limits,
        plan.durability,
        policy.digest,
        index,
        said.by_cluster,
        said.delay_s,
        said.modifiers,
        tuple(dict.fromkeys(_warnings(policy, spoke))) if spoke and not refuses else (),
    )


def refused(policy: PolicySet, plan: Plan, outcome: RuleOutcome, refusal: Refusal) -> Decision:
    """The decision for an exchange that Gauger's own checks refuse before any rule is asked."""
    return Decision(
        verdict=outcome.verdict,
        spoke=(outcome,),
        shadow=(),
        refusal=refusal,
        limits=(),
        durability=plan.durability,
        policy=policy.digest,
        index=0,
    )


def _counted(policy: PolicySet, plan: Plan, readings: Readings) -> Iterator[RuleOutcome]:
    """What the quotas say."""
    if not readings.available:
        yield from _uncounted(policy, plan)
        return
    for charge, reading in zip(plan.charges, readings.readings, strict=True):
        if not charge.fits(reading.before):
            why = (
                f"{charge.unit.value}: {reading.before} used and {charge.amount} asked for, "
                f"limit {charge.limit} in {charge.window_s} s"
            )
            yield _outcome(policy, charge, Verdict.THROTTLE, why)


def _uncounted(policy: PolicySet, plan: Plan) -> Iterator[RuleOutcome]:
    """What the quotas say while the store cannot answer: once for each rule."""
    by_rule = {charge.rule: charge for charge in plan.charges}
    for rule_id, charge in by_rule.items():
        act = policy.by_id[rule_id].on_unavailable
        why = f"the store cannot answer; on_unavailable: {act.value}"
        yield _outcome(policy, charge, _UNAVAILABLE[act], why)


def _outcome(policy: PolicySet, charge: Charge, verdict: Verdict, why: str) -> RuleOutcome:
    reason = policy.by_id[charge.rule].reason
    return RuleOutcome(
        rule=charge.rule,
        kind=RuleKind.QUOTA,
        mode=charge.mode,
        verdict=verdict,
        why=f"{why}; {reason}" if reason else why,
        lowered=charge.lowered,
        recognizes=charge.hidden,
    )


def _pending(
    policy: PolicySet, plan: Plan, readings: Readings, facts: Facts
) -> Iterator[RuleOutcome]:
    """What the rules over readings say, now that these are there."""
    share = used_share(plan, readings)
    known = facts if share is None else {**facts, "quota.used_share": share}
    for pending in plan.pending:
        rule = policy.by_id[pending.rule]
        if readings.available:
            outcome = pending_outcome(rule, pending.lowered, known)
        else:
            outcome = _unread(rule, pending.lowered)
        if outcome is not None:
            yield outcome


def _unread(rule: AnyRule, cause: Cause | None) -> RuleOutcome:
    """What a rule over readings says while the store cannot answer."""
    act = rule.on_unavailable
    why = f"the store cannot answer; on_unavailable: {act.value}"
    return RuleOutcome(
        rule=rule.id,
        kind=rule.kind,
        mode=rule.mode if cause is None else Mode.SHADOW,
        verdict=_UNAVAILABLE[act],
        why=f"{why}; {rule.reason}" if rule.reason else why,
        lowered=cause,
        recognizes=rule.recognizes,
    )


def _with(limits: tuple[LimitState, ...], shown: LimitState) -> tuple[LimitState, ...]:
    return tuple(
        shown if (state.rule, state.unit) == (shown.rule, shown.unit) else state for state in limits
    )


def _warnings(policy: PolicySet, spoke: tuple[RuleOutcome, ...]) -> Iterator[str]:
    """What the caller is told of the rules in warn mode that would have acted.

    A quota says the same for each of its limits.
    """
    for outcome in spoke:
        acts = outcome.verdict > Verdict.ALLOW or bool(outcome.modifiers)
        if outcome.mode is Mode.WARN and acts:
            rule = policy.by_id[outcome.rule]
            would = _WOULD.get(outcome.verdict, "changed")
            yield rule.message or f"The rule {rule.id} would have {would} this request."
