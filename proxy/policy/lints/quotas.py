"""Quotas that never bind, that count nothing, or that refuse what is asked in the usual way."""

from collections.abc import Iterator

from proxy.model.verdict import Mode, Unit
from proxy.policy.lints.certain import Acting, Steadies, acting, acts_wherever
from proxy.policy.lints.reach import SURFACE, Reach
from proxy.policy.lints.surfaces import INPUT_ONLY, TOKENLESS
from proxy.policy.problem import Problem
from proxy.policy.rules import AnyRule, Limit, QuotaRule
from proxy.policy.written import Written

# Whom a quota counts: each holds those before it.
WIDER = ("account.key", "account.id", "account.organization")
# Units whose count a limit in another is never below.
INCLUDES = {
    Unit.REQUESTS: (Unit.REQUESTS,),
    Unit.TOKENS: (Unit.TOKENS, Unit.INPUT_TOKENS, Unit.OUTPUT_TOKENS),
    Unit.INPUT_TOKENS: (Unit.INPUT_TOKENS,),
    Unit.OUTPUT_TOKENS: (Unit.OUTPUT_TOKENS,),
}
RESERVING = (Unit.TOKENS, Unit.OUTPUT_TOKENS)  # units of which output is reserved


def loose(written: Written, at_ns: int) -> Iterator[Problem]:
    """Limits that another limit always reaches before."""
    quotas = [a for a in acting(written.policy, at_ns) if isinstance(a.rule, QuotaRule)]
    steadies = Steadies(written.policy, quotas)
    for other in quotas:
        near = steadies.about(other) if _limits(other.rule) else []
        for limit in _limits(other.rule):
            found = next((one for one in near if _binds(one, other, limit, at_ns)), None)
            if found:
                message = (
                    f"{limit.amount} {limit.unit.value} are never reached: {_by(found, other)}"
                )
                entry = written.entries[other.rule.id]
                yield entry.problem(message, "limit", limit.unit.value)


def _limits(rule: AnyRule) -> tuple[Limit, ...]:
    """The limits that somebody is told of; those of a shadow rule are being tried out."""
    if not isinstance(rule, QuotaRule) or rule.mode is Mode.SHADOW:
        return ()
    return tuple(limit for limit in rule.limits if not _uncounted(rule, limit))


def _by(one: Acting, other: Acting) -> str:
    if one is other:
        return "the rule's own limit in tokens binds before"
    return f'"{one.rule.id}" binds before, for the same exchanges'


def _binds(one: Acting, other: Acting, loose_limit: Limit, at_ns: int) -> bool:
    """Whether a limit of `one` is certain to bind before that limit of `other`."""
    a, b = one.rule, other.rule
    assert isinstance(a, QuotaRule)
    assert isinstance(b, QuotaRule)
    counts_more = WIDER.index(a.subject) >= WIDER.index(b.subject)
    if not counts_more or a.recognizes is not b.recognizes:
        return False
    tighter = any(_tighter(a, limit, b, loose_limit, one.place < other.place) for limit in a.limits)
    return tighter and (one is other or acts_wherever(one, other, at_ns))


def _tighter(a: QuotaRule, tight: Limit, b: QuotaRule, loose_limit: Limit, first: bool) -> bool:
    if loose_limit.unit not in INCLUDES[tight.unit] or tight is loose_limit:
        return False
    most = tight.amount
    if a.window_s != b.window_s:
        # A stream may run past a limit in tokens, so that windows of it do not add up exactly.
        if tight.unit is not Unit.REQUESTS or b.window_s % a.window_s:
            return False
        most *= b.window_s // a.window_s
    reserves = loose_limit.unit in RESERVING
    if reserves and a.assume_output_tokens < b.assume_output_tokens:
        return False
    same = (a.subject, a.window_s, tight) == (b.subject, b.window_s, loose_limit)
    return most <= loose_limit.amount and (first or not same)


def uncounted(written: Written) -> Iterator[Problem]:
    """Limits in tokens over surfaces that use none."""
    for rule in written.policy.quotas:
        for limit in rule.limits:
            if _uncounted(rule, limit):
                message = f"these surfaces use no {limit.unit.value}: the limit is never reached"
                yield written.entries[rule.id].problem(message, "limit", limit.unit.value)


def _uncounted(rule: QuotaRule, limit: Limit) -> bool:
    surfaces = Reach(rule.match.conditions).values(SURFACE)
    return surfaces is not None and frozenset() < surfaces <= _uses_none(limit.unit)


def _uses_none(unit: Unit) -> frozenset[str]:
    match unit:
        case Unit.REQUESTS:
            return frozenset()
        case Unit.OUTPUT_TOKENS:
            return TOKENLESS | INPUT_ONLY
        case _:
            return TOKENLESS


def assumed(written: Written) -> Iterator[Problem]:
    """What is reserved for a request that names no max_tokens: for nothing, or more than fits."""
    for rule in written.policy.quotas:
        entry = written.entries[rule.id]
        reserving = [limit for limit in rule.limits if limit.unit in RESERVING]
        if not reserving and entry.says("assume_output_tokens"):
            message = (
                "no limit is in tokens or output_tokens, so nothing is reserved: remove the key"
            )
            yield entry.problem(message, "assume_output_tokens", at_key=True)
        for limit in reserving:
            if rule.assume_output_tokens > limit.amount and _writes(rule):
                message = (
                    f"a request that names no max_tokens reserves {rule.assume_output_tokens} and "
                    "never fits: raise the limit, or lower assume_output_tokens"
                )
                yield entry.problem(message, "limit", limit.unit.value)


def _writes(rule: QuotaRule) -> bool:
    surfaces = Reach(rule.match.conditions).values(SURFACE) or frozenset()
    return not surfaces <= TOKENLESS | INPUT_ONLY


def unread_share(written: Written) -> Iterator[Problem]:
    """Rules over what is used of limits, where no limit is enforced."""
    policy = written.policy
    if any(rule.mode is Mode.ENFORCE and not rule.recognizes for rule in policy.quotas):
        return
    for rule in policy.access:
        if rule.pending:
            message = "no quota is enforced, so quota.used_share is always 0"
            yield written.entries[rule.id].at_fact("quota.used_share", message)


QUOTAS = (uncounted, assumed, unread_share)
