"""What every rule of a policy file has, as operators write it: its match, mode and dates."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, StrictInt, StrictStr
from pydantic_core import CoreSchema

from proxy.policy.schema_texts import (
    LEAST_ROLLOUT,
    Duration,
    Instant,
    Message,
    RuleId,
    Spec,
    ValuesOrList,
)


class MatchSpec(Spec):
    """Which exchanges a rule governs: all the named conditions must hold; none means every one."""

    models: ValuesOrList | None = Field(None, description="Models, with * and ? as wildcards.")
    surfaces: ValuesOrList | None = Field(None, description="Surfaces, such as chat.completions.")
    dialects: ValuesOrList | None = Field(None, description="openai or anthropic.")
    tiers: ValuesOrList | None = Field(None, description="Tiers of the account directory.")
    accounts: ValuesOrList | None = Field(None, description="Account ids.")
    keys: ValuesOrList | None = Field(None, description="Ids of keys.")
    organizations: ValuesOrList | None = Field(None, description="Organization ids.")
    labels: ValuesOrList | None = Field(None, description="Accounts with any of these labels.")
    countries: ValuesOrList | None = Field(
        None, description="Countries of the client's address, ISO 3166-1 alpha-2."
    )
    networks: ValuesOrList | None = Field(
        None, description="Networks of the client's address: 10.0.0.0/8, 2001:db8::/32."
    )
    asns: list[Annotated[StrictInt, Field(ge=0, le=2**32 - 1)]] | None = Field(
        None, description="Autonomous systems of the client's address, as numbers."
    )
    anonymizers: ValuesOrList | None = Field(
        None, description="Kinds of anonymizer: vpn, tor, hosting, proxy, residential_proxy, none."
    )
    ja4: ValuesOrList | None = Field(
        None, description="JA4 of the TLS client, with * and ? as wildcards; needs ja4_header."
    )
    cel: StrictStr | None = Field(
        None, description="A condition in CEL over the facts of docs/facts.md; it must hold too."
    )


def _spelled_out(value: object) -> object:
    """A match that is a text is a condition in CEL."""
    if not isinstance(value, (str, dict, MatchSpec)):
        msg = (
            'write a condition (account.tier == "free"), or a mapping of them (tiers: [free]), '
            "or remove match"
        )
        raise ValueError(msg)
    return {"cel": value} if isinstance(value, str) else value


def _oras_text(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a match: the mapping, or a text."""
    return {"anyOf": [{"type": "string", "description": "A condition in CEL."}, schema]}


class _TextToo:
    """Says in the JSON Schema what `_spelled_out` accepts."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return _oras_text(handler(core))


MatchOrText = Annotated[MatchSpec, BeforeValidator(_spelled_out), _TextToo]


class FuseSpec(Spec):
    """A rule that refuses more accounts than this falls to shadow until somebody arms it again."""

    accounts: Annotated[StrictInt, Field(ge=1, le=100_000)] = Field(
        description="Distinct accounts that may be refused."
    )
    within: Duration = Field(description="The window in which they are counted.")


class RuleSpec(Spec):
    """What every rule has."""

    id: RuleId = Field(description="Unique name of the rule; counters and records carry it.")
    description: StrictStr = Field("", description="For the people who keep the file.")
    match: MatchOrText = Field(
        MatchSpec(), description="Which exchanges it governs: a mapping, or a condition in CEL."
    )
    mode: Literal["enforce", "warn", "shadow"] = Field(
        description="enforce acts; warn tells the caller and lets through; shadow only records."
    )
    rollout: Annotated[float, Field(ge=LEAST_ROLLOUT, le=100)] | None = Field(
        None, description="Percent of accounts for which it acts; for the others it is in shadow."
    )
    not_before: Instant | None = Field(None, description="The rule begins to work then.")
    expires: Instant | None = Field(None, description="The rule ends to work then.")
    message: Message | None = Field(None, description="What a refused or warned caller reads.")
    reason: Message | None = Field(None, description="What the record says besides.")
    on_missing: Literal["apply", "abstain"] | None = Field(
        None, description="When a needed fact is unknown: act as if it matched, or do not act."
    )
    on_error: Literal["apply", "abstain"] | None = Field(
        None, description="When the condition cannot be evaluated; default: as on_missing."
    )
    on_unavailable: Literal["deny", "allow", "local"] | None = Field(
        None,
        description="When the store cannot answer, for rules that need its counts: deny, allow, or "
        "local: this replica counts its share of the limit.",
    )
    durability: Literal["before", "before_answer", "async"] | None = Field(
        None, description="When the record must be on disk."
    )
    severity: Literal["informational", "low", "medium", "high", "critical"] | None = Field(
        None, description="How much it matters when it refuses; default: informational."
    )
    labels: list[StrictStr] = Field(
        default_factory=list, description="Words of your own, such as a control's number."
    )
    fuse: FuseSpec | None = Field(None, description="How many accounts it may refuse at once.")
    reveals: bool = Field(
        default=False,
        description="Accept that the rule tells the caller that he was recognized.",
    )
