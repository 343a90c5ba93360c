"""What a case may expect, as operators write it."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StrictStr

from proxy.policy.schema_texts import Spec

_MODIFIER = re.compile(r"strip:(logprobs|reasoning)|reroute:.+|(clamp|cut):[1-9][0-9]*")
VerdictWord = Literal["allow", "delay", "step_up", "throttle", "deny"]
Verdicts = dict[str, VerdictWord]


def _checked_modifier(word: str) -> str:
    if not _MODIFIER.fullmatch(word):
        msg = (
            f'"{word[:40]}" is not a modifier (strip:logprobs, strip:reasoning, reroute:MODEL, '
            "clamp:TOKENS, cut:TOKENS)"
        )
        raise ValueError(msg)
    return word


Modifier = Annotated[StrictStr, AfterValidator(_checked_modifier)]


class ExpectSpec(Spec):
    """What must come of it: all that is named. Texts may have * and ? as wildcards."""

    verdict: VerdictWord | None = Field(None, description="What is done in the end.")
    status: Annotated[StrictInt, Field(ge=100, le=599)] | None = Field(
        None, description="Status that the caller gets."
    )
    rules: Verdicts | None = Field(
        None, description="Rules that speak in enforce mode, and what each says; there may be more."
    )
    only_rules: Verdicts | None = Field(
        None, description="As rules, and no other rule acts in enforce mode."
    )
    no_rules: list[StrictStr] | None = Field(
        None, description="Rules that do not act, in whatever mode; they may abstain."
    )
    counted: list[StrictStr] | None = Field(
        None, description="All quotas that the exchange counts against, in whatever mode."
    )
    warned: Verdicts | None = Field(
        None, description="Rules that speak in warn mode, and what each would have done."
    )
    shadow: Verdicts | None = Field(
        None, description="Rules that speak in shadow, and what each would have done."
    )
    lowered: dict[str, StrictStr] | None = Field(
        None,
        description="Rules that are lowered to shadow, and by what: exception (or the id of one), "
        "rollout, disarmed.",
    )
    reasons: dict[str, StrictStr] | None = Field(
        None, description="Why rules speak as they do, as the record says it."
    )
    message: StrictStr | None = Field(None, description="What a refused caller reads.")
    headers: dict[str, Any] | None = Field(
        None, description="Header fields of the answer that are Gauger's; null: not there."
    )
    body: dict[str, Any] | None = Field(
        None, description="Part of the body of a refusal; null: not there."
    )
    sent: dict[str, Any] | None = Field(
        None, description="Part of the body that the model API is asked with; null: not there."
    )
    delay_s: Annotated[float, Field(ge=0)] | None = Field(
        None, description="How long the request is held back, in seconds."
    )
    modifiers: list[Modifier] | None = Field(
        None, description="All changes to what is let through: clamp:30, strip:logprobs …"
    )
    warnings: list[StrictStr] | None = Field(
        None, description="All that the caller is warned of, in order."
    )
    by_cluster: StrictBool | None = Field(
        None, description="Whether the verdict, or a modifier, rests on recognizing the caller."
    )
    durability: Literal["before", "before_answer", "async"] | None = Field(
        None, description="When the record must be on disk."
    )
    record: dict[str, Any] | None = Field(
        None, description="Part of the audit entry of the decision; null: not there."
    )
