"""The shape of a policy file, as operators write it."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)
from pydantic_core import CoreSchema

DURATION = re.compile(r"([1-9][0-9]{0,8})(s|m|h|d|w)")
LIST_NAME = "[a-z][a-z0-9_]{0,62}"
RULE_ID = "[a-z][a-z0-9-]{0,62}"
LONGEST_S = 400 * 86_400
LEAST_ROLLOUT = 0.001  # percent: one account of 100,000; less would mean nobody
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
FIRST_S, LAST_S = 0, 253_402_300_799  # 1970-01-01 to 9999-12-31T23:59:59Z


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


def instant_ns(text: str) -> int:
    """Unix nanoseconds of a day (its beginning, UTC) or of an RFC 3339 instant; ValueError."""
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            at = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        else:
            at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            msg = f'"{text}" has no time zone: add Z, or write the day alone'
            raise _PlainError(msg)
    except _PlainError:
        raise
    except ValueError:
        shown = text if len(text) <= 40 else text[:39] + "…"
        msg = f'"{shown}" is not a date (write 2026-12-01, or 2026-12-01T12:00:00Z)'
        raise ValueError(msg) from None
    at_s = round(at.timestamp())
    if not FIRST_S <= at_s <= LAST_S:
        msg = f'"{text}" is not between 1970 and 9999 (UTC)'
        raise ValueError(msg)
    return at_s * 1_000_000_000


class _PlainError(ValueError):
    """A fault that is already in its final words."""


def _checked_instant(text: str) -> str:
    instant_ns(text)
    return text


def _checked_list_name(text: str) -> str:
    if not re.fullmatch(LIST_NAME, text):
        msg = (
            f'"{text}" is not a name for a list (lower-case letters, digits and underscores, '
            "a letter first: conditions read it as lists.name)"
        )
        raise ValueError(msg)
    return text


def _checked_duration(text: str) -> str:
    duration_s(text)
    return text


def _checked_id(text: str) -> str:
    if not re.fullmatch(RULE_ID, text):
        msg = f'"{text}" is not an id (lower-case letters, digits and hyphens, a letter first)'
        raise ValueError(msg)
    return text


def _checked_message(text: str) -> str:
    if len(text) > 500 or any(ord(c) < 32 for c in text):
        msg = "a message is one line of at most 500 characters"
        raise ValueError(msg)
    return text


def _has_unit(value: object) -> object:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        msg = f"{value} of what? (write {value}s, or m, h, d, w: a whole number and a unit)"
        raise ValueError(msg)
    return value


def _text(pattern: str, **more: Any) -> WithJsonSchema:
    """What editors are told of a text."""
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", **more})


Duration = Annotated[
    StrictStr,
    BeforeValidator(_has_unit),
    AfterValidator(_checked_duration),
    _text(DURATION.pattern, examples=["1m", "1h", "1d"]),
]
Instant = Annotated[
    StrictStr,
    AfterValidator(_checked_instant),
    _text(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].+)?", examples=["2026-12-01", "2026-12-01T12:00:00Z"]),
]
ListName = Annotated[StrictStr, AfterValidator(_checked_list_name), _text(LIST_NAME)]
RuleId = Annotated[StrictStr, AfterValidator(_checked_id), _text(RULE_ID)]
Message = Annotated[StrictStr, AfterValidator(_checked_message), _text(r"[^\n]*", maxLength=500)]
Positive = Annotated[StrictInt, Field(gt=0, le=10**15)]


def _checked_values(value: object) -> object:
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        msg = 'write a list of texts (["a", "b"]; numbers in quotes), or "$name" of one under lists'
        raise ValueError(msg)
    return value


# ["a", "b"], or "$name" of an entry under lists
_TEXTS = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}
_SOME_TEXTS = WithJsonSchema(_TEXTS)
_LIST = {"type": "string", "pattern": f"^\\${LIST_NAME}$", "description": "A list, by its name."}
ValuesOrList = Annotated[
    list[StrictStr] | StrictStr,
    BeforeValidator(_checked_values),
    WithJsonSchema({"anyOf": [_TEXTS, _LIST]}),
]


def _either(*keys: str) -> dict[str, Any]:
    """Says in the JSON Schema that one of the keys, or several, must be there."""
    return {"anyOf": [{"required": [key]} for key in keys]}


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


def _or_text(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a match: the mapping, or a text."""
    return {"anyOf": [{"type": "string", "description": "A condition in CEL."}, schema]}


class _TextToo:
    """Says in the JSON Schema what `_spelled_out` accepts."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return _or_text(handler(core))


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
    on_unavailable: Literal["deny", "allow"] | None = Field(
        None, description="When the store cannot answer; for rules that need its counts."
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


class LimitSpec(Spec):
    """Amounts for each window; several units are several limits."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    requests: Positive | None = Field(None, description="Requests, whatever they use.")
    tokens: Positive | None = Field(None, description="Input and output together.")
    input_tokens: Positive | None = Field(None, description="Tokens of prompts.")
    output_tokens: Positive | None = Field(None, description="Tokens of answers.")


