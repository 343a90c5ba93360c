"""What rules ask about that a deployment with these settings can never know, or never serves."""

from collections.abc import Iterator

from proxy.model.verdict import OnMissing, OnUnavailable
from proxy.policy.lints.quotas import ALWAYS_KNOWN
from proxy.policy.lints.reach import DIALECT, SURFACE, Reach
from proxy.policy.lints.surfaces import DIALECTS
from proxy.policy.match import Expression
from proxy.policy.problem import Problem
from proxy.policy.rules import (
    DIMENSION_FACTS,
    AnyRule,
    ExceptionRule,
    GeographyRule,
    PolicySet,
    QuotaRule,
)
from proxy.policy.written import Written
from proxy.settings.schema import Settings


def unknowable(policy: PolicySet, settings: Settings) -> tuple[Problem, ...]:
    """A warning for each fact that a rule or exception reads in vain, and each one never asked."""
    written = Written(policy)
    found = {*_in_vain(written, settings), *_unserved(written, settings)}
    return tuple(sorted({*found, *_uncounted(written, settings), *_unfailing(written, settings)}))


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


def subject_facts(rule: AnyRule | ExceptionRule) -> frozenset[str]:
    """The facts that name whom a quota counts, without those that are known of everybody."""
    if not isinstance(rule, QuotaRule):
        return frozenset()
    named = {DIMENSION_FACTS[name] for name in rule.per if name not in ALWAYS_KNOWN}
    return frozenset(named | (rule.by.facts if rule.by else frozenset()))


def _uncounted(written: Written, settings: Settings) -> Iterator[Problem]:
    """Quotas that cannot tell whom they count."""
    why = dict(_unknown(settings))
    for rule in written.policy.quotas:
        for fact in sorted(subject_facts(rule)):
            if reason := _because(fact, why):
                lax = rule.on_missing is OnMissing.ABSTAIN
                so = "nobody is counted" if lax else "all whose is not known are counted together"
                message = f"{fact} is never known here: {reason}; {so}"
                yield written.entries[rule.id].problem(message, "per", at_key=True)


def _unfailing(written: Written, settings: Settings) -> Iterator[Problem]:
    """What quotas do without the store, where the store is a part of the process."""
    if settings.store.redis is not None:
        return
    for rule in written.policy.quotas:
        if rule.on_unavailable is not OnUnavailable.ALLOW:
            message = (
                "the counters are in the memory of this process, which always answers: "
                "on_unavailable does nothing without store.redis"
            )
            yield written.entries[rule.id].problem(message, "on_unavailable", at_key=True)


def _unknown(settings: Settings) -> Iterator[tuple[str, str]]:
    """Facts, or their beginnings, that nothing tells; and what is missing in the settings."""
    if settings.clusters is None and not settings.detector.enabled:
        yield "cluster.", "the settings name no clusters, and detector.enabled is false"
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
