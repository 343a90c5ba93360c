"""Reservations to true usage, once an exchange has ended. Plain functions."""

import math
from collections.abc import Callable, Iterator

from msgspec.structs import replace

from proxy.model.batch import BatchUsage
from proxy.model.plan import PER_MILLION, Charge, Correction, Plan, Readings
from proxy.model.price import Price
from proxy.model.usage import Outcome, Usage
from proxy.model.verdict import Algorithm, Unit


def settle(plan: Plan, readings: Readings, outcome: Outcome) -> tuple[Correction, ...]:
    """Corrections from what was taken to what was used; a lease is given back with any of them.

    An exchange that never went upstream is released in full. One that the upstream refused
    (4xx, 5xx) keeps its request and gives its tokens back. Where the upstream did not
    report usage, the input estimate stands and the output is what was delivered.
    """
    return tuple(_corrections(plan, readings, outcome))


def released(plan: Plan, readings: Readings) -> tuple[Correction, ...]:
    """Corrections that give back all that was taken."""
    return settle(plan, readings, Outcome(0, complete=False, usage=None, forwarded=False))


RENEWED_S = 20.0  # between two renewals of a reservation
FASTEST_PER_S = 100  # output tokens that a model writes in a second


def so_far(
    plan: Plan, readings: Readings, outcome: Outcome, reserved: int | None = None
) -> tuple[Correction, ...]:
    """What an exchange under way is charged if nothing more is heard of it.

    Its progress, and what it may have used until the next renewal: no more than the `reserved`
    output tokens, with those of top-ups, which are not charged besides.
    """
    if "+" in plan.id:
        return released(plan, readings)
    if plan.requests > 1:  # a batch goes on without anybody: all that it reserved
        every = released(plan, readings)
        return tuple([c for c in every if c.charge.algorithm is Algorithm.CONCURRENT])
    most = plan.output_tokens if reserved is None else reserved
    may_follow = int(RENEWED_S * FASTEST_PER_S) * plan.choices
    delivered = outcome.delivered_output_tokens
    delivered = max(delivered, min(delivered + may_follow, most))
    going_on = replace(
        outcome, status=200, complete=False, forwarded=True, delivered_output_tokens=delivered
    )
    return settle(plan, readings, going_on)


def unseen(plan: Plan, outcome: Outcome, silent_s: float) -> Outcome:
    """The outcome of a stream that broke off before it said what it used.

    While nothing was to be read, the model may have reasoned: as much as a model writes in that
    time, and no more than was asked for.
    """
    thought = math.ceil(max(0.0, silent_s) * FASTEST_PER_S) * plan.choices
    delivered = outcome.delivered_output_tokens
    return replace(
        outcome,
        delivered_output_tokens=max(delivered, min(delivered + thought, plan.output_tokens)),
    )


def unheard(plan: Plan, outcome: Outcome, waited_s: float) -> Outcome:
    """The outcome for a caller who left while the model worked on an answer that comes whole.

    Nobody will ever tell what was made in that time: as much as a model makes, and no more than
    was asked for.
    """
    made = math.ceil(waited_s * FASTEST_PER_S) * plan.choices
    return replace(outcome, delivered_output_tokens=min(made, plan.output_tokens))


def _corrections(plan: Plan, readings: Readings, outcome: Outcome) -> Iterator[Correction]:
    for charge, reading in readings.of(plan):
        taken = charge.taken(reading.before, reading.share)
        if charge.algorithm is Algorithm.CONCURRENT:
            yield Correction(charge, -taken)
            continue
        used = _used(charge, plan, outcome)
        if outcome.unknown and outcome.usage is None and outcome.forwarded and outcome.status < 400:
            used = max(used, taken)
        if used != taken:
            yield Correction(charge, used - taken)


def _used(charge: Charge, plan: Plan, outcome: Outcome) -> int:
    if not outcome.forwarded:
        return 0
    unit, usage = charge.unit, outcome.usage
    if unit is Unit.REQUESTS:
        return charge.amount
    if unit is Unit.BYTES:
        return charge.amount + outcome.answer_bytes
    if usage is None and outcome.status >= 400:
        return 0
    if usage is None:
        usage = Usage(input_tokens=plan.input_tokens)
    return _of_usage(charge, plan, usage, outcome)


def _of_usage(charge: Charge, plan: Plan, usage: Usage, outcome: Outcome) -> int:
    output_tokens = max(usage.output_tokens, _delivered(outcome))
    match charge.unit:
        case Unit.INPUT_TOKENS:
            return usage.input_tokens
        case Unit.CACHED_TOKENS:
            return usage.cached_tokens
        case Unit.OUTPUT_TOKENS:
            return output_tokens
        case Unit.REASONING_TOKENS:
            return usage.reasoning_tokens
        case Unit.COST:
            return _cost(charge, plan.requests, usage, output_tokens)
        case _:
            return usage.input_tokens + output_tokens


def _delivered(outcome: Outcome) -> int:
    """Output that was passed on, where a broken stream has reported less than that, or nothing."""
    if outcome.usage and outcome.complete:
        return 0
    return outcome.delivered_output_tokens


def _cost(charge: Charge, requests: int, usage: Usage, output_tokens: int) -> int:
    assert charge.price is not None
    unreported = max(0, output_tokens - usage.output_tokens)
    return charge.price.of(usage, requests) - -unreported * charge.price.output // PER_MILLION


def settle_batch(
    plan: Plan,
    readings: Readings,
    used: BatchUsage,
    price_of: Callable[[Charge, str | None], Price],
) -> tuple[Correction, ...]:
    """Corrections from what a batch took to what its results say that it used.

    Its requests stay as they were counted; its leases were given back when it was submitted.
    `price_of` is the price that a charge of cost has for a model.
    """
    return tuple(_batch_corrections(plan, readings, used, price_of))


def _batch_corrections(
    plan: Plan,
    readings: Readings,
    used: BatchUsage,
    price_of: Callable[[Charge, str | None], Price],
) -> Iterator[Correction]:
    outcome = Outcome(200, complete=True, usage=used.usage)
    for charge, reading in readings.of(plan):
        if charge.unit in (Unit.REQUESTS, Unit.BYTES, Unit.CONCURRENT):
            continue
        if charge.unit is Unit.COST:
            parts = used.parts
            total = sum(price_of(charge, part.model).of(part.usage, part.answers) for part in parts)
        else:
            total = _used(charge, plan, outcome)
        delta = total - charge.taken(reading.before, reading.share)
        if delta:
            yield Correction(charge, delta)
