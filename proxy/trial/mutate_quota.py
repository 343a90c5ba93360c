"""Quotas and prices loosened in one way at a time; see `proxy.trial.mutate`."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC

from msgspec.structs import replace as replaced

from proxy.engine.refusal import shown
from proxy.model.plan import PER_MILLION
from proxy.model.price import Price
from proxy.model.verdict import Algorithm, Unit
from proxy.policy.prices import Entry, Prices
from proxy.policy.rules import Limit, PolicySet, QuotaRule

OWN = ("account",)

QuotaChange = tuple[str, str, QuotaRule]  # what, write, the rule afterwards


def quota_changes(rule: QuotaRule, says: Callable[[str], bool]) -> Iterator[QuotaChange]:
    """A quota with a larger limit, burst or clamp, by a laxer algorithm, or of another subject."""
    yield from _limits(rule)
    if says("algorithm"):
        yield from _fixed(rule)
    yield from _lengths(rule)
    if says("per") and rule.per != OWN:
        write = "two exchanges, of which the second meets the first one's count, or has its own"
        yield "it counts each account for itself", write, replace(rule, per=OWN, by=None)
    yield from _windows(rule, says)


def _limits(rule: QuotaRule) -> Iterator[QuotaChange]:
    for i, limit in enumerate(rule.limits):
        unit, edge = limit.unit.value, shown(limit.unit, limit.burst or limit.amount)
        write = f"counters: {{{rule.id}: {{{unit}: {edge}}}}} and the refusal"
        if limit.ordinary:
            yield _twice_as_ordinary(rule, i, limit)
            write = f"the same without ordinary.{unit}: {write}"
        twice = shown(limit.unit, limit.amount * 2)
        if limit.algorithm is not Algorithm.GCRA:
            higher = replace(limit, amount=limit.amount * 2)
            yield f"its limit of {unit} is {twice}", write, _with(rule, i, higher)
            continue
        burst = shown(limit.unit, limit.burst * 2)
        deeper = replace(limit, burst=limit.burst * 2)
        yield f"its burst of {unit} is {burst}", write, _with(rule, i, deeper)
        write = f"expect: {{headers: {{retry-after: …}}}} where {edge} are used"
        faster = replace(limit, amount=limit.amount * 2)
        yield f"its limit of {unit} is {twice}", write, _with(rule, i, faster)


def _twice_as_ordinary(rule: QuotaRule, i: int, limit: Limit) -> QuotaChange:
    unit, twice = limit.unit.value, limit.ordinary * 2
    share = f"{twice / PER_MILLION:g}"
    write = f"ordinary: {{{unit}: …}}, counters: {{{rule.id}: {{{unit}: …}}}} and the refusal"
    changed = _with(rule, i, replace(limit, ordinary=twice))
    return f"its limit of {unit} is {share} times what is ordinary", write, changed


def _with(rule: QuotaRule, i: int, limit: Limit) -> QuotaRule:
    return replace(rule, limits=(*rule.limits[:i], limit, *rule.limits[i + 1 :]))


def _fixed(rule: QuotaRule) -> Iterator[QuotaChange]:
    """What is used late in one fixed window can be used again early in the next."""
    laxer = (Algorithm.ROLLING, Algorithm.GCRA)
    limits = tuple(
        replace(limit, algorithm=Algorithm.FIXED, burst=0) if limit.algorithm in laxer else limit
        for limit in rule.limits
    )
    if limits != rule.limits:
        write = "exchanges before and after the turn of a window (after: 30s), and the refusal"
        yield "it counts in fixed windows", write, replace(rule, limits=limits)


def _lengths(rule: QuotaRule) -> Iterator[QuotaChange]:
    if rule.clamp is not None:
        write = "less left than max_tokens asks for, and expect: {modifiers: [clamp:…]}"
        yield "it does not clamp", write, replace(rule, clamp=None)
    if rule.clamp is not None and rule.clamp > 1:
        half = rule.clamp // 2
        write = f"room for {rule.clamp - 1} output tokens only, and the refusal"
        yield f"it clamps down to {half}", write, replace(rule, clamp=half)
    if rule.hard:
        write = "a whole exchange without stream and max_tokens: expect: {sent: {max_tokens: …}}"
        yield "it is not hard", write, replace(rule, hard=False)


def _windows(rule: QuotaRule, says: Callable[[str], bool]) -> Iterator[QuotaChange]:
    write = "expect: {headers: {retry-after: …}} where the limit is used up"
    if says("time_zone") and rule.window.zone is not UTC:
        yield "its time zone is UTC", write, replace(rule, window=replace(rule.window, zone=UTC))
    if says("billing_day") and rule.window.billing_day != 1:
        first = replace(rule.window, billing_day=1)
        yield "its billing day is 1", write, replace(rule, window=first)


PriceChange = tuple[str, str, Callable[[], PolicySet]]  # what, write, the set afterwards


def price_changes(policy: PolicySet) -> Iterator[PriceChange]:
    """Each entry of the prices at half of them, where a quota limits cost."""
    costing = [rule for rule in policy.quotas if any(x.unit is Unit.COST for x in rule.limits)]
    if not costing:
        return
    specs = [spec for _, file in policy.sources for spec in file.prices]
    entries = costing[0].prices.entries
    for i, (spec, entry) in enumerate(zip(specs, entries, strict=True)):
        models = spec.models if isinstance(spec.models, str) else ", ".join(spec.models)
        since = f" from {spec.not_before}" if spec.not_before else ""
        write = f"a model of these{since}, and expect: {{record: {{charges: […]}}}}"
        cheaper = Prices((*entries[:i], _halved(entry), *entries[i + 1 :]))
        yield f"{models}{since} costs half", write, _maker(policy, cheaper)


def _halved(entry: Entry) -> Entry:
    price = entry.price
    halves = {name: getattr(price, name) // 2 for name in Price.__struct_fields__}
    return replace(entry, price=replaced(price, **halves))


def _maker(policy: PolicySet, prices: Prices) -> Callable[[], PolicySet]:
    def make() -> PolicySet:
        return replace(policy, quotas=tuple(replace(q, prices=prices) for q in policy.quotas))

    return make
