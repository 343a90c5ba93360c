"""Quotas that never bind, that count nothing, or that refuse what is asked in the usual way."""

from collections.abc import Iterator, Mapping

from proxy.model.verdict import Algorithm, Mode, OnMissing, Unit
from proxy.policy.lints.certain import Acting, Steadies, acting, acts_wherever
from proxy.policy.lints.reach import MODEL, SURFACE, Reach
from proxy.policy.lints.surfaces import INPUT_ONLY, TOKENLESS
from proxy.policy.problem import Problem
from proxy.policy.rules import (
    DIMENSION_FACTS,
    UNNAMED_OUTPUT,
    WRITTEN,
    AnyRule,
    Limit,
    QuotaRule,
)
from proxy.policy.schema_quota import MILLIONTHS
from proxy.policy.windows import LIFETIME
from proxy.policy.written import Written

# Dimensions that each subject of another one lies in: a key belongs to one account.
HELD_BY: Mapping[str, tuple[str, ...]] = {
    "account": ("key",),
    "organization": ("account", "key"),
    "model_group": ("model",),
}
# Those that are known of every exchange: an account without a key stands for itself.
ALWAYS_KNOWN = frozenset(("account", "key", "organization", "everybody"))
# Units whose count a limit in another is never below.
INCLUDES: Mapping[Unit, frozenset[Unit]] = {
    Unit.REQUESTS: frozenset((Unit.REQUESTS,)),
    Unit.TOKENS: frozenset(
        (
            *(Unit.TOKENS, Unit.INPUT_TOKENS, Unit.CACHED_TOKENS),
            *(Unit.OUTPUT_TOKENS, Unit.REASONING_TOKENS),
        )
    ),
    Unit.INPUT_TOKENS: frozenset((Unit.INPUT_TOKENS, Unit.CACHED_TOKENS)),
    Unit.OUTPUT_TOKENS: frozenset((Unit.OUTPUT_TOKENS, Unit.REASONING_TOKENS)),
    Unit.CACHED_TOKENS: frozenset((Unit.CACHED_TOKENS,)),
    Unit.REASONING_TOKENS: frozenset((Unit.REASONING_TOKENS,)),
    Unit.COST: frozenset((Unit.COST,)),
    Unit.BYTES: frozenset((Unit.BYTES,)),
}
# Units, without money, of which output is reserved.
RESERVING = frozenset(WRITTEN - {Unit.COST})


def loose(written: Written, at_ns: int) -> Iterator[Problem]:
    """Limits that another limit always reaches before."""
    quotas = [a for a in acting(written.policy, at_ns) if isinstance(a.rule, QuotaRule)]
    steadies = Steadies(written.policy, quotas)
    for other in quotas:
        near = steadies.about(other) if _limits(other.rule) else []
        for limit in _limits(other.rule):
            found = next((one for one in near if _binds(one, other, limit, at_ns)), None)
            if found:
                amount = f"{shown(limit)} {limit.unit.value}"
                message = f"{amount} are never reached: {_by(found, other)}"
                entry = written.entries[other.rule.id]
                yield entry.problem(message, "limit", limit.unit.value)


def _limits(rule: AnyRule) -> tuple[Limit, ...]:
    """The limits that somebody is told of; those of a shadow rule are being tried out, and of
    those that are learned nobody knows how high they are."""
    if not isinstance(rule, QuotaRule) or rule.mode is Mode.SHADOW:
        return ()
    return tuple(limit for limit in rule.limits if not (limit.ordinary or _uncounted(rule, limit)))


def shown(limit: Limit) -> str:
    """The amount as it is written."""
    return f"{limit.amount / MILLIONTHS:g}" if limit.unit is Unit.COST else str(limit.amount)


def _by(one: Acting, other: Acting) -> str:
    if one is other:
        return "the rule's own limit in tokens binds before"
    return f'"{one.rule.id}" binds before, for the same exchanges'


def _binds(one: Acting, other: Acting, loose_limit: Limit, at_ns: int) -> bool:
    """Whether a limit of `one` is certain to bind before that limit of `other`."""
    a, b = one.rule, other.rule
    assert isinstance(a, QuotaRule)
    assert isinstance(b, QuotaRule)
    if a.recognizes is not b.recognizes or not _comparable(a, b):
        return False
    tighter = any(_tighter(a, limit, b, loose_limit, one.place < other.place) for limit in a.limits)
    return tighter and (one is other or acts_wherever(one, other, at_ns))


def _comparable(a: QuotaRule, b: QuotaRule) -> bool:
    """Whether `a` counts whatever `b` does, in the same windows or ones of fixed length."""
    if not _holds(a.per, b.per) or (a.on_missing is OnMissing.ABSTAIN and _may_miss(a.per)):
        return False
    fixed = all(limit.algorithm is Algorithm.FIXED for limit in (*a.limits, *b.limits))
    lengths = bool(a.window.length_s and b.window.length_s)
    return fixed and (a.window == b.window or lengths)


def _holds(wide: tuple[str, ...], narrow: tuple[str, ...]) -> bool:
    """Whether each subject of `narrow` lies in one of `wide`; subjects of expressions in none."""
    if not wide or not narrow or "cluster" in (*wide, *narrow):
        return False
    return all(
        name == "everybody" or not {name, *HELD_BY.get(name, ())}.isdisjoint(narrow)
        for name in wide
    )


