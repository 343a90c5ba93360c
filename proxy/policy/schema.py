"""The shape of a policy file, as operators write it."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StrictInt, StrictStr

from proxy.policy.schema_quota import PriceSpec, QuotaSpec
from proxy.policy.schema_rule import MatchOrText, MatchSpec, RuleSpec
from proxy.policy.schema_texts import (
    SOME_TEXTS,
    Duration,
    Instant,
    ListName,
    Message,
    Positive,
    RuleId,
    Spec,
    ValuesOrList,
    either,
)


class GeographySpec(RuleSpec):
    """Where the governed exchanges may come from: one of the two lists."""

    model_config = ConfigDict(json_schema_extra=either("deny_countries", "allow_countries"))

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

    model_config = ConfigDict(json_schema_extra=either("then", "modify"))

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

    model_config = ConfigDict(json_schema_extra=either("accounts", "match"))

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

    lists: dict[ListName, Annotated[list[StrictStr], SOME_TEXTS]] = Field(
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
        default_factory=list, description="Limits for each account, or whatever they count by."
    )
    model_groups: dict[ListName, ValuesOrList] = Field(
        default_factory=dict,
        description="Models by the name of a group (* and ?): request.model_group, and per.",
    )
    prices: list[PriceSpec] = Field(
        default_factory=list, description="What models cost, for limits of cost."
    )
