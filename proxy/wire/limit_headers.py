"""Rate-limit header fields: the vendors' own, and the IETF draft's.

OpenAI: https://platform.openai.com/docs/guides/rate-limits; Anthropic:
https://docs.anthropic.com/en/api/rate-limits; IETF: draft-ietf-httpapi-ratelimit-headers-11.

The draft registers no quota unit for tokens or money, and a policy without `qu` is read as
requests, which would be wrong by orders of magnitude. So such limits carry a unit string of their
own (`qu="tokens"`, `qu="cost"` …; money in millionths): a client that does not know the unit then
knows that it does not. A limit that never comes back, or that is no matter of time, has neither
`w` nor `t`. A policy is named after its rule, and after its unit too where the rule limits several;
ids of rules have no dot, so that no two policies share a name.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from proxy.model.decision import LimitState
from proxy.model.exchange import Dialect, Headers
from proxy.model.verdict import Unit

_NS = 1_000_000_000
_LARGEST_INTEGER = 999_999_999_999_999  # RFC 9651, 3.3.1
_LARGEST_INSTANT_S = 253_402_300_799  # 9999-12-31T23:59:59Z

_TOKEN_UNITS = (Unit.TOKENS, Unit.INPUT_TOKENS, Unit.OUTPUT_TOKENS)
# Quota units that the draft registers; those of all other units are our own words.
_REGISTERED = {Unit.BYTES: "content-bytes", Unit.CONCURRENT: "concurrent-requests"}


def _names(template: str, field: str) -> tuple[str, str, str]:
    limit, remaining, reset = (
        template.format(kind, field) for kind in ("limit", "remaining", "reset")
    )
    return limit, remaining, reset


_OPENAI_FIELDS = tuple(
    (_names("x-ratelimit-{0}-{1}", field), units)
    for field, units in {"requests": (Unit.REQUESTS,), "tokens": (Unit.TOKENS,)}.items()
)
_ANTHROPIC_FIELDS = tuple(
    (_names("anthropic-ratelimit-{1}-{0}", field), units)
    for field, units in {
        "requests": (Unit.REQUESTS,),
        "tokens": _TOKEN_UNITS,  # "the most restrictive limit currently in effect"
        "input-tokens": (Unit.INPUT_TOKENS,),
        "output-tokens": (Unit.OUTPUT_TOKENS,),
    }.items()
)
_FAMILIES = ("x-ratelimit-", "anthropic-ratelimit-", "ratelimit-")


def limit_headers(dialect: Dialect, limits: tuple[LimitState, ...], at_ns: int) -> Headers:
    """The fields that tell a caller of `dialect` where its limits stand at `at_ns` (Unix ns).

    The IETF fields name every limit; a vendor's fields show the most restrictive limit of each
    unit that comes back in time, since they have room for one. No limits, no fields.
    """
    if not limits:
        return ()
    if dialect is Dialect.ANTHROPIC:
        vendor = _vendor_headers(_ANTHROPIC_FIELDS, limits, _instant)
    else:
        vendor = _vendor_headers(
            _OPENAI_FIELDS, limits, lambda limit: _duration(limit.resets_at_ns - at_ns)
        )
    return (*vendor, *_ietf_headers(limits, at_ns))


def is_limit_header(name: str) -> bool:
    """Whether an upstream's header field (any case) is of a kind that ours replace."""
    lowered = name.lower()
    return lowered == "ratelimit" or lowered.startswith(_FAMILIES)


def seconds_until(instant_ns: int, at_ns: int) -> int:
    """Whole seconds from `at_ns` to an instant, rounded up, never negative."""
    return max(0, -((at_ns - instant_ns) // _NS))


def _vendor_headers(
    fields: tuple[tuple[tuple[str, str, str], tuple[Unit, ...]], ...],
    limits: tuple[LimitState, ...],
    reset: Callable[[LimitState], str],
) -> Headers:
    headers: list[tuple[str, str]] = []
    for (limit_name, remaining_name, reset_name), units in fields:
        of_units = [limit for limit in limits if limit.unit in units and limit.window_s]
        if not of_units:
            continue
        limit = of_units[0] if len(of_units) == 1 else min(of_units, key=_restrictiveness)
        headers.append((limit_name, str(limit.limit)))
        headers.append((remaining_name, str(max(0, limit.remaining))))
        headers.append((reset_name, reset(limit)))
    return tuple(headers)


def _restrictiveness(limit: LimitState) -> tuple[int, int, int]:
    """Least remaining first; then the one that stays longest; then the smallest."""
    return max(0, limit.remaining), -limit.resets_at_ns, limit.limit


def _ietf_headers(limits: tuple[LimitState, ...], at_ns: int) -> Headers:
    names, policies = _policies(
        tuple([(limit.rule, limit.unit, limit.limit, limit.window_s) for limit in limits])
    )
    states = [
        f"{name};r={_integer(limit.remaining)}{_resets(limit, at_ns)}"
        for name, limit in zip(names, limits, strict=True)
    ]
    return (("RateLimit-Policy", policies), ("RateLimit", ", ".join(states)))


@lru_cache(maxsize=1024)
def _policies(limits: tuple[tuple[str, Unit, int, int], ...]) -> tuple[tuple[str, ...], str]:
    """Names of policies and the field that states them: the same for every answer of a kind."""
    rules = [rule for rule, *_ in limits]
    names = tuple(
        _string(rule if rules.count(rule) == 1 else f"{rule}.{_word(unit)}")
        for rule, unit, _, _ in limits
    )
    stated = ", ".join(
        f"{name};q={_integer(amount)}{_unit(unit)}{f';w={_integer(window_s)}' if window_s else ''}"
        for name, (_, unit, amount, window_s) in zip(names, limits, strict=True)
    )
    return names, stated


def _resets(limit: LimitState, at_ns: int) -> str:
    if not limit.window_s:
        return ""
    return f";t={_integer(seconds_until(limit.resets_at_ns, at_ns))}"


def _unit(unit: Unit) -> str:
    return "" if unit is Unit.REQUESTS else f';qu="{_word(unit)}"'


def _word(unit: Unit) -> str:
    return _REGISTERED.get(unit) or unit.value.replace("_", "-")


def _string(text: str) -> str:
    """A structured-field String (RFC 9651, 3.3.3): printable ASCII, quoted."""
    printable = "".join(char if " " <= char <= "~" else "?" for char in text)
    return '"' + printable.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _integer(value: int) -> int:
    return min(max(0, value), _LARGEST_INTEGER)


def _duration(left_ns: int) -> str:
    """A span as OpenAI writes it: `12ms` below a second, then `1s`, `6m0s`, `2h0m5s`."""
    if left_ns < _NS:
        left_ms = max(0, -(-left_ns // 1_000_000))
        return f"{left_ms}ms" if 0 < left_ms < 1000 else ("1s" if left_ms else "0s")
    minutes, seconds = divmod(-(-left_ns // _NS), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def _instant(limit: LimitState) -> str:
    """The reset as RFC 3339 in whole seconds, rounded up."""
    return _rfc3339(min(max(0, -(-limit.resets_at_ns // _NS)), _LARGEST_INSTANT_S))


@lru_cache(maxsize=1024)
def _rfc3339(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
