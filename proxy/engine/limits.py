"""The account's own limits as answers show them."""

from collections.abc import Iterator

from msgspec.structs import replace

from proxy.model.decision import LimitState
from proxy.model.plan import Charge, Plan, Reading, Readings
from proxy.model.verdict import Algorithm

# An attribute of an enum is looked up slowly, and these are looked up for every charge.
GCRA = Algorithm.GCRA
ROLLING = Algorithm.ROLLING
CONCURRENT = Algorithm.CONCURRENT

NS_PER_S = 1_000_000_000


def own_charges(plan: Plan, readings: Readings) -> Iterator[tuple[Charge, Reading]]:
    """The charges that bind the account and may be shown, with their readings."""
    for charge, reading in readings.of(plan):
        if charge.binding and not charge.hidden and reading.known:
            yield charge, reading


def published(plan: Plan, readings: Readings, *, refused: bool) -> Iterator[LimitState]:
    """The account's own enforced limits as they stand after this exchange."""
    counted = readings.taken and not refused
    for charge, reading in own_charges(plan, readings):
        taken = charge.granted(reading.before, reading.share) or 0 if counted else 0
        yield state_of(plan.at_ns, charge, reading, taken)


def state_of(at_ns: int, charge: Charge, reading: Reading, taken: int) -> LimitState:
    """A limit of which `taken` more is used than the store read."""
    limit = charge.limit // reading.share
    resets_at_ns = reading.resets_at_ns
    if charge.algorithm is GCRA and taken:
        resets_at_ns = max(resets_at_ns, at_ns) + refill_ns(charge, taken * reading.share)
    elif charge.algorithm is ROLLING and taken:
        resets_at_ns = at_ns + charge.window_s * NS_PER_S
    return LimitState(
        charge.rule,
        charge.unit,
        limit,
        max(0, limit - reading.before - taken),
        _window_s(charge),
        resets_at_ns,
    )


def used_up(at_ns: int, charge: Charge, reading: Reading) -> tuple[LimitState, int]:
    """A limit as it would stand were it used up, and when the charge would fit again.

    A limit of which nothing is used has no reset of its own that could be told.
    """
    state = state_of(at_ns, charge, reading, 0)
    resets_at_ns = fits_at_ns = state.resets_at_ns
    if charge.algorithm is GCRA:
        resets_at_ns = at_ns + refill_ns(charge, charge.limit)
        fits_at_ns = at_ns + refill_ns(charge, min(charge.amount * reading.share, charge.limit))
    elif charge.algorithm is ROLLING and not reading.before:
        window_ns = charge.window_s * NS_PER_S
        resets_at_ns = fits_at_ns = (at_ns // window_ns + 1) * window_ns
    return replace(state, remaining=0, resets_at_ns=resets_at_ns), fits_at_ns


def refill_ns(charge: Charge, amount: int) -> int:
    """How long a bucket takes to get so much back."""
    return -(-amount * charge.window_s * NS_PER_S // charge.rate)


def _window_s(charge: Charge) -> int:
    """The time in which the whole limit comes back, in seconds; 0 where no time brings it."""
    if charge.algorithm is not GCRA:
        return charge.window_s
    return max(1, -(-charge.limit * charge.window_s // charge.rate))


def used_share(plan: Plan, readings: Readings) -> float | None:
    """The fact quota.used_share: 0 where no enforced limit governs, None where nobody knows."""
    if not readings.available:
        return None
    shares = (
        (reading.before + charge.amount) / charge.limit
        for charge, reading in own_charges(plan, readings)
        if charge.algorithm is not CONCURRENT  # a slot in use is no use of a limit
    )
    return max(shares, default=0.0)
