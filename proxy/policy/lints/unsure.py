"""What rules do where they are unsure: facts without a guard, and answers to what cannot happen."""

from collections.abc import Iterator

from proxy.model.facts import CATALOGUE, Fact
from proxy.model.verdict import RuleKind
from proxy.policy.cel.names import FACTS, facts_in, guarded_in, names_in
from proxy.policy.cel.text import scan
from proxy.policy.lints.quotas import ALWAYS_KNOWN
from proxy.policy.lints.reach import Reach
from proxy.policy.lints.words import quoted
from proxy.policy.match import Expression
from proxy.policy.problem import Problem
from proxy.policy.rules import AnyRule, QuotaRule
from proxy.policy.written import Entry, Written


def unguarded(written: Written) -> Iterator[Problem]:
    """Facts in CEL that may be unknown, where the rule does not say what it then does."""
    for rule in written.policy.rules:
        entry = written.entries[rule.id]
        if entry.says("on_missing") or not entry.spec.match.cel:
            continue
        tokens = scan(entry.spec.match.cel)
        guarded = guarded_in(tokens)
        for fact in sorted(facts_in(tokens) - guarded):
            if _needs_a_word(CATALOGUE[fact]):
                at = next(tokens[i].start for i, name in names_in(tokens) if name == fact)
                yield entry.in_cel(at, _may_be_unknown(rule, fact))


def _needs_a_word(fact: Fact) -> bool:
    """Whether it is not plain what a rule means where the fact is unknown.

    Who is in no cluster is meant by no rule about clusters; readings have on_unavailable.
    """
    return fact.optional and not fact.reading and not fact.recognizes


def _may_be_unknown(rule: AnyRule, fact: str) -> str:
    does = "acts" if rule.on_missing == "apply" else "does not act"
    return (
        f"{fact} may be unknown, and the rule then {does}: say so with "
        f"on_missing: {rule.on_missing.value}, or ask has({fact})"
    )


def answers(written: Written) -> Iterator[Problem]:
    """on_missing where nothing can be missing, on_error where nothing can fail."""
    for rule in written.policy.rules:
        entry = written.entries[rule.id]
        if entry.says("on_missing") and not _may_miss(rule):
            message = "this rule needs no fact that may be unknown: remove on_missing"
            yield entry.problem(message, "on_missing", at_key=True)
        if entry.says("on_error") and not _may_fail(rule):
            message = "no condition of this rule can fail: remove on_error"
            yield entry.problem(message, "on_error", at_key=True)


def _may_miss(rule: AnyRule) -> bool:
    own = rule.kind in (RuleKind.GEOGRAPHY, RuleKind.FINGERPRINT)
    guarded = frozenset[str]().union(
        *(a.guarded for a in rule.match.conditions if isinstance(a, Expression))
    )
    optional = {fact for fact in rule.match.facts if CATALOGUE[fact].optional}
    return own or bool(optional - guarded) or _may_name_nobody(rule)


def _may_name_nobody(rule: AnyRule) -> bool:
    """Whether a fact that names the subject of a quota may be unknown."""
    if not isinstance(rule, QuotaRule):
        return False
    by = rule.by.facts if rule.by else ()
    return any(CATALOGUE[fact].optional for fact in by) or not ALWAYS_KNOWN.issuperset(rule.per)


def _may_fail(rule: AnyRule) -> bool:
    if isinstance(rule, QuotaRule) and rule.by is not None:
        return True
    return any(isinstance(atom, Expression) for atom in rule.match.conditions)


def idle_clauses(written: Written) -> Iterator[Problem]:
    """Clauses in CEL that are true of every exchange."""
    for rule in (*written.policy.exceptions, *written.policy.rules):
        entry = written.entries[rule.id]
        for atom in rule.match.conditions:
            known = all(fact in FACTS and not FACTS[fact].optional for fact in atom.facts)
            if known and Reach(()).implies(atom) and _in_cel(entry, atom.text):
                yield entry.about(atom, f"{quoted(atom)} is true of every exchange: remove it")


def _in_cel(entry: Entry, text: str) -> bool:
    return text in (entry.spec.match.cel or "")


UNSURE = (unguarded, answers, idle_clauses)
