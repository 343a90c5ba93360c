"""What rules ask about that a deployment with these settings can never know, or never serves."""

from collections.abc import Iterator

from proxy.policy.lints.reach import DIALECT, SURFACE, Reach
from proxy.policy.lints.surfaces import DIALECTS
from proxy.policy.match import Expression
from proxy.policy.problem import Problem
from proxy.policy.rules import AnyRule, ExceptionRule, GeographyRule, PolicySet
from proxy.policy.written import Written
from proxy.settings.schema import Settings


def unknowable(policy: PolicySet, settings: Settings) -> tuple[Problem, ...]:
    """A warning for each fact that a rule or exception reads in vain, and each one never asked."""
    written = Written(policy)
    return tuple(sorted({*_in_vain(written, settings), *_unserved(written, settings)}))


def _in_vain(written: Written, settings: Settings) -> Iterator[Problem]:
    why = dict(_unknown(settings))
    for rule in (*written.policy.exceptions, *written.policy.rules):
        for fact in sorted(reads(rule)):
            if reason := _because(fact, why):
                message = f"{fact} is never known here: {reason}; {_so(rule)}"
                yield written.entries[rule.id].at_fact(fact, message)


def reads(rule: AnyRule | ExceptionRule) -> frozenset[str]:
    """The facts that a rule needs; one that it asks has() of, it provides for."""
    guarded = frozenset[str]().union(
        *(a.guarded for a in rule.match.conditions if isinstance(a, Expression))
    )
    own = {"client.country"} if isinstance(rule, GeographyRule) else set[str]()
    return (rule.match.facts - guarded) | own


def _unknown(settings: Settings) -> Iterator[tuple[str, str]]:
    """Facts, or their beginnings, that nothing tells; and what is missing in the settings."""
    yield "cluster.", "this version finds no clusters"
    if not settings.geo.databases:
        yield "client.country", "the settings name no geo.databases"
        yield "client.asn", "the settings name no geo.databases"
    if settings.geo.anonymizers is None:
        yield "client.anonymizer", "the settings name no geo.anonymizers"
    if settings.ja4_header is None:
        yield "client.ja4", "the settings name no ja4_header"
    if settings.accounts is None:
        yield "account.", "the settings name no accounts, and whoever is unknown is refused"


def _because(fact: str, why: dict[str, str]) -> str | None:
    section = fact[: fact.index(".") + 1]
    return why.get(fact) or why.get(section)


def _so(rule: AnyRule | ExceptionRule) -> str:
    if isinstance(rule, ExceptionRule):
        return "the exception never applies"
    return f"the rule goes by on_missing: {rule.on_missing.value}"


def _unserved(written: Written, settings: Settings) -> Iterator[Problem]:
    """Rules about dialects without an upstream, and about open paths where none is open."""
    served = {d for d in ("openai", "anthropic") if getattr(settings.upstreams, d) is not None}
    for rule in (*written.policy.exceptions, *written.policy.rules):
        reach = Reach(rule.match.conditions)
        surfaces = reach.values(SURFACE) or frozenset()
        dialects = reach.values(DIALECT) or frozenset()
        of_surfaces = frozenset[str]().union(*(DIALECTS[str(surface)] for surface in surfaces))
        entry = written.entries[rule.id]
        if served and dialects and served.isdisjoint(dialects & of_surfaces):
            asked = " and ".join(sorted(map(str, dialects & of_surfaces)))
            message = f"nothing is served for {asked}: the settings name no such upstream"
            yield entry.at_fact(DIALECT if DIALECT in rule.match.facts else SURFACE, message)
        elif surfaces == {"open"} and not settings.open_paths:
            message = "nothing is served on open paths: the settings name no open_paths"
            yield entry.at_fact(SURFACE, message)
