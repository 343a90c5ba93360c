"""What rules do where they are unsure: facts without a guard, and answers to what cannot happen."""

from collections.abc import Iterator

from proxy.model.facts import CATALOGUE, Fact
from proxy.model.verdict import OnMissing, RuleKind
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


def on_everybody(written: Written) -> Iterator[Problem]:
    """on_missing: apply where it is clusters of which nothing is known: of everybody then."""
    for rule in written.policy.rules:
        entry = written.entries[rule.id]
        if rule.on_missing is not OnMissing.APPLY or not entry.says("on_missing"):
            continue
        fact = next(iter(sorted(_cluster_facts(rule))), None)
        if isinstance(rule, QuotaRule) and "cluster" in rule.per:
            if _hangs_on_clusters(rule):
                message = "whose cluster is not known is counted nowhere: remove on_missing"
                yield entry.problem(message, "on_missing")
        elif fact is not None:
            message = (
                f"where nothing says who is in a cluster {fact} is known of nobody, and the rule "
                "acts on everybody: write on_missing: abstain"
            )
            yield entry.problem(message, "on_missing")


def _cluster_facts(rule: AnyRule) -> frozenset[str]:
    """The facts about clusters that its match needs."""
    return frozenset(fact for fact in _needed(rule) if fact.startswith("cluster."))


def _hangs_on_clusters(rule: QuotaRule) -> bool:
    """Whether of all that it needs only clusters may be unknown."""
    others = {fact for fact in _needed(rule) - _cluster_facts(rule) if CATALOGUE[fact].optional}
    return not others and ALWAYS_KNOWN.union(("cluster",)).issuperset(rule.per)


def _needed(rule: AnyRule) -> frozenset[str]:
    """The facts of its match, without those that it asks for by has()."""
    expressions = [a for a in rule.match.conditions if isinstance(a, Expression)]
    return rule.match.facts.difference(*(atom.guarded for atom in expressions))


def _may_miss(rule: AnyRule) -> bool:
    own = rule.kind in (RuleKind.GEOGRAPHY, RuleKind.FINGERPRINT)
    optional = any(CATALOGUE[fact].optional for fact in _needed(rule))
    return own or optional or _may_name_nobody(rule)


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


UNSURE = (unguarded, answers, on_everybody, idle_clauses)
