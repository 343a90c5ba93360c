"""Rules and exceptions that can never act: conditions at odds, times past, nothing to refuse."""

import re
from collections.abc import Iterator

from proxy.model.facts import CATALOGUE
from proxy.model.verdict import Mode, OnMissing, RuleKind
from proxy.policy.ending import endings, utc_text
from proxy.policy.lints.reach import Reach
from proxy.policy.lints.words import quoted
from proxy.policy.match import Atom
from proxy.policy.problem import Problem
from proxy.policy.rules import ActingRule, AnyRule, ExceptionRule, GeographyRule
from proxy.policy.written import Written

_BEFORE = re.compile(r'time\.now <=? timestamp\("[^"]*"\)')


def no_rules(written: Written) -> Iterator[Problem]:
    """A set without a rule lets everything pass."""
    if not written.policy.rules:
        message = "there is no rule in this set: every exchange passes"
        yield Problem(written.policy.files[0], 0, 0, message)


def at_odds(written: Written) -> Iterator[Problem]:
    """Conditions of one match that never hold together."""
    for rule in (*written.policy.exceptions, *written.policy.rules):
        culprits = contradiction(rule.match.conditions)
        if culprits:
            message = f"{_never(culprits)}: {_so(rule, culprits)}"
            yield written.entries[rule.id].about(culprits[-1], message)


def contradiction(atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
    """Conditions that rule each other out, none of them needless; () where none are known to."""
    if not Reach(atoms).impossible:
        return ()
    culprits = list(atoms)
    for atom in atoms:
        rest = [other for other in culprits if other is not atom]
        if Reach(rest).impossible:
            culprits = rest
    return tuple(culprits)


def _never(culprits: tuple[Atom, ...]) -> str:
    if len(culprits) == 1:
        return f"{quoted(culprits[0])} is never true"
    return f"{' and '.join(map(quoted, culprits))} are never true together"


def _so(rule: AnyRule | ExceptionRule, culprits: tuple[Atom, ...]) -> str:
    if isinstance(rule, ExceptionRule):
        return "the exception never applies"
    unknown = sorted(f for atom in culprits for f in atom.facts if CATALOGUE[f].optional)
    if unknown and rule.on_missing is OnMissing.APPLY:
        return f"the rule acts only where {unknown[0]} is not known (on_missing: apply)"
    return "the rule never acts"


def refuses_no_place(written: Written) -> Iterator[Problem]:
    """Geography rules that refuse no country at all, or none that their match lets in."""
    for rule in written.policy.geography:
        if contradiction(rule.match.conditions):
            continue
        let_in = Reach(rule.match.conditions).values("client.country") or frozenset()
        if any(rule.refuses(str(country)) for country in let_in):
            continue
        key = "allow_countries" if rule.inverted else "deny_countries"
        what = "every country" if rule.inverted else "no country"
        whom = " that its match lets in" if "client.country" in rule.match.facts else ""
        message = f"{what}{whom} is {'allowed' if rule.inverted else 'denied'}: {_unplaced(rule)}"
        yield written.entries[rule.id].problem(message, key, at_key=True)


def _unplaced(rule: GeographyRule) -> str:
    if rule.on_missing is OnMissing.APPLY:
        return "the rule refuses only places that are not known (on_missing: apply)"
    return "the rule never refuses"


def refuses_everything(written: Written) -> Iterator[Problem]:
    """Enforced rules that refuse every exchange: it may be meant, and it bites at once."""
    for rule in written.policy.access:
        if rule.mode is Mode.ENFORCE and rule.verdict.refuses and _governs_all(rule):
            message = "this rule refuses every exchange: give it a match, unless that is meant"
            yield written.entries[rule.id].problem(message, "then")


def _governs_all(rule: ActingRule) -> bool:
    return all(Reach(()).implies(atom) for atom in rule.match.conditions)


def past(written: Written, at_ns: int) -> Iterator[Problem]:
    """What has ended, or soon will; and conditions on a time that is over."""
    for ending in endings(written.policy, at_ns):
        is_exception = ending.kind is RuleKind.EXCEPTION
        key = "until" if is_exception else "expires"
        yield written.entries[ending.id].problem(_ended(ending.ended, ending.at_ns), key)
    for rule in (*written.policy.exceptions, *written.policy.rules):
        for atom in rule.match.conditions:
            if _BEFORE.fullmatch(atom.text) and atom.holds({"time.now": at_ns}) is False:
                message = f"{quoted(atom)} is never true again: remove the rule, or the condition"
                yield written.entries[rule.id].about(atom, message)


def _ended(over: bool, at_ns: int) -> str:
    if over:
        return f"it ended {utc_text(at_ns)} and does nothing any more: renew it or remove it"
    return f"it ends {utc_text(at_ns)}: renew it if it is still needed"


NEVER = (no_rules, at_odds, refuses_no_place, refuses_everything)
