"""What a quota says, to the limits, window and subject of its rule; and price tables."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from proxy.model.plan import NEVER_NS
from proxy.model.price import Price
from proxy.model.verdict import Algorithm, Unit
from proxy.policy.match import Keyed, wildcards
from proxy.policy.prices import Entry, Prices
from proxy.policy.rules import Limit
from proxy.policy.schema_quota import (
    MILLIONTHS,
    WINDOWS,
    BySpec,
    LearnedSpec,
    LimitSpec,
    PriceSpec,
    QuotaSpec,
)
from proxy.policy.schema_texts import duration_s, instant_ns
from proxy.policy.windows import Window
from proxy.policy.yamlfile import Path

Fault = Callable[[Path, str], None]  # of a key below the quota, and what is wrong with it
MAX_GCRA = 10**9  # above it a unit is less than what the store can tell apart


@dataclass(frozen=True, slots=True)
class Seen:
    """What a set has, as far as its files can be read: the ids of its rules, and prices at all."""

    ids: frozenset[str]
    prices: bool
    complete: bool


def quota_fields(
    spec: QuotaSpec,
    quotas: Mapping[str, QuotaSpec],
    prices: Prices,
    subject: Callable[[str], Keyed | None],
    fault: Fault,
    seen: Seen,
) -> dict[str, Any]:
    """The fields of a `QuotaRule` that are a quota's own.

    `quotas` are those that `like` may name, and `subject` compiles an expression.
    """
    counted = _counted(spec, quotas, fault, seen)
    limits = tuple(_limits(counted, spec is counted, seen, fault))
    by = subject(spec.per.cel) if isinstance(spec.per, BySpec) else None
    per = () if isinstance(spec.per, BySpec) else tuple(spec.per)
    if spec.clamp and not any(limit.unit in CLAMPED for limit in limits):
        fault(("clamp",), "clamp needs a limit of tokens, output_tokens or cost")
    if spec.hard and not any(limit.unit in CLAMPED for limit in limits):
        fault(("hard",), "hard needs a limit of tokens, output_tokens or cost: others end nothing")
    return {
        "per": per,
        "by": by,
        "limits": limits,
        "window": _window(counted, spec is counted, fault),
        "clamp": spec.clamp,
        "hard": spec.hard,
        "assume_output_tokens": spec.assume_output_tokens,
        "prices": prices,
    }


# Units that a bound on the output keeps within a limit.
CLAMPED = frozenset((Unit.TOKENS, Unit.OUTPUT_TOKENS, Unit.COST))
DAY_S = 86_400
OWN = ("window", "algorithm", "burst", "time_zone", "billing_day")  # what `like` takes over


def _counted(
    spec: QuotaSpec, quotas: Mapping[str, QuotaSpec], fault: Fault, seen: Seen
) -> QuotaSpec:
    """The quota whose limits and window count: itself, or the one that it is like."""
    if spec.like is None:
        if spec.limit is None:
            fault((), "a quota needs a limit (requests, tokens, cost …), or like: another quota")
        return spec
    if spec.limit is not None:
        fault(("like",), "like takes the limits of another quota: remove it, or limit")
    for key in OWN:
        if getattr(spec, key) is not None:
            fault((key,), f"like takes {key} from {spec.like}: remove it")
    other = quotas.get(spec.like)
    if other is None:
        if seen.complete and spec.like not in seen.ids:
            near = get_close_matches(spec.like, quotas, n=1)
            hint = f' (did you mean "{near[0]}"?)' if near else ""
            fault(("like",), f'there is no quota "{spec.like}" in this set{hint}')
        elif spec.like in seen.ids:
            fault(("like",), f"{spec.like} is no quota: like takes the limits of another quota")
    elif other.like is not None:
        fault(("like",), f"{spec.like} has no limits of its own: name {other.like}")
    return spec if other is None else other


def _limits(spec: QuotaSpec, own: bool, seen: Seen, fault: Fault) -> Iterator[Limit]:
    given = spec.limit or LimitSpec()
    amounts = {
        unit: getattr(given, unit.value) for unit in Unit if getattr(given, unit.value) is not None
    }
    if not own:
        fault = _nowhere
    if spec.limit is not None and not amounts:
        fault(("limit",), f"a quota needs at least one limit: {', '.join(Unit)}")
    algorithm = Algorithm(spec.algorithm or "fixed")
    _check_burst(spec, amounts, algorithm, fault)
    if Unit.COST in amounts and not seen.prices and seen.complete:
        fault(("limit", "cost"), "a limit of cost needs prices: say what models cost under prices")
    for unit, amount in amounts.items():
        if unit is Unit.CONCURRENT:
            yield Limit(unit, amount, Algorithm.CONCURRENT)
            continue
        ordinary, most = 0, amount
        if isinstance(amount, LearnedSpec):
            ordinary, most = round(amount.ordinary * MILLIONTHS), amount.until_known
            _check_a_day(spec, unit, fault)
        elif unit is Unit.COST:
            most = round(amount * MILLIONTHS)
        burst = spec.burst or most if algorithm is Algorithm.GCRA else 0
        yield Limit(unit, most, algorithm, burst, ordinary)


def _check_a_day(spec: QuotaSpec, unit: Unit, fault: Fault) -> None:
    """What an ordinary account uses in an hour is not a 24th of what it uses in a day."""
    named = spec.window in (None, *WINDOWS)
    if spec.window not in (None, "day") and (named or duration_s(spec.window) != DAY_S):
        message = "what ordinary accounts use is learned by the day: write window: 1d, or day"
        fault(("limit", unit.value), message)


def _check_burst(
    spec: QuotaSpec, amounts: dict[Unit, Any], algorithm: Algorithm, fault: Fault
) -> None:
    plain = [a.until_known if isinstance(a, LearnedSpec) else a for a in amounts.values()]
    if algorithm is Algorithm.GCRA and any(amount > MAX_GCRA for amount in plain):
        fault(("limit",), f"gcra counts up to {MAX_GCRA:,}: use a window of the calendar")
    if spec.burst is None:
        return
    if algorithm is not Algorithm.GCRA:
        fault(("burst",), "burst works with algorithm: gcra only")
    elif len(amounts) > 1 or Unit.COST in amounts or Unit.CONCURRENT in amounts:
        fault(("burst",), "burst is an amount of one unit: give the quota one limit, not of cost")


def _nowhere(_: Path, __: str) -> None:
    """Faults of a quota that another one is like are told where it stands."""


def _window(spec: QuotaSpec, own: bool, fault: Fault) -> Window:
    if not own:
        fault = _nowhere
    timed = [unit for unit in Unit if unit is not Unit.CONCURRENT]
    counts = any(getattr(spec.limit or LimitSpec(), unit.value) is not None for unit in timed)
    if spec.window is None:
        if counts:
            fault((), "say in which window: 1m, 1h, day, month, lifetime …")
        return Window(length_s=60)
    if not counts and spec.limit is not None and spec.limit.concurrent:
        fault(("window",), "concurrent exchanges are counted without a window: remove it")
    named = spec.window in WINDOWS
    _check_calendar(spec, named, fault)
    if not named:
        return Window(length_s=duration_s(spec.window))
    zone = _zone(spec.time_zone, fault)
    return Window(spec.window, 0, zone, spec.billing_day or 1)


def _check_calendar(spec: QuotaSpec, named: bool, fault: Fault) -> None:
    if named and spec.algorithm in ("rolling", "gcra"):
        length = "a length of time (1h, 30d)"
        fault(("algorithm",), f"{spec.algorithm} needs {length}, not window: {spec.window}")
    if spec.time_zone and (not named or spec.window == "lifetime"):
        fault(("time_zone",), "time_zone works with a window of the calendar: hour, day, month …")
    if spec.billing_day and spec.window != "month":
        fault(("billing_day",), "billing_day works with window: month only")


def _zone(name: str | None, fault: Fault) -> Any:
    if name in (None, "UTC"):
        return Window().zone
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        fault(("time_zone",), f'there is no time zone "{name}" (such as Europe/Berlin)')
        return Window().zone


def price_entry(spec: PriceSpec, models: list[str]) -> Entry:
    """One entry of the price table over the models' names."""
    return Entry(
        wildcards(models),
        Price(**spec.priced()),
        instant_ns(spec.not_before) if spec.not_before else 0,
        instant_ns(spec.until) if spec.until else NEVER_NS,
    )
