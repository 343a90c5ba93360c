"""What a rule tells a caller, or would not; fuses; changes that change nothing."""

from collections.abc import Iterator

from proxy.model.exchange import Dialect
from proxy.model.facts import CATALOGUE, FactValue
from proxy.model.verdict import Mode
from proxy.policy.lints.certain import Acting
from proxy.policy.lints.reach import DIALECT, MODEL, SURFACE, Reach
from proxy.policy.lints.shadowed import verdict_of
from proxy.policy.lints.surfaces import NAMELESS, WRITELESS
from proxy.policy.problem import Problem
from proxy.policy.reveals import giving_away
from proxy.policy.rules import AccessRule, AnyRule, FingerprintRule, QuotaRule
from proxy.policy.schema_rule import RuleSpec
from proxy.policy.written import Written


def reveals(written: Written) -> Iterator[Problem]:
    """Each rule that tells callers that they were recognized, and by what."""
    for rule in written.policy.rules:
        if not rule.reveals:
            continue
        entry = written.entries[rule.id]
        assert isinstance(entry.spec, RuleSpec)
        selects = any(CATALOGUE[fact].recognizes for fact in rule.match.facts)
        told = [key for key, _ in giving_away(entry.spec, selects=selects)]
        if told:
            message = f"callers can tell that they were recognized, by {', '.join(told)}"
            yield entry.problem(message, "reveals", at_key=True)
        else:
            message = "nothing in this rule gives itself away: remove reveals"
            yield entry.problem(message, "reveals", at_key=True)


def unread(written: Written) -> Iterator[Problem]:
    """Messages for callers in rules that refuse nobody, and fuses that cannot blow."""
    for rule in written.policy.rules:
        entry = written.entries[rule.id]
        if verdict_of(rule).refuses:
            continue
        if rule.message is not None and rule.mode is Mode.ENFORCE:
            message = "no caller reads this: the rule refuses nobody (reason is for the record)"
            yield entry.problem(message, "message", at_key=True)
        if rule.fuse is not None:
            message = "the rule refuses nobody, so its fuse cannot blow: remove it"
            yield entry.problem(message, "fuse", at_key=True)


def without_fuse(written: Written) -> Iterator[Problem]:
    """Rules that refuse those they recognize, with nothing to stop them when they are wrong."""
    for rule in written.policy.rules:
        refuses = rule.mode is Mode.ENFORCE and verdict_of(rule).refuses
        if refuses and _by_fingerprint(rule) and rule.fuse is None and not rule.legal:
            message = (
                "this rule refuses whom it recognizes, and what is popular is shared innocently: "
                "give it a fuse, such as {accounts: 50, within: 10m}"
            )
            yield written.entries[rule.id].problem(message)


def _by_fingerprint(rule: AnyRule) -> bool:
    """Whether it recognizes by what is shared. How many accounts a cluster has is for those to
    choose who run it: they would blow a fuse."""
    facts = set(rule.match.facts)
    if isinstance(rule, QuotaRule) and rule.by is not None:
        facts |= rule.by.facts
    return isinstance(rule, FingerprintRule) or any(f.startswith("fingerprint.") for f in facts)


def unchanged(written: Written) -> Iterator[Problem]:
    """Changes that cannot change anything in the exchanges that the rule is about."""
    rules: tuple[AccessRule | FingerprintRule, ...]
    rules = (*written.policy.access, *written.policy.fingerprints)
    for rule in rules:
        if not rule.modifiers or Acting(rule, 0).idle:
            continue
        for key, message in _unchanged(rule, Reach(rule.match.conditions)):
            yield written.entries[rule.id].problem(message, "modify", key, at_key=True)


def _unchanged(rule: AccessRule | FingerprintRule, reach: Reach) -> Iterator[tuple[str, str]]:
    surfaces = reach.values(SURFACE) or frozenset()
    changes = rule.modifiers
    if surfaces <= WRITELESS:
        for key in ("strip", "max_tokens", "cut_after"):
            if getattr(changes, key):
                yield key, "answers of these surfaces have nothing that this would change"
    elif "logprobs" in changes.strip and _only(reach, DIALECT) == Dialect.ANTHROPIC.value:
        yield "strip", "answers of this dialect have no logprobs"
    if changes.reroute is not None and surfaces <= NAMELESS:
        yield "reroute", "requests of these surfaces name no model"
    elif changes.reroute is not None and _only(reach, MODEL) == changes.reroute:
        yield "reroute", f"the rule is about requests for {changes.reroute}: it is the same model"


def _only(reach: Reach, fact: str) -> FactValue | None:
    """The value of a fact, where only one is let through."""
    values = reach.values(fact) or frozenset()
    return next(iter(values)) if len(values) == 1 else None


TELLING = (reveals, unread, without_fuse, unchanged)
