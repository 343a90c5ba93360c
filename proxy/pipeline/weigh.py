"""From arrival to plan: what an exchange is, in values that the engine can judge."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from proxy.facts.address import network_of
from proxy.facts.fingerprints import NOWHERE
from proxy.facts.network_traits import Place
from proxy.facts.owners import ways_to
from proxy.facts.places import Anonymizers, Places
from proxy.model.account import Caller
from proxy.model.batch import BatchCount
from proxy.model.decision import Refusal
from proxy.model.exchange import Arrival, Asked, BodyKind, Dialect, Surface
from proxy.model.facts import Facts, FactValue
from proxy.model.plan import Plan
from proxy.model.sighting import Described
from proxy.model.trait import CODE_MASK, Trait
from proxy.model.verdict import Unit
from proxy.policy.countries import COUNTRIES

NS_PER_S = 1_000_000_000

# Surfaces that answer in text, and those that answer in tokens of output of any kind; others that
# generate use input only.
WRITES = frozenset({"chat.completions", "responses", "completions", "messages", "audio"})
ANSWERS = WRITES | {"images", "batches", "messages.batches"}


@dataclass(frozen=True, slots=True)
class Weighed:
    """An exchange ready for the store and the judge.

    `refusal` is what Gauger's own checks (identity, surface, readable body) say before any rule;
    the plan is then empty. `tokens` are fingerprints (`proxy.model.trait`); `index` is the version
    of the sharing index that the facts rest on. `batch` is what the lines of a batch ask for that
    is submitted.
    """

    arrival: Arrival
    surface: Surface | None
    dialect: Dialect
    asked: Asked | None
    caller: Caller | None
    facts: Facts
    tokens: tuple[int, ...]
    plan: Plan
    index: int
    refusal: Refusal | None = None
    batch: BatchCount | None = None


@dataclass(frozen=True, slots=True)
class Lookups:
    """Where facts come from; each answers None for what it does not know."""

    template_accounts: Callable[[int], dict[int, int]]
    model_group: Callable[[str], str]
    cluster: Callable[[Described, Sequence[int]], Mapping[str, FactValue]]
    expected_output: Callable[[str, str], int | None]
    input_factor: Callable[[str, str], float]


def gather(
    arrival: Arrival,
    surface: Surface,
    asked: Asked,
    caller: Caller,
    described: Described,
    tokens: tuple[int, ...],
    place: Place,
    lookups: Lookups,
) -> Facts:
    """The static facts of an exchange; what is not known is absent."""
    facts: dict[str, FactValue] = {
        "request.surface": surface.name,
        "request.dialect": surface.dialect.value,
        "request.stream": asked.stream,
        "request.choices": asked.choices,
        "request.requests": asked.requests,
        "request.input_tokens": _input_tokens(surface, asked, lookups),
        "request.body_bytes": arrival.body_bytes,
        "time.now": arrival.at_ns,
    }
    if asked.model is not None:
        facts["request.model"] = asked.model
        facts["request.model_group"] = lookups.model_group(asked.model)
    elif not surface.generates and surface.body is not BodyKind.JSON:
        facts["request.model"] = ""  # known to concern no model: a list, a file, an upload
    if not surface.generates or surface.name not in ANSWERS:
        facts["request.max_tokens"] = 0
    elif asked.max_output_tokens is not None:
        facts["request.max_tokens"] = asked.max_output_tokens
    elif (expected := lookups.expected_output(asked.model or "", surface.name)) is not None:
        facts["request.expected_output_tokens"] = expected
    _add_account(facts, caller, arrival.at_ns)
    facts.update(lookups.cluster(described, tokens))
    if place.address is not None:
        _add_client(facts, place.address, place)
    if arrival.ja4:
        facts["client.ja4"] = arrival.ja4
    _add_fingerprints(facts, tokens, lookups)
    return facts


def _input_tokens(surface: Surface, asked: Asked, lookups: Lookups) -> int:
    """The estimate, corrected by what settled exchanges of the model turned out to use."""
    if not surface.generates:
        return 0
    factor = lookups.input_factor(asked.model or "", surface.name)
    return round(asked.input_tokens_estimate * factor)


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
    if account.limits:
        facts["account.limits"] = own_limits(account.limits)
    if account.created_at is not None:
        facts["account.age_s"] = int(at_ns / NS_PER_S - account.created_at)


def own_limits(limits: Mapping[str, Mapping[str, float]]) -> dict[str, int]:
    """Limits of an account as the fact has them: by "rule.unit", of cost in millionths."""
    return {
        f"{rule}.{unit}": round(amount * 1_000_000) if unit == Unit.COST else int(amount)
        for rule, amounts in limits.items()
        for unit, amount in amounts.items()
    }


def place_of(address: str | None, places: Places, anonymizers: Anonymizers) -> Place:
    """Where a client is, as far as databases and lists say."""
    if address is None:
        return NOWHERE
    country, asn = places.country(address), places.asn(address)
    # Databases say EU, ZZ or XX where they do not know.
    known = country if country in COUNTRIES else None
    return Place(address, known, asn, anonymizers.kind(address, asn))


def _add_client(facts: dict[str, FactValue], address: str, place: Place) -> None:
    facts["client.address"] = address
    facts["client.network"] = network_of(address)
    if place.country is not None:
        facts["client.country"] = place.country
    if place.asn is not None:
        facts["client.asn"] = place.asn
    if place.anonymizer is not None:
        facts["client.anonymizer"] = place.anonymizer


def _add_fingerprints(
    facts: dict[str, FactValue], tokens: tuple[int, ...], lookups: Lookups
) -> None:
    """A prompt without a template token is shared with nobody: known to be zero.

    A batch has several: the most shared one counts.
    """
    counts: dict[int, int] = {}
    for token in tokens:
        match token & CODE_MASK:
            case Trait.SYSTEM:
                facts.setdefault("fingerprint.system", f"{token:016x}")
            case Trait.TEMPLATE:
                found = lookups.template_accounts(token)
                if not counts or sum(found.values()) > sum(counts.values()):
                    facts["fingerprint.template"] = f"{token:016x}"
                    counts = found
    facts["fingerprint.template_accounts"] = counts
