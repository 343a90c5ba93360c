"""Each rule loosened, or widened, in one way at a time: a case should notice every one of these.

Loosened: it does not act; a limit is twice as high; a country is not refused any more; a
threshold, a bound or a delay is twice as lax; what is not known passes; a price is half. Widened:
one condition of its match is gone, so that it is about exchanges that it should leave alone. Rules
are changed as compiled values; a changed set differs from its own in that one thing.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from msgspec.structs import replace as replaced

from proxy.model.decision import Modifiers
from proxy.model.facts import CATALOGUE
from proxy.model.verdict import Durability, Mode, OnMissing, OnUnavailable
from proxy.policy.match import Atom, Expression, Match
from proxy.policy.rules import (
    AccessRule,
    ActingRule,
    AnyRule,
    ExceptionRule,
    FingerprintRule,
    GeographyRule,
    PolicySet,
    QuotaRule,
)
from proxy.policy.written import Written
from proxy.trial.mutate_quota import price_changes, quota_changes
from proxy.trial.parts import span

OF = "\0"  # divides what was done to a rule from the part of it, until a mutant is made
_HAS = re.compile(r"has\([a-z0-9_.]+\)")
SECTIONS = ("exceptions", "geography", "access", "fingerprints", "quotas")
EVERYTHING = Match()
AnyGoverning = AnyRule | ExceptionRule


@dataclass(frozen=True, slots=True)
class Mutant:
    """A set that differs in one rule.

    `rule` is its id, or "prices". `what` was done to it (to a part of it: `of`), and `write` is the
    case that would notice. Only exchanges for which `match` is not false can come out differently.
    `make` gives the set.
    """

    rule: str
    what: str
    of: str
    write: str
    match: Match
    make: Callable[[], PolicySet]


Change = tuple[str, str, AnyGoverning | None]  # what, write, the rule afterwards


def mutants(policy: PolicySet) -> Iterator[Mutant]:
    """All mutants of a set, in the order of its rules."""
    written = Written(policy)
    for section in SECTIONS:
        for rule in getattr(policy, section):
            said = written.entries[rule.id].says if rule.id in written.entries else _says_nothing
            for what, write, changed in _changes(policy, rule, said):
                done, _, part = what.partition(OF)
                yield Mutant(
                    rule.id,
                    done,
                    part,
                    write,
                    rule.match if changed is None else _wider(rule.match, changed.match),
                    _maker(policy, section, rule, changed),
                )
    for what, write, make in price_changes(policy):
        yield Mutant("prices", what, "", write, EVERYTHING, make)


def _says_nothing(_: str) -> bool:
    return False


def _wider(one: Match, other: Match) -> Match:
    return one if len(one.conditions) < len(other.conditions) else other


def _maker(
    policy: PolicySet, section: str, rule: AnyGoverning, changed: AnyGoverning | None
) -> Callable[[], PolicySet]:
    def make() -> PolicySet:
        every = (changed if one is rule else one for one in getattr(policy, section))
        held: dict[str, Any] = {section: tuple(one for one in every if one is not None)}
        return replace(policy, **held)

    return make


def _changes(
    policy: PolicySet, rule: AnyGoverning, says: Callable[[str], bool]
) -> Iterator[Change]:
    yield from _off(rule)
    yield from _own(rule, says)
    if not isinstance(rule, ExceptionRule):
        yield from _unsure(rule, says)
        yield from _lawless(policy, rule)
    yield from _widened(rule)


# It does not act


def _off(rule: AnyGoverning) -> Iterator[Change]:
    if isinstance(rule, ExceptionRule):
        yield from _exempts_less(rule)
    elif rule.mode is Mode.SHADOW:
        write = f"where it speaks, expect: {{shadow: {{{rule.id}: {_verdict(rule)}}}}}"
        yield "it is not there", write, None
    else:
        expect = "rules" if rule.mode is Mode.ENFORCE else "warned"
        write = f"where it acts, expect: {{{expect}: {{{rule.id}: {_verdict(rule)}}}}}"
        yield "it is in shadow", write, replace(rule, mode=Mode.SHADOW)


def _exempts_less(rule: ExceptionRule) -> Iterator[Change]:
    for name in sorted(rule.rules):
        write = f"where both match, expect: {{lowered: {{{name}: {rule.id}}}}}"
        fewer = replace(rule, rules=rule.rules - {name})
        yield f"it does not lower {name}", write, fewer


def _verdict(rule: AnyRule) -> str:
    if isinstance(rule, ActingRule):
        return rule.verdict.word
    return "deny" if isinstance(rule, GeographyRule) else "throttle"


# What its kind has of its own


def _own(rule: AnyGoverning, says: Callable[[str], bool]) -> Iterator[Change]:
    if isinstance(rule, QuotaRule):
        yield from quota_changes(rule, says)
    if isinstance(rule, GeographyRule) and not rule.inverted:
        yield from _countries(rule)
    if isinstance(rule, FingerprintRule):
        write = f"template_accounts: {{{span(rule.within_s)}: {rule.accounts}}} and what it does"
        higher = replace(rule, accounts=rule.accounts * 2)
        yield f"it speaks from {higher.accounts} accounts", write, higher
    if isinstance(rule, AccessRule | FingerprintRule):
        yield from _actions(rule)


def _countries(rule: GeographyRule) -> Iterator[Change]:
    if len(rule.countries) > 1:
        for country in sorted(rule.countries):
            write = "for_each: {client.country: [all of them]} and the refusal"
            fewer = replace(rule, countries=rule.countries - {country})
            yield f"it does not refuse{OF}{country}", write, fewer


def _actions(rule: AccessRule | FingerprintRule) -> Iterator[Change]:
    enforced = rule.mode is Mode.ENFORCE
    if rule.delay_s and enforced:
        half = rule.delay_s / 2
        write = f"expect: {{delay_s: {rule.delay_s:g}}}"
        yield f"it delays for {half:g} s", write, replace(rule, delay_s=half)
    words = rule.modifiers.words()
    write = f"expect: {{modifiers: [{', '.join(words)}]}}"
    if not enforced:  # what it would change stands in its reason
        write = f'expect: {{reasons: {{{rule.id}: "*{", ".join(words)}*"}}}}'
    for what, modifiers in _less_modified(rule.modifiers):
        yield what, write, replace(rule, modifiers=modifiers)


def _less_modified(given: Modifiers) -> Iterator[tuple[str, Modifiers]]:
    alone = len(given.words()) == 1
    for name in given.strip if not alone else ():
        left = tuple(other for other in given.strip if other != name)
        yield f"it does not strip {name}", replaced(given, strip=left)
    if given.reroute is not None and not alone:
        yield "it does not reroute", replaced(given, reroute=None)
    if given.max_tokens is not None:
        twice = given.max_tokens * 2
        yield f"its bound is max_tokens: {twice}", replaced(given, max_tokens=twice)
    if given.cut_after is not None:
        twice = given.cut_after * 2
        yield f"its bound is cut_after: {twice}", replaced(given, cut_after=twice)


# What is not known, and the law


def _unsure(rule: AnyRule, says: Callable[[str], bool]) -> Iterator[Change]:
    """Only of what the file says itself, but for places: whoever comes from nowhere is refused."""
    hangs = any(CATALOGUE[fact].optional for fact in rule.match.facts)
    asked = (says("on_missing") and hangs) or isinstance(rule, GeographyRule)
    if rule.on_missing is OnMissing.APPLY and asked:
        fact = "client.country" if isinstance(rule, GeographyRule) else "the fact that it needs"
        write = f"{fact}: null (not known) and what it does then"
        lax = OnMissing.ABSTAIN
        yield "on_missing is abstain", write, replace(rule, on_missing=lax)
    if rule.on_error is OnMissing.APPLY and says("on_error"):
        write = "facts for which its condition fails, and what it does then"
        yield "on_error is abstain", write, replace(rule, on_error=OnMissing.ABSTAIN)
    if rule.on_unavailable is OnUnavailable.DENY:
        write = "store: unavailable, and what it does then"
        lax_too = OnUnavailable.ALLOW
        yield "on_unavailable is allow", write, replace(rule, on_unavailable=lax_too)


def _lawless(policy: PolicySet, rule: AnyRule) -> Iterator[Change]:
    """Of a legal rule, unless another one makes the record of every exchange come first."""
    anyway = any(
        other is not rule and other.durability is Durability.BEFORE and not other.match.conditions
        for other in policy.rules
    )
    if rule.legal and not anyway:
        write = "where it governs, expect: {durability: before}"
        yield "its record need not be first", write, replace(rule, durability=None, legal=False)


# It is about more than it was


def _widened(rule: AnyGoverning) -> Iterator[Change]:
    conditions = rule.match.conditions
    for i, atom in enumerate(conditions):
        others = (*conditions[:i], *conditions[i + 1 :])
        if not _is_guard(rule, atom, others):
            wider = replace(rule, match=Match(others))
            yield f"without {_shown(atom)}", _leaves_alone(rule, atom), wider


def _is_guard(rule: AnyGoverning, atom: Atom, others: tuple[Atom, ...]) -> bool:
    """Whether it asks has() of a fact that another condition reads, and the rule abstains anyway.

    Nothing is decided by it then.
    """
    if not isinstance(atom, Expression) or not _HAS.fullmatch(atom.text):
        return False
    abstains = isinstance(rule, ExceptionRule) or rule.on_missing is OnMissing.ABSTAIN
    return abstains and any(atom.facts & other.facts for other in others)


def _leaves_alone(rule: AnyGoverning, atom: Atom) -> str:
    """The case in which the rest of the match holds, and the rule has nothing to say."""
    facts = ", ".join(sorted(atom.facts)) or "something"
    if isinstance(rule, ExceptionRule):
        name = min(rule.rules)
        return f"another {facts}, and expect: {{rules: {{{name}: …}}}}"
    if isinstance(rule, QuotaRule):
        return f"another {facts}, and expect: {{counted: […]}} without {rule.id}"
    return f"another {facts}, and expect: {{no_rules: [{rule.id}]}}"


def _shown(atom: Atom) -> str:
    text = " ".join(atom.text.split())
    return text if len(text) <= 70 else text[:69] + "…"
