"""Plan and readings to decision. Plain functions, no clock.

Every rule is heard, not only the first that refuses; `combine` says what it comes to.
"""

from collections.abc import Iterator

from proxy.engine.combine import combine
from proxy.engine.limits import published, used_share
from proxy.engine.plan import pending_outcome
from proxy.engine.refusal import refusal_of, shown
from proxy.engine.wording import asked, within
from proxy.model.decision import (
    NOTHING_MODIFIED,
    Decision,
    LimitState,
    Modifiers,
    Refusal,
    RuleOutcome,
)
from proxy.model.facts import Facts
from proxy.model.plan import Charge, Plan, Reading, Readings
from proxy.model.verdict import Cause, Mode, OnUnavailable, RuleKind, Verdict
from proxy.policy.rules import AnyRule, PolicySet

SHADOW = Mode.SHADOW  # an attribute of an enum is looked up slowly
_WOULD = {
    Verdict.DELAY: "delayed",
    Verdict.STEP_UP: "asked the caller to verify himself for",
    Verdict.THROTTLE: "throttled",
    Verdict.DENY: "denied",
}

# A quota that counts locally has a reading; where it has none (a replay, a case) it lets through.
_UNAVAILABLE = {
    OnUnavailable.DENY: Verdict.THROTTLE,
    OnUnavailable.ALLOW: Verdict.ALLOW,
    OnUnavailable.LOCAL: Verdict.ALLOW,
}


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
    spoke = tuple([outcome for outcome in every if outcome.mode is not SHADOW])
    refusal = refusal_of(policy, plan, readings, spoke) if refuses else None
    if said.by_cluster and refusal and refusal.limit:
        limits = _with(limits, refusal.limit)
    return Decision(
        said.verdict,
        spoke,
        tuple([outcome for outcome in every if outcome.mode is SHADOW]),
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
    unread: set[str] = set()
    for charge, reading in readings.of(plan):
        if not reading.known:
            if charge.rule not in unread:
                unread.add(charge.rule)
                yield _uncounted(policy, charge)
            continue
        granted = charge.granted(reading.before, reading.share)
        if granted is None:
            yield _outcome(policy, charge, Verdict.THROTTLE, _full(charge, reading))
        elif granted < charge.amount:
            bound = max(1, charge.output_for(granted) // plan.choices)
            unit, used = charge.unit, shown(charge.unit, reading.before)
            why = f"{unit.value}: {used} used, {shown(unit, granted)} left"
            yield _outcome(policy, charge, Verdict.ALLOW, why, Modifiers(max_tokens=bound))
        elif reading.share > 1:
            unit, limit = charge.unit, charge.limit // reading.share
            used = f"{shown(unit, reading.before)} of {shown(unit, limit)} used"
            why = f"{_local(reading)}: {used}"
            yield _outcome(policy, charge, Verdict.ALLOW, why)


def _full(charge: Charge, reading: Reading) -> str:
    limit = charge.limit // reading.share
    why = asked(charge.unit, reading.before, charge.amount, limit, within(charge))
    return why if reading.share == 1 else f"{_local(reading)}: {why}"


def _local(reading: Reading) -> str:
    return f"the store cannot answer; this replica counts its share, 1 of {reading.share}"


def _uncounted(policy: PolicySet, charge: Charge) -> RuleOutcome:
    """What a quota says while the store cannot answer: once for each rule."""
    act = policy.by_id[charge.rule].on_unavailable
    why = f"the store cannot answer; on_unavailable: {act.value}"
    return _outcome(policy, charge, _UNAVAILABLE[act], why)


def _outcome(
    policy: PolicySet,
    charge: Charge,
    verdict: Verdict,
    why: str,
    modifiers: Modifiers = NOTHING_MODIFIED,
) -> RuleOutcome:
    reason = policy.by_id[charge.rule].reason
    return RuleOutcome(
        rule=charge.rule,
        kind=RuleKind.QUOTA,
        mode=charge.mode,
        verdict=verdict,
        why=f"{why}; {reason}" if reason else why,
        lowered=charge.lowered,
        recognizes=charge.hidden,
        modifiers=modifiers,
    )


def _pending(
    policy: PolicySet, plan: Plan, readings: Readings, facts: Facts
) -> Iterator[RuleOutcome]:
    """What the rules over readings say, now that these are there."""
    share = used_share(plan, readings)
    known = facts if share is None else {**facts, "quota.used_share": share}
    for pending in plan.pending:
        rule = policy.by_id[pending.rule]
        if share is not None:
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
