"""From arrival to plan: what an exchange is, in values that the engine can judge."""

from collections.abc import Callable
from dataclasses import dataclass

from proxy.facts.owners import ways_to
from proxy.model.account import Caller
from proxy.model.decision import Refusal
from proxy.model.exchange import Arrival, Asked, BodyKind, Dialect, Surface
from proxy.model.facts import Facts, FactValue
from proxy.model.plan import Plan
from proxy.policy.countries import COUNTRIES

NS_PER_S = 1_000_000_000

# Surfaces that answer in tokens of output; others that generate use input only.
WRITES = frozenset({"chat.completions", "responses", "completions", "messages", "audio"})


@dataclass(frozen=True, slots=True)
class Weighed:
    """An exchange ready for the store and the judge.

    `refusal` is what Gauger's own checks (identity, surface, readable body) say before any rule;
    the plan is then empty. `tokens` are fingerprints by trait; `index` is the version of
    the cluster index that the facts rest on.
    """

    arrival: Arrival
    surface: Surface | None
    dialect: Dialect
    asked: Asked | None
    caller: Caller | None
    facts: Facts
    tokens: tuple[tuple[str, str], ...]
    plan: Plan
    index: int
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Lookups:
    """Where facts come from; each answers None for what it does not know."""

    country: Callable[[str], str | None]
    asn: Callable[[str], int | None]
    anonymizer: Callable[[str, int | None], str | None]
    template_accounts: Callable[[str], dict[int, int]]


def gather(
    arrival: Arrival,
    surface: Surface,
    asked: Asked,
    caller: Caller,
    tokens: tuple[tuple[str, str], ...],
    lookups: Lookups,
) -> Facts:
    """The static facts of an exchange; what is not known is absent."""
    facts: dict[str, FactValue] = {
        "request.surface": surface.name,
        "request.dialect": surface.dialect.value,
        "request.stream": asked.stream,
        "request.choices": asked.choices,
        "request.input_tokens": asked.input_tokens_estimate if surface.generates else 0,
        "request.body_bytes": arrival.body_bytes,
        "time.now": arrival.at_ns,
    }
    if asked.model is not None:
        facts["request.model"] = asked.model
    elif not surface.generates and surface.body is not BodyKind.JSON:
        facts["request.model"] = ""  # known to concern no model: a list, a file, an upload
    if not surface.generates or surface.name not in WRITES:
        facts["request.max_tokens"] = 0
    elif asked.max_output_tokens is not None:
        facts["request.max_tokens"] = asked.max_output_tokens
    _add_account(facts, caller, arrival.at_ns)
    if arrival.client_ip is not None:
        _add_client(facts, arrival.client_ip, lookups)
    if arrival.ja4:
        facts["client.ja4"] = arrival.ja4
    _add_fingerprints(facts, tokens, lookups)
    return facts


def _add_account(facts: dict[str, FactValue], caller: Caller, at_ns: int) -> None:
    account = caller.account
    facts["account.id"] = account.account
    facts["account.labels"] = tuple(account.labels)
    if caller.key is not None:
        facts["account.key"] = caller.key.id
        facts["account.honeypot"] = caller.key.honeypot
    # An empty text in the directory says as little as a missing one.
    if account.organization:
        facts["account.organization"] = account.organization
    if account.tier:
        facts["account.tier"] = account.tier
    if account.country:
        facts["account.country"] = account.country
    if account.billing_country:
        facts["account.billing_country"] = account.billing_country
    if account.verified is not None:
        facts["account.verified"] = account.verified
    if account.owners and (ways := ways_to(account.owners)):
        facts["account.owners"] = ways
    if account.created_at is not None:
        facts["account.age_s"] = int(at_ns / NS_PER_S - account.created_at)


def _add_client(facts: dict[str, FactValue], address: str, lookups: Lookups) -> None:
    facts["client.address"] = address
    country = lookups.country(address)
    # Databases say EU, ZZ or XX where they do not know.
    if country is not None and country in COUNTRIES:
        facts["client.country"] = country
    asn = lookups.asn(address)
    if asn is not None:
        facts["client.asn"] = asn
    anonymizer = lookups.anonymizer(address, asn)
    if anonymizer is not None:
        facts["client.anonymizer"] = anonymizer


def _add_fingerprints(
    facts: dict[str, FactValue], tokens: tuple[tuple[str, str], ...], lookups: Lookups
) -> None:
    """A prompt without a template token is shared with nobody: known to be zero."""
    counts: dict[int, int] = {}
    for trait, token in tokens:
        facts[f"fingerprint.{trait}"] = token
        if trait == "template":
            counts = lookups.template_accounts(token)
    facts["fingerprint.template_accounts"] = counts
