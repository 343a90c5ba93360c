"""The account's own limits as answers show them."""

from collections.abc import Iterator

from proxy.model.decision import LimitState
from proxy.model.plan import Charge, Plan, Reading, Readings


def own_charges(plan: Plan, readings: Readings) -> Iterator[tuple[Charge, Reading]]:
    """The charges that bind the account and may be shown, with their readings."""
    if readings.available:
        for charge, reading in zip(plan.charges, readings.readings, strict=True):
            if charge.binding and not charge.hidden:
                yield charge, reading


def published(plan: Plan, readings: Readings, *, refused: bool) -> Iterator[LimitState]:
    """The account's own enforced limits as they stand after this exchange."""
    counted = readings.taken and not refused
    for charge, reading in own_charges(plan, readings):
        yield state_of(charge, reading, reading.before + (charge.amount if counted else 0))


def state_of(charge: Charge, reading: Reading, used: int) -> LimitState:
    """A limit of which so much is used."""
    return LimitState(
        charge.rule,
        charge.unit,
        charge.limit,
        max(0, charge.limit - used),
        charge.window_s,
        reading.resets_at_ns,
    )


def used_share(plan: Plan, readings: Readings) -> float | None:
    """The fact quota.used_share: 0 where no enforced limit governs, None where nobody knows."""
    if not readings.available:
        return None
    shares = (
        (reading.before + charge.amount) / charge.limit
        for charge, reading in own_charges(plan, readings)
    )
    return max(shares, default=0.0)
