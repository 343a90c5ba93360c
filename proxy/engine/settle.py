"""Reservations to true usage, once an exchange has ended. A plain function."""

from collections.abc import Iterator

from proxy.model.plan import Charge, Correction, Plan
from proxy.model.usage import Outcome
from proxy.model.verdict import Unit


def settle(plan: Plan, outcome: Outcome) -> tuple[Correction, ...]:
    """Corrections from what was reserved to what was used.

    An exchange that never went upstream is released in full. One that the upstream refused
    (4xx, 5xx) keeps its request and gives its tokens back. Where the upstream did not
    report usage, the input estimate stands and the output is what was delivered.
    """
    return tuple(_corrections(plan, outcome))


def _corrections(plan: Plan, outcome: Outcome) -> Iterator[Correction]:
    for charge in plan.charges:
        delta = _used(charge, plan, outcome) - charge.amount
        if delta:
            yield Correction(charge.counter, charge.window_s, plan.at_ns, delta)


def _used(charge: Charge, plan: Plan, outcome: Outcome) -> int:
    if not outcome.forwarded:
        return 0
    if charge.unit is Unit.REQUESTS:
        return charge.amount
    if outcome.usage is None and outcome.status >= 400:
        return 0
    input_tokens = outcome.usage.input_tokens if outcome.usage else plan.input_tokens
    output_tokens = _output_tokens(outcome)
    match charge.unit:
        case Unit.INPUT_TOKENS:
            return input_tokens
        case Unit.OUTPUT_TOKENS:
            return output_tokens
        case _:
            return input_tokens + output_tokens


def _output_tokens(outcome: Outcome) -> int:
    reported = outcome.usage.output_tokens if outcome.usage else 0
    if outcome.usage and outcome.complete:
        return reported
    # A broken stream has reported less than it delivered.
    return max(reported, outcome.delivered_output_tokens)
