"""The shape of a policy file, as operators write it."""

import re
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
)

DURATION = re.compile(r"([1-9][0-9]{0,8})(s|m|h|d|w)")
LONGEST_S = 400 * 86_400
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def duration_s(text: str) -> int:
    """Seconds of a duration such as 30s, 10m, 1h, 7d or 2w; ValueError says what is wrong."""
    found = DURATION.fullmatch(text)
    if not found:
        shown = text if len(text) <= 40 else text[:39] + "…"
        msg = (
            f'"{shown}" is not a duration (write a whole number and s, m, h, d or w: 30s, 10m, 1d)'
        )
        raise ValueError(msg)
    length_s = int(found[1]) * SECONDS[found[2]]
    if length_s > LONGEST_S:
        msg = f'"{text}" is too long: at most {LONGEST_S // SECONDS["d"]}d'
        raise ValueError(msg)
    return length_s


def _checked_duration(text: str) -> str:
    duration_s(text)
    return text


def _checked_id(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,62}", text):
        msg = f'"{text}" is not an id (lower-case letters, digits and hyphens, a letter first)'
        raise ValueError(msg)
    return text


def _checked_message(text: str) -> str:
    if len(text) > 500 or any(ord(c) < 32 for c in text):
        msg = "a message is one line of at most 500 characters"
        raise ValueError(msg)
    return text


Duration = Annotated[StrictStr, AfterValidator(_checked_duration)]
RuleId = Annotated[StrictStr, AfterValidator(_checked_id)]
Message = Annotated[StrictStr, AfterValidator(_checked_message)]
Positive = Annotated[StrictInt, Field(gt=0, le=10**15)]


def _checked_values(value: object) -> object:
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        msg = 'write a list of texts (["a", "b"]; numbers in quotes), or "$name" of one under lists'
        raise ValueError(msg)
    return value


# ["a", "b"], or "$name" of an entry under lists
ValuesOrList = Annotated[list[StrictStr] | StrictStr, BeforeValidator(_checked_values)]


class Spec(BaseModel):
    """Unknown keys are faults, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class MatchSpec(Spec):
    """Which exchanges a rule governs: all the named conditions must hold; none means every one."""

    models: ValuesOrList | None = Field(None, description="Models, with * and ? as wildcards.")
    surfaces: ValuesOrList | None = Field(None, description="Surfaces, such as chat.completions.")
    dialects: ValuesOrList | None = Field(None, description="openai or anthropic.")
    tiers: ValuesOrList | None = Field(None, description="Tiers of the account directory.")
    accounts: ValuesOrList | None = Field(None, description="Account ids.")
    organizations: ValuesOrList | None = Field(None, description="Organization ids.")
    labels: ValuesOrList | None = Field(None, description="Accounts with any of these labels.")
    ja4: ValuesOrList | None = Field(
        None, description="JA4 of the TLS client, with * and ? as wildcards; needs ja4_header."
    )


class RuleSpec(Spec):
    """What every rule has."""

    id: RuleId = Field(description="Unique name of the rule; counters and records carry it.")
    description: StrictStr = Field("", description="For the people who keep the file.")
    match: MatchSpec = Field(MatchSpec(), description="Which exchanges it governs.")
    mode: Literal["enforce", "shadow"] = Field(
        description="enforce acts; shadow only evaluates and records."
    )
    message: Message | None = Field(None, description="What a refused caller reads.")
    on_missing: Literal["apply", "abstain"] | None = Field(
        None, description="When a needed fact is unknown: act as if it matched, or do not act."
    )
    durability: Literal["before", "before_answer", "async"] | None = Field(
        None, description="When the record must be on disk."
    )


class LimitSpec(Spec):
    """Amounts for each window; several units are several limits."""

    requests: Positive | None = None
    tokens: Positive | None = Field(None, description="Input and output together.")
    input_tokens: Positive | None = None
    output_tokens: Positive | None = None


class QuotaSpec(RuleSpec):
    """A limit for each account, key or organization and window."""

    per: Literal["account", "key", "organization"] = "account"
    limit: LimitSpec
    window: Duration
    assume_output_tokens: Positive = Field(
        1024, description="Output reserved for a request that names no max_tokens."
    )


class GeographySpec(RuleSpec):
    """Where the governed exchanges may come from: one of the two lists."""

    deny_countries: ValuesOrList | None = Field(None, description="Refused from these countries.")
    allow_countries: ValuesOrList | None = Field(None, description="Refused from all others.")
    legal: bool = Field(default=False, description="A legal duty: recorded before anything leaves.")


class TemplateSpec(Spec):
    """How many accounts may share one prompt template before the rule speaks."""

    accounts: Annotated[StrictInt, Field(ge=2, le=10_000)]
    within: Duration


class FingerprintSpec(RuleSpec):
    """A rule over what an exchange has in common with those of other accounts."""

    template: TemplateSpec
    then: Literal["throttle", "deny"] = Field(
        "throttle", description="throttle looks like the account's own limit; deny gives away."
    )
    reveals: bool = Field(default=False, description="Accept that the refusal tells the caller.")


class PolicyFile(Spec):
    """One file under policies/."""

    lists: dict[str, list[StrictStr]] = Field(default_factory=dict)
    quotas: list[QuotaSpec] = Field(default_factory=list)
    geography: list[GeographySpec] = Field(default_factory=list)
    fingerprints: list[FingerprintSpec] = Field(default_factory=list)
