"""What a refused caller is told: which of the rules that refuse speaks, and in which words.

A refusal that rests on a fingerprint or cluster borrows the words, the limit and the reset of the
account's own published quota, so that it tells nothing.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from msgspec.structs import replace

from proxy.engine.limits import own_charges, state_of, used_up
from proxy.model.decision import LimitState, Refusal, RuleOutcome
from proxy.model.plan import NEVER_NS, Charge, Plan, Reading, Readings
from proxy.model.verdict import Mode, RefusalKind, RuleKind, Unit, Verdict
from proxy.policy.rules import AccessRule, PolicySet

NS_PER_S = 1_000_000_000
DAY_S = 86_400
LONGEST_WAIT_NS = 120 * NS_PER_S  # an SDK that would sleep longer is told not to try by itself
BORROWED_WINDOW_S = 60  # where no quota governs the account, a refusal says to wait for a minute
UNAVAILABLE_S = 5  # how long to wait while the store cannot answer


def refusal_of(
    policy: PolicySet,
    plan: Plan,
    readings: Readings,
    spoke: tuple[RuleOutcome, ...],
) -> Refusal:
    """The refusal of an exchange whose strongest verdict refuses."""
    enforced = [outcome for outcome in spoke if outcome.mode is Mode.ENFORCE]
    if deniers := [o for o in enforced if o.verdict is Verdict.DENY]:
        return _denial(policy, deniers)
    throttling = [o for o in enforced if o.verdict is Verdict.THROTTLE]
    if not throttling:
        return _step_up(policy, [o for o in enforced if o.verdict is Verdict.STEP_UP])
    open_to_all = [o for o in throttling if not o.recognizes]
    if binding := list(_passed(plan, readings)):
        return _own_limit(policy, plan.at_ns, binding)
    if not readings.available and any(_needs_the_store(plan, o) for o in open_to_all):
        return _unavailable(plan.at_ns)
    if plain := [o for o in open_to_all if o.kind is RuleKind.ACCESS]:
        return _told_to_wait(policy, plan.at_ns, plain)
    return _recognized(policy, plan, readings, throttling)


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


class _Passed(NamedTuple):
    """One of the account's own limits that has no room for the exchange, as it stands."""

    charge: Charge
    reading: Reading
    state: LimitState

    @property
    def never(self) -> bool:
        """Whether no waiting makes room for it."""
        least = self.charge.amount if self.charge.least < 0 else self.charge.least
        return least > self.charge.limit

    @property
    def fits_at_ns(self) -> int:
        """When there is room for it, if nobody else comes."""
        return self.reading.fits_at_ns or self.reading.resets_at_ns


def _passed(plan: Plan, readings: Readings) -> Iterator[_Passed]:
    for charge, reading in own_charges(plan, readings):
        if not charge.fits(reading.before, reading.share):
            yield _Passed(charge, reading, state_of(plan.at_ns, charge, reading, 0))


def _own_limit(policy: PolicySet, at_ns: int, passed: list[_Passed]) -> Refusal:
    never = next((one for one in passed if one.never), None)
    if never is not None:
        return _too_large(never.charge, never.state)
    last = max(passed, key=lambda one: one.fits_at_ns)
    return _over(policy, last.state, at_ns, last.fits_at_ns)


def _too_large(charge: Charge, state: LimitState) -> Refusal:
    """A request that can never fit is told not to come back."""
    asked, limit = _amount(charge.unit, charge.amount), _amount(charge.unit, state.limit)
    message = (
        f"This request asks for up to {asked}; the limit is {limit}{_period(state)}. "
        "Reduce the prompt or max_tokens."
    )
    return Refusal(RefusalKind.RATE_LIMIT, message, limit=state, should_retry=False)


def shown(unit: Unit, amount: int) -> str:
    """An amount as people read it: money in the currency, not in its millionths."""
    if unit is not Unit.COST:
        return str(amount)
    whole, parts = divmod(amount, 1_000_000)
    return f"{whole}.{f'{parts:06}'.rstrip('0'):0<2}"


def _amount(unit: Unit, amount: int) -> str:
    """So many requests, or a cost of so much."""
    text = shown(unit, amount)
    return f"a cost of {text}" if unit is Unit.COST else f"{text} {unit.word}"


def _over(policy: PolicySet, state: LimitState, at_ns: int, fits_at_ns: int) -> Refusal:
    """The refusal of a published limit."""
    limit = f"{_amount(state.unit, state.limit)}{_period(state)}"
    message = policy.by_id[state.rule].message or f"Rate limit reached: {limit}."
    if fits_at_ns >= NEVER_NS:
        kind = RefusalKind.RATE_LIMIT
        return Refusal(kind, message, limit=state, should_retry=False, spent=True)
    return Refusal(
        RefusalKind.RATE_LIMIT,
        message,
        limit=state,
        retry_at_ns=fits_at_ns,
        should_retry=_worth_waiting(fits_at_ns, at_ns),
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
    readings: Readings,
    throttling: list[RuleOutcome],
) -> Refusal:
    """A throttle of a recognized caller: in borrowed words, unless a rule reveals itself."""
    borrowed = _borrowed(policy, plan, readings)
    message = _message(policy, throttling)
    return borrowed if message is None else replace(borrowed, message=message)


def _borrowed(policy: PolicySet, plan: Plan, readings: Readings) -> Refusal:
    """A refusal that looks like the account's own: requests before tokens, the shortest window.

    A budget that never comes back is not borrowed: the next answer would show that it is not spent.
    """
    own = [used_up(plan.at_ns, *one) for one in own_charges(plan, readings)]
    own = [(state, fits_at_ns) for state, fits_at_ns in own if fits_at_ns < NEVER_NS]
    if own:
        state, fits_at_ns = min(own, key=lambda one: (_unusual(one[0]), one[0].window_s))
        return _over(policy, state, plan.at_ns, fits_at_ns)
    window_ns = BORROWED_WINDOW_S * NS_PER_S
    retry_at_ns = (plan.at_ns // window_ns + 1) * window_ns
    return Refusal(RefusalKind.RATE_LIMIT, "Rate limit reached.", retry_at_ns=retry_at_ns)


def _unusual(state: LimitState) -> int:
    """Requests are refused before tokens, and what hangs on exchanges under way last."""
    if state.unit is Unit.CONCURRENT:
        return 2
    return int(state.unit is not Unit.REQUESTS)


def _period(state: LimitState) -> str:
    window_s = state.window_s
    if state.unit is Unit.CONCURRENT:
        return ""
    if not window_s:
        return " in all"
    if 28 * DAY_S <= window_s <= 31 * DAY_S + 3600:
        return " per month"
    for length, word in ((7 * DAY_S, "week"), (DAY_S, "day"), (3600, "hour"), (60, "minute")):
        if window_s == length:
            return f" per {word}"
        if window_s % length == 0:
            return f" in {window_s // length} {word}s"
    return f" in {window_s} s"
