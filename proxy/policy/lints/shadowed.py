"""Rules that act and never decide anything, because another is certain to outdo them."""

from collections.abc import Iterator

from proxy.model.decision import Modifiers
from proxy.model.verdict import Mode, RuleKind, Verdict
from proxy.policy.lints.certain import Acting, Steadies, acting, acts_wherever
from proxy.policy.problem import Problem
from proxy.policy.rules import ActingRule, AnyRule, FingerprintRule, GeographyRule, QuotaRule
from proxy.policy.written import Written

BOUNDS = ("max_tokens", "cut_after")


def shadowed(written: Written, at_ns: int) -> Iterator[Problem]:
    """A warning for each rule that another always outdoes; shadow rules are tried out, not idle."""
    every = acting(written.policy, at_ns)
    steadies = Steadies(written.policy, every)
    for other in every:
        if other.rule.mode is Mode.SHADOW or other.rule.legal or other.rule.pending:
            continue
        ways = (_outdone(one, other, at_ns) for one in steadies.about(other))
        said = next(filter(None, ways), None)
        if said:
            yield written.entries[other.rule.id].problem(said)


def _outdone(one: Acting, other: Acting, at_ns: int) -> str | None:
    """How `one` outdoes `other`, if it is certain to."""
    how = _how(one, other) if one is not other else None
    return how if how and acts_wherever(one, other, at_ns) else None


def _how(one: Acting, other: Acting) -> str | None:
    a, b = one.rule, other.rule
    if verdict_of(a).refuses and _refuses_first(one, other):
        if isinstance(b, QuotaRule):
            return f'nothing is ever counted: "{a.id}" refuses every exchange that it governs'
        return f'"{a.id}" refuses every exchange that this rule is about: it never decides one'
    if isinstance(a, ActingRule) and isinstance(b, ActingRule) and b.mode is Mode.ENFORCE:
        return _changed_already(one, other, a, b)
    return None


def verdict_of(rule: AnyRule) -> Verdict:
    """The strongest verdict of a rule that acts."""
    if isinstance(rule, ActingRule):
        return rule.verdict
    return Verdict.DENY if isinstance(rule, GeographyRule) else Verdict.THROTTLE


def _refuses_first(one: Acting, other: Acting) -> bool:
    """Whether the refusal of `one` is the stronger, or among denials the one that is told."""
    a, b = one.rule, other.rule
    if a.recognizes and not b.recognizes:
        return False
    if isinstance(a, QuotaRule):
        return False
    if isinstance(b, QuotaRule) or verdict_of(a) > verdict_of(b):
        return True
    if isinstance(a, FingerprintRule) and isinstance(b, FingerprintRule):
        borrowed = verdict_of(a) is verdict_of(b) is Verdict.THROTTLE and b.message is None
        return borrowed and (a.accounts < b.accounts or one.place < other.place)
    speaks = a.kind is RuleKind.GEOGRAPHY or b.kind is not RuleKind.GEOGRAPHY
    return verdict_of(a) is verdict_of(b) is Verdict.DENY and speaks and one.place < other.place


def _changed_already(one: Acting, other: Acting, a: ActingRule, b: ActingRule) -> str | None:
    """Whether what a rule changes is changed as much, or more, by another."""
    if b.verdict.refuses:
        return None
    first = one.place < other.place
    same = (a.verdict, a.delay_s, a.modifiers) == (b.verdict, b.delay_s, b.modifiers)
    as_much = a.delay_s >= b.delay_s and _subsumes(a.modifiers, b.modifiers, first)
    if as_much and (first or not same):
        return f'"{a.id}" does as much, and more, to every exchange that this rule is about'
    if first and a.modifiers.reroute and b.modifiers.reroute:
        return (
            f'"{a.id}" reroutes every exchange that this rule is about, and the first reroute '
            f"counts: {b.modifiers.reroute} is never asked"
        )
    return None


def _subsumes(strong: Modifiers, weak: Modifiers, first: bool) -> bool:
    return (
        set(weak.strip) <= set(strong.strip)
        and (weak.reroute is None or (first and strong.reroute is not None))
        and all(_tighter(getattr(strong, key), getattr(weak, key)) for key in BOUNDS)
    )


def _tighter(strong: int | None, weak: int | None) -> bool:
    return weak is None or (strong is not None and strong <= weak)