def _may_miss(per: tuple[str, ...]) -> bool:
    return not ALWAYS_KNOWN.issuperset(per)


def _tighter(a: QuotaRule, tight: Limit, b: QuotaRule, loose_limit: Limit, first: bool) -> bool:
    if loose_limit.unit not in INCLUDES.get(tight.unit, ()) or tight is loose_limit:
        return False
    if tight.ordinary:
        return False
    most = tight.amount
    if a.window != b.window:
        # A stream may run past a limit in tokens, so that windows of it do not add up exactly.
        if tight.unit is not Unit.REQUESTS or b.window.length_s % a.window.length_s:
            return False
        most *= b.window.length_s // a.window.length_s
    if loose_limit.unit in WRITTEN and not _as_strict(a, b):
        return False
    same = (a.subject, a.window, tight) == (b.subject, b.window, loose_limit)
    return most <= loose_limit.amount and (first or not same)


def _as_strict(a: QuotaRule, b: QuotaRule) -> bool:
    """Whether `a` reserves no less output than `b`, and lets no more of it pass.

    A clamp lets in part of what the other limit may refuse; what is not hard lets streams run on
    to where the other one ends them.
    """
    clamps = a.clamp is None or (b.clamp is not None and b.clamp <= a.clamp)
    if a.assume_output_tokens and b.assume_output_tokens:
        reserves = a.assume_output_tokens >= b.assume_output_tokens
    else:
        reserves = a.assume_output_tokens == b.assume_output_tokens
    return reserves and clamps and (a.hard or not b.hard)


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
        case Unit.REQUESTS | Unit.COST | Unit.BYTES | Unit.CONCURRENT:
            return frozenset()
        case Unit.OUTPUT_TOKENS | Unit.REASONING_TOKENS:
            return TOKENLESS | INPUT_ONLY
        case _:
            return TOKENLESS


def assumed(written: Written) -> Iterator[Problem]:
    """What is reserved for a request that names no max_tokens: for nothing, or more than fits."""
    for rule in written.policy.quotas:
        entry = written.entries[rule.id]
        assumes = entry.says("assume_output_tokens")
        if assumes and not any(limit.unit in WRITTEN for limit in rule.limits):
            message = (
                "no limit is in tokens, output_tokens, reasoning_tokens or cost, so that no output "
                "is reserved: remove the key"
            )
            yield entry.problem(message, "assume_output_tokens", at_key=True)
        for limit in rule.limits if entry.says("limit") else ():
            reserves = rule.assume_output_tokens or UNNAMED_OUTPUT
            unsure = rule.clamp is not None or limit.ordinary
            if limit.unit not in RESERVING or unsure or not _writes(rule):
                continue
            if reserves > (limit.burst or limit.amount):
                message = (
                    f"a request that names no max_tokens reserves {reserves} and never fits: "
                    "raise the limit, or lower assume_output_tokens"
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


def bursts(written: Written) -> Iterator[Problem]:
    """Bursts with which more is used in one window than its limit."""
    for rule in written.policy.quotas:
        entry = written.entries[rule.id]
        for limit in rule.limits if entry.says("burst") else ():
            if limit.burst > limit.amount:
                message = (
                    f"{limit.burst} at once is more than the limit of a whole window "
                    f"({limit.amount}): lower the burst, or take a longer window"
                )
                yield entry.problem(message, "burst")


def made_up(written: Written) -> Iterator[Problem]:
    """Quotas of which a caller has as many as he makes up names of models."""
    for rule in written.policy.quotas:
        by = next((name for name in ("model", "model_group") if name in rule.per), None)
        if by is None or _bounded(rule, by):
            continue
        if BOUNDING.isdisjoint(rule.per):
            message = (
                f"{MADE_UP}: count by [account, {by}], or name the {WHOLE[by]} whole in the match"
            )
            yield written.entries[rule.id].problem(message, "per")
        elif rule.window.name == LIFETIME:
            message = f"{MADE_UP}, for ever: name the {WHOLE[by]} whole in the match"
            yield written.entries[rule.id].problem(message, "window")


MADE_UP = "a caller can make up names of models, and each has a count of its own"
WHOLE = {"model": "models", "model_group": "groups"}


def _bounded(rule: QuotaRule, by: str) -> bool:
    """Whether the match lets in only so many names. A model that no group names is its own."""
    reach = Reach(rule.match.conditions)
    return any(reach.values(fact) is not None for fact in {MODEL, DIMENSION_FACTS[by]})


def learned(written: Written) -> Iterator[Problem]:
    """Learned limits of which callers are told: they would see others' use change theirs."""
    for rule in written.policy.quotas:
        if rule.recognizes or rule.mode is Mode.SHADOW:
            continue
        for limit in rule.limits if written.entries[rule.id].says("limit") else ():
            if limit.ordinary:
                message = (
                    "callers are told this limit, and it changes by itself: write an amount, or "
                    "count by cluster (per: cluster), of which nobody is told"
                )
                yield written.entries[rule.id].problem(message, "limit", limit.unit.value)


# Dimensions of which a caller has one: what is counted by one of these, too, is his own.
BOUNDING = frozenset(("account", "key", "organization", "network", "cluster"))

QUOTAS = (uncounted, assumed, unread_share, bursts, made_up, learned)