class QuotaSpec(RuleSpec):
    """A limit for each account, key or organization and window."""

    per: Literal["account", "key", "organization"] = Field(
        "account", description="Whom the limit counts."
    )
    limit: LimitSpec = Field(description="How much in each window.")
    window: Duration = Field(
        description="A fixed length of time, aligned to the Unix epoch: 1m begins at :00."
    )
    assume_output_tokens: Positive = Field(
        1024, description="Output reserved for a request that names no max_tokens."
    )


class GeographySpec(RuleSpec):
    """Where the governed exchanges may come from: one of the two lists."""

    model_config = ConfigDict(json_schema_extra=_either("deny_countries", "allow_countries"))

    deny_countries: ValuesOrList | None = Field(None, description="Refused from these countries.")
    allow_countries: ValuesOrList | None = Field(None, description="Refused from all others.")
    legal: bool = Field(default=False, description="A legal duty: recorded before anything leaves.")


class ModifySpec(Spec):
    """Changes to exchanges that are let through."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    strip: list[Literal["logprobs", "reasoning"]] = Field(
        default_factory=list, description="What the answer must not carry."
    )
    reroute: Annotated[StrictStr, Field(min_length=1, max_length=200)] | None = Field(
        None, description="The model that is asked instead."
    )
    max_tokens: Positive | None = Field(
        None, description="Bound on the request's own max_tokens, put in where it names none."
    )
    cut_after: Positive | None = Field(
        None, description="Output tokens (as estimated on the way) after which a stream is ended."
    )


class ActionSpec(RuleSpec):
    """What a rule does with the exchanges it is about."""

    then: Literal["deny", "throttle", "step_up", "delay"] | None = Field(
        None,
        description="deny: 403; throttle: 429; step_up: 403 until the caller has verified himself; "
        "delay: forwarded after `delay`.",
    )
    delay: Duration | None = Field(None, description="How long, with then: delay; at most 60s.")
    modify: ModifySpec | None = Field(None, description="Changes to what is let through.")


class AccessSpec(ActionSpec):
    """Who may do what: refuse, delay or change the exchanges that match."""

    model_config = ConfigDict(json_schema_extra=_either("then", "modify"))

    retry_after: Duration | None = Field(
        None, description="What a throttled caller is told to wait; default 60s."
    )
    legal: bool = Field(default=False, description="A legal duty: recorded before anything leaves.")


class TemplateSpec(Spec):
    """How many accounts may share one prompt template before the rule speaks."""

    accounts: Annotated[StrictInt, Field(ge=2, le=10_000)] = Field(
        description="The rule speaks from so many accounts on."
    )
    within: Duration = Field(description="The window in which they are counted.")


class FingerprintSpec(ActionSpec):
    """A rule over what an exchange has in common with those of other accounts.

    Without `then` and `modify` it throttles, which looks like the account's own limit.
    """

    template: TemplateSpec = Field(description="From how many accounts with one template on.")


class ExceptionSpec(Spec):
    """For whom rules do not act: they are lowered to shadow, and the record says so."""

    model_config = ConfigDict(json_schema_extra=_either("accounts", "match"))

    id: RuleId = Field(description="Unique name; records carry it.")
    description: StrictStr = Field("", description="For the people who keep the file.")
    rules: list[RuleId] = Field(description="Ids of the rules that do not act.")
    accounts: ValuesOrList | None = Field(None, description="Account ids.")
    match: MatchOrText = Field(MatchSpec(), description="Or a match, as rules have it.")
    granted_by: Annotated[StrictStr, Field(min_length=1, max_length=200)] = Field(
        description="Who granted it."
    )
    reason: Message = Field(description="Why.")
    until: Instant = Field(description="It ends to work then; reported from two weeks before.")


class PolicyFile(Spec):
    """One file under policies/."""

    lists: dict[ListName, Annotated[list[StrictStr], _SOME_TEXTS]] = Field(
        default_factory=dict, description="Texts by name: $name in tables, lists.name in CEL."
    )
    exceptions: list[ExceptionSpec] = Field(
        default_factory=list, description="For whom rules do not act, and until when."
    )
    geography: list[GeographySpec] = Field(
        default_factory=list, description="Where exchanges may come from."
    )
    access: list[AccessSpec] = Field(
        default_factory=list, description="Who may do what: refuse, delay or change exchanges."
    )
    fingerprints: list[FingerprintSpec] = Field(
        default_factory=list, description="What exchanges have in common with other accounts'."
    )
    quotas: list[QuotaSpec] = Field(
        default_factory=list, description="Limits for each account, key or organization."
    )
