"""What a refused caller is told: which of the rules that refuse speaks, and in which words.

A refusal that rests on a fingerprint or cluster borrows the words, the limit and the reset of the
account's own published quota, so that it tells nothing.
"""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from proxy.engine.limits import own_charges, state_of
from proxy.model.decision import LimitState, Refusal, RuleOutcome
from proxy.model.plan import Charge, Plan, Readings
from proxy.model.verdict import Mode, RefusalKind, RuleKind, Unit, Verdict
from proxy.policy.rules import AccessRule, PolicySet

NS_PER_S = 1_000_000_000
LONGEST_WAIT_NS = 120 * NS_PER_S  # an SDK that would sleep longer is told not to try by itself
BORROWED_WINDOW_S = 60  # where no quota governs the account, a refusal says to wait for a minute
UNAVAILABLE_S = 5  # how long to wait while the store cannot answer


def refusal_of(
    policy: PolicySet,
    plan: Plan,
    readings: Readings,
    spoke: tuple[RuleOutcome, ...],
    limits: tuple[LimitState, ...],
) -> Refusal:
    """The refusal of an exchange whose strongest verdict refuses.

    `limits` are the account's own published ones.
    """
    enforced = [outcome for outcome in spoke if outcome.mode is Mode.ENFORCE]
    if deniers := [o for o in enforced if o.verdict is Verdict.DENY]:
        return _denial(policy, deniers)
    throttling = [o for o in enforced if o.verdict is Verdict.THROTTLE]
    if not throttling:
        return _step_up(policy, [o for o in enforced if o.verdict is Verdict.STEP_UP])
    open_to_all = [o for o in throttling if not o.recognizes]
    if not readings.available and any(_needs_the_store(plan, o) for o in open_to_all):
        return _unavailable(plan.at_ns)
    if binding := list(_passed(plan, readings)):
        return _own_limit(policy, plan.at_ns, binding)
    if plain := [o for o in open_to_all if o.kind is RuleKind.ACCESS]:
        return _told_to_wait(policy, plan.at_ns, plain)
    return _recognized(policy, plan, throttling, limits)


def _message(policy: PolicySet, outcomes: Iterable[RuleOutcome]) -> str | None:
    """The first message that one of the rules gives."""
    given = (policy.by_id[outcome.rule].message for outcome in outcomes)
    return next((message for message in given if message), None)


def _denial(policy: PolicySet, deniers: list[RuleOutcome]) -> Refusal:
    """Geography speaks before anything else that denies."""
    first = next((o for o in deniers if o.kind is RuleKind.GEOGRAPHY), deniers[0])
    message = policy.by_id[first.rule].message
    if first.kind is RuleKind.GEOGRAPHY:
        message = message or "This model is not available in your country or region."
        return Refusal(RefusalKind.REGION, message, should_retry=False)
    message = message or "This request is not permitted."
    return Refusal(RefusalKind.PERMISSION, message, should_retry=False)


def _step_up(policy: PolicySet, asking: list[RuleOutcome]) -> Refusal:
    message = _message(policy, asking) or "Further verification is needed for this request."
    return Refusal(RefusalKind.STEP_UP, message, should_retry=False)


def _needs_the_store(plan: Plan, outcome: RuleOutcome) -> bool:
    pending = (rule.rule for rule in plan.pending)
    return outcome.kind is RuleKind.QUOTA or outcome.rule in pending


def _unavailable(at_ns: int) -> Refusal:
    return Refusal(
        RefusalKind.OVERLOADED,
        "The service is not available. Try again shortly.",
        retry_at_ns=at_ns + UNAVAILABLE_S * NS_PER_S,
    )


def _passed(plan: Plan, readings: Readings) -> Iterator[tuple[Charge, LimitState]]:
    """The account's own limits that have no room for the exchange, as they stand."""
    for charge, reading in own_charges(plan, readings):
        if not charge.fits(reading.before):
            yield charge, state_of(charge, reading, reading.before)


def _own_limit(policy: PolicySet, at_ns: int, binding: list[tuple[Charge, LimitState]]) -> Refusal:
    never = next((pair for pair in binding if pair[0].amount > pair[0].limit), None)
    charge, state = never or max(binding, key=lambda pair: pair[1].resets_at_ns)
    return _over(policy, state, at_ns, too_large=charge.amount if never else None)


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
    message = (
        policy.by_id[state.rule].message or f"Rate limit reached: {state.limit} {unit} {period}."
    )
    return Refusal(
        RefusalKind.RATE_LIMIT,
        message,
        limit=state,
        retry_at_ns=state.resets_at_ns,
        should_retry=_worth_waiting(state.resets_at_ns, at_ns),
    )


def _worth_waiting(retry_at_ns: int, at_ns: int) -> bool | None:
    return False if retry_at_ns - at_ns > LONGEST_WAIT_NS else None


def _told_to_wait(policy: PolicySet, at_ns: int, throttling: list[RuleOutcome]) -> Refusal:
    """A throttle by access rules: the longest of their waits."""
    rules = [policy.by_id[outcome.rule] for outcome in throttling]
    waits_s = [rule.retry_after_s for rule in rules if isinstance(rule, AccessRule)]
    retry_at_ns = at_ns + max(waits_s) * NS_PER_S
    return Refusal(
        RefusalKind.RATE_LIMIT,
        _message(policy, throttling) or "Rate limit reached.",
        retry_at_ns=retry_at_ns,
        should_retry=_worth_waiting(retry_at_ns, at_ns),
    )


def _recognized(
    policy: PolicySet,
    plan: Plan,
    throttling: list[RuleOutcome],
    limits: tuple[LimitState, ...],
) -> Refusal:
    """A throttle of a recognized caller: in borrowed words, unless a rule reveals itself."""
    borrowed = _borrowed(policy, plan, limits)
    message = _message(policy, throttling)
    return borrowed if message is None else replace(borrowed, message=message)


def _borrowed(policy: PolicySet, plan: Plan, limits: tuple[LimitState, ...]) -> Refusal:
    """A refusal that looks like the account's own: requests before tokens, the shortest window."""
    if limits:
        own = min(limits, key=lambda state: (state.unit is not Unit.REQUESTS, state.window_s))
        return _over(policy, replace(own, remaining=0), plan.at_ns)
    window_ns = BORROWED_WINDOW_S * NS_PER_S
    retry_at_ns = (plan.at_ns // window_ns + 1) * window_ns
    return Refusal(RefusalKind.RATE_LIMIT, "Rate limit reached.", retry_at_ns=retry_at_ns)


def _period(window_s: int) -> str:
    for length, word in ((604_800, "week"), (86_400, "day"), (3600, "hour"), (60, "minute")):
        if window_s == length:
            return f"per {word}"
        if window_s % length == 0:
            return f"in {window_s // length} {word}s"
    return f"in {window_s} s"
