"""The shape of a file of cases, as operators write it beside the policies.

Values whose kinds hang on something else (facts, bodies, header fields) are checked when the cases
are read, where their places in the file are known.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictInt, StrictStr, WithJsonSchema

from proxy.policy.schema_texts import Duration, Instant, Spec
from proxy.trial.expect_schema import ExpectSpec
from proxy.trial.facts_schema import ClusterGiven, FactsEach, FactsGiven, OrdinaryGiven

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def clock_ns(text: str) -> int:
    """Unix nanoseconds, to the microsecond, of an instant that was checked."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:  # a day alone is its beginning in UTC
        at = at.replace(tzinfo=UTC)
    return (at - EPOCH) // timedelta(microseconds=1) * 1000


Name = Annotated[StrictStr, Field(min_length=1, max_length=300)]
Count = Annotated[StrictInt, Field(ge=0, le=10**15)]


MOST_COUNTED = 10**15


def _checked_count(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        msg = "write a number: what was counted before"
        raise ValueError(msg)
    if not 0 <= value <= MOST_COUNTED:
        msg = f"{value:g} is not between 0 and {MOST_COUNTED:,}"
        raise ValueError(msg)
    return float(value) if isinstance(value, float) else value


Counted = Annotated[
    int | float,
    BeforeValidator(_checked_count),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": MOST_COUNTED}),
]


class TlsSpec(Spec):
    """What is known of the TLS client."""

    ja4: StrictStr | None = None


class UsageSpec(Spec):
    """The tokens of an answer."""

    input_tokens: Count = 0
    cached_tokens: Count = 0
    cache_written_tokens: Count = 0
    output_tokens: Count = 0
    reasoning_tokens: Count = 0


class ResponseSpec(Spec):
    """What the model API answers, if it is asked. Without one it is still answering."""

    status: Annotated[StrictInt, Field(ge=100, le=599)] = 200
    usage: UsageSpec | None = Field(None, description="What the reservation is corrected to.")
    duration_s: Annotated[float, Field(ge=0, le=10_000_000)] = Field(
        0.0, description="The answer ends, and is settled, so long after the request came."
    )


class AccountSpec(Spec):
    """A line of the account directory; what is in it is checked as the directory's own lines."""

    account: StrictStr = Field(description="Its id.")
    key: StrictStr | None = Field(
        None, description="A bare key. Its id is k-ACCOUNT, also where none is given."
    )
    keys: list[Any] | None = Field(None, description="Instead of key: {id, sha256} of each.")
    organization: Any = None
    tier: Any = None
    status: Any = Field(None, description="active, suspended or closed.")
    created_at: Any = Field(None, description="Unix seconds; before, the account is unknown.")
    country: Any = None
    billing_country: Any = None
    verified: Any = None
    labels: Any = None
    owners: Any = Field(None, description="{name, share, country, owners} of each.")
    links: Any = None


class PlaceSpec(Spec):
    """Where an address is."""

    country: StrictStr | None = Field(None, description="ISO 3166-1 alpha-2, in capitals.")
    asn: Annotated[StrictInt, Field(gt=0, lt=2**32)] | None = None


class ExchangeSpec(Spec):
    """One request, in the format of recorded traffic; `defaults` may give parts of it."""

    id: Name | None = None
    ts: Annotated[float, Field(ge=0, lt=100_000_000_000)] | None = Field(
        None, description="When it came, in Unix seconds; otherwise at says it."
    )
    after: Duration | None = Field(
        None, description="How long after the exchange before it it comes."
    )
    repeat: Annotated[StrictInt, Field(ge=1, le=10_000)] = Field(
        1, description="How many times it comes; what is expected is expected of the last."
    )
    client_ip: StrictStr | None = None
    headers: Any = Field(None, description="A mapping of fields, or a list of [name, value].")
    tls: TlsSpec | None = None
    key: StrictStr | None = Field(
        None, description="The id of a key of the accounts, in place of a credential in headers."
    )
    method: StrictStr = "POST"
    path: StrictStr | None = None
    body: Any = Field(None, description="The JSON request.")
    body_text: StrictStr | None = Field(None, description="Where the body is not JSON.")
    response: ResponseSpec | None = None
    expect: ExpectSpec | None = Field(None, description="What must come of this exchange.")


class WorldSpec(Spec):
    """What exchanges are looked up in."""

    accounts: list[AccountSpec] | None = Field(
        None, description="Who may call, as in the account directory."
    )
    places: dict[str, PlaceSpec] | None = Field(
        None, description="Where addresses and networks are."
    )
    anonymizers: dict[str, StrictStr] | None = Field(
        None, description="Kind of anonymizer by network or autonomous system (AS64500)."
    )


class DefaultsSpec(WorldSpec):
    """What cases begin from: what a case says is laid over it, key by key."""

    at: Instant | None = Field(None, description="The clock.")
    facts: FactsGiven | None = None
    exchange: ExchangeSpec | None = None


class CaseSpec(WorldSpec):
    """One case."""

    name: Name = Field(description="One sentence: what is so.")
    at: Instant | None = Field(None, description="The clock, which stands still.")
    facts: FactsGiven | None = Field(
        None, description="What is known of the exchange; null: not known."
    )
    for_each: FactsEach | None = Field(
        None, description="Values of facts: the case is run with each of them."
    )
    exchange: ExchangeSpec | None = Field(None, description="A whole request.")
    exchanges: list[ExchangeSpec] | None = Field(
        None, description="Requests one after the other; expect is about the last."
    )
    counters: dict[str, dict[str, Counted]] | None = Field(
        None, description="What quotas have counted before, by rule and unit; cost as money."
    )
    template_accounts: dict[str, Count] | None = Field(
        None, description="Accounts that shared the prompt's template, by window: {10m: 8}."
    )
    cluster: ClusterGiven | None = Field(
        None, description="What the detector knows of the account: {score: 0.9}."
    )
    ordinary: OrdinaryGiven | None = Field(
        None, description="What an ordinary account uses in a day: {requests: 80}."
    )
    store: Literal["unavailable"] | None = Field(
        None, description="unavailable: the store cannot answer."
    )
    disarmed: list[StrictStr] | None = Field(
        None, description="Rules that an operator, or a fuse, has lowered to shadow."
    )
    expect: ExpectSpec | None = None


class CaseFile(Spec):
    """One file of cases."""

    defaults: DefaultsSpec = Field(
        default_factory=DefaultsSpec, description="What each case begins from."
    )
    cases: list[CaseSpec] = Field(description="The cases, each with a name of its own.")
