"""Plan and readings to decision: how verdicts combine. Plain functions, no clock.

The strongest enforced verdict wins (allow < delay < step_up < throttle < deny). Every rule is
heard, not only the first that refuses. A refusal that rests on a fingerprint borrows the words,
the limit and the reset of the account's own published quota, so that it tells nothing.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from proxy.model.decision import Decision, LimitState, Refusal, RuleOutcome
from proxy.model.plan import Charge, Plan, Reading, Readings
from proxy.model.verdict import Mode, RefusalKind, RuleKind, Unit, Verdict
from proxy.policy.rules import PolicySet

NS_PER_S = 1_000_000_000
LONGEST_WAIT_NS = 120 * NS_PER_S  # an SDK that would sleep longer is told not to try by itself
BORROWED_WINDOW_S = 60  # where no quota governs the account, a refusal says to wait for a minute


def judge(policy: PolicySet, plan: Plan, readings: Readings, index: int) -> Decision:
    """The decision for an exchange; `index` is the cluster index its facts rested on."""
    counted = [
        _outcome(charge, reading)
        for charge, reading in zip(plan.charges, readings.readings, strict=True)
    ]
    every = [*plan.outcomes, *(outcome for outcome in counted if outcome)]
    spoke = tuple(o for o in every if o.mode is Mode.ENFORCE)
    verdict = max((o.verdict for o in spoke), default=Verdict.ALLOW)
    limits = tuple(_published(plan, readings))
    refusal = _refusal(policy, plan, readings, spoke, limits) if verdict.refuses else None
    by_cluster = verdict > Verdict.ALLOW and all(
        o.kind is RuleKind.FINGERPRINT for o in spoke if o.verdict is verdict
    )
    if by_cluster and refusal and refusal.limit:
        limits = _with(limits, refusal.limit)
    return Decision(
        verdict=verdict,
        spoke=spoke,
        shadow=tuple(o for o in every if o.mode is Mode.SHADOW),
        refusal=refusal,
        limits=limits,
        durability=plan.durability,
        policy=policy.digest,
        index=index,
        by_cluster=by_cluster,
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


def _outcome(charge: Charge, reading: Reading) -> RuleOutcome | None:
    """A throttle where the charge does not fit, else nothing."""
    if charge.fits(reading.before):
        return None
    mode = Mode.ENFORCE if charge.binding else Mode.SHADOW
    why = (
        f"{charge.unit.value}: {reading.before} used and {charge.amount} asked for, "
        f"limit {charge.limit} in {charge.window_s} s"
    )
    return RuleOutcome(charge.rule, RuleKind.QUOTA, mode, Verdict.THROTTLE, why)


def _published(plan: Plan, readings: Readings) -> Iterator[LimitState]:
    """The account's own enforced limits as they stand after this exchange."""
    for charge, reading in zip(plan.charges, readings.readings, strict=True):
        if charge.binding:
            used = reading.before + (charge.amount if readings.taken else 0)
            yield _state(charge, reading, max(0, charge.limit - used))


def _state(charge: Charge, reading: Reading, remaining: int) -> LimitState:
    return LimitState(
        rule=charge.rule,
        unit=charge.unit,
        limit=charge.limit,
        remaining=remaining,
        window_s=charge.window_s,
        resets_at_ns=reading.resets_at_ns,
    )


def _refusal(
    policy: PolicySet,
    plan: Plan,
    readings: Readings,
    spoke: tuple[RuleOutcome, ...],
    limits: tuple[LimitState, ...],
) -> Refusal:
    deniers = [outcome for outcome in spoke if outcome.verdict is Verdict.DENY]
    if deniers:
        return _denial(policy, deniers)
    binding = [
        (charge, _state(charge, reading, max(0, charge.limit - reading.before)))
        for charge, reading in zip(plan.charges, readings.readings, strict=True)
        if charge.binding and not charge.fits(reading.before)
    ]
    if not binding:
        return _recognized(policy, plan, spoke, limits)
    never = next((pair for pair in binding if pair[0].amount > pair[0].limit), None)
    charge, state = never or max(binding, key=lambda pair: pair[1].resets_at_ns)
    return _over(policy, state, plan.at_ns, too_large=charge.amount if never else None)


def _denial(policy: PolicySet, deniers: list[RuleOutcome]) -> Refusal:
    """Geography speaks before anything else that denies."""
    first = next((o for o in deniers if o.kind is RuleKind.GEOGRAPHY), deniers[0])
    rule = next(r for r in (*policy.geography, *policy.fingerprints) if r.id == first.rule)
    if first.kind is RuleKind.GEOGRAPHY:
        message = rule.message or "This model is not available in your country or region."
        return Refusal(RefusalKind.REGION, message, should_retry=False)
    message = rule.message or "This request is not permitted."
    return Refusal(RefusalKind.PERMISSION, message, should_retry=False)


def _over(
    policy: PolicySet, state: LimitState, at_ns: int, too_large: int | None = None
) -> Refusal:
    """The refusal of a published limit. A request that can never fit is told not to come back."""
    unit = state.unit.value.replace("_", " ")
    period = _period(state.window_s)
    if too_large is not None:
        message = (
            f"This request asks for up to {too_large} {unit}; "
            f"the limit is {state.limit} {unit} {period}. Reduce the prompt or max_tokens."
        )
        return Refusal(RefusalKind.RATE_LIMIT, message, limit=state, should_retry=False)
    rule = next(rule for rule in policy.quotas if rule.id == state.rule)
    message = rule.message or f"Rate limit reached: {state.limit} {unit} {period}."
    return Refusal(
        RefusalKind.RATE_LIMIT,
        message,
        limit=state,
        retry_at_ns=state.resets_at_ns,
        should_retry=False if state.resets_at_ns - at_ns > LONGEST_WAIT_NS else None,
    )


def _recognized(
    policy: PolicySet,
    plan: Plan,
    spoke: tuple[RuleOutcome, ...],
    limits: tuple[LimitState, ...],
) -> Refusal:
    """A throttle by fingerprint: in borrowed words, but where a rule reveals itself by its own."""
    borrowed = _borrowed(policy, plan, limits)
    throttling = {outcome.rule for outcome in spoke if outcome.verdict is Verdict.THROTTLE}
    revealed = (r.message for r in policy.fingerprints if r.message and r.id in throttling)
    message = next(revealed, None)
    return borrowed if message is None else replace(borrowed, message=message)


def _borrowed(policy: PolicySet, plan: Plan, limits: tuple[LimitState, ...]) -> Refusal:
    """A refusal that looks like the account's own: requests before tokens, the shortest window."""
    if limits:
        own = min(limits, key=lambda state: (state.unit is not Unit.REQUESTS, state.window_s))
        state = LimitState(own.rule, own.unit, own.limit, 0, own.window_s, own.resets_at_ns)
        return _over(policy, state, plan.at_ns)
    window_ns = BORROWED_WINDOW_S * NS_PER_S
    retry_at_ns = (plan.at_ns // window_ns + 1) * window_ns
    return Refusal(RefusalKind.RATE_LIMIT, "Rate limit reached.", retry_at_ns=retry_at_ns)


def _with(limits: tuple[LimitState, ...], shown: LimitState) -> tuple[LimitState, ...]:
    return tuple(
        shown if (state.rule, state.unit) == (shown.rule, shown.unit) else state for state in limits
    )


def _period(window_s: int) -> str:
    for length, word in ((604_800, "week"), (86_400, "day"), (3600, "hour"), (60, "minute")):
        if window_s == length:
            return f"per {word}"
        if window_s % length == 0:
            return f"in {window_s // length} {word}s"
    return f"in {window_s} s"
