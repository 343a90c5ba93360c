"""Quotas and prices, as operators write them."""

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictInt,
    StrictStr,
    Tag,
    WithJsonSchema,
)

from proxy.policy.checked import form
from proxy.policy.schema_rule import RuleSpec
from proxy.policy.schema_texts import (
    DURATION,
    Instant,
    Positive,
    RuleId,
    Spec,
    ValuesOrList,
    duration_s,
    either,
)
from proxy.policy.windows import CALENDAR, LIFETIME

MILLIONTHS = 1_000_000
MOST_ORDINARY = 1000  # times what an ordinary account uses
WINDOWS = (*CALENDAR, LIFETIME)
DIMENSIONS = (
    *("account", "key", "organization", "model", "model_group", "surface", "tier"),
    *("country", "network", "cluster", "everybody"),
)
AMOUNT, LEARNED = form("amount"), form("learned")
ZONE = r"UTC|[A-Za-z_]+(/[A-Za-z0-9_+\-]+)+"


def _checked_amount(value: object) -> object:
    """An amount of money: at most six decimals, so that it is a whole number of millionths."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        msg = "write a number (25, or 0.15)"
        raise ValueError(msg)
    if not 0 <= value <= 10**9:
        msg = f"{value:g} is not between 0 and 1,000,000,000"
        raise ValueError(msg)
    if abs(value * MILLIONTHS - round(value * MILLIONTHS)) > 1e-3:
        msg = f"{value!r} has more than six decimals"
        raise ValueError(msg)
    return float(value)


def millionths(value: float) -> int:
    """An amount of money in millionths."""
    return round(value * MILLIONTHS)


def _above_zero(value: float) -> float:
    if value <= 0:
        msg = "must be above 0"
        raise ValueError(msg)
    return value


def _checked_window(value: object) -> object:
    if not isinstance(value, str):
        msg = f"{value} of what? (write {value}s, or m, h, d, w: a whole number and a unit)"
        raise ValueError(msg)
    if value in WINDOWS:
        return value
    try:
        duration_s(value)
    except ValueError as error:
        if DURATION.fullmatch(value):
            raise
        msg = f"{error}, or a window of the calendar: {', '.join(WINDOWS)}"
        raise ValueError(msg) from None
    return value


def _checked_dimensions(value: object) -> object:
    """One dimension, a list of them, or a condition's own key: {cel: …}."""
    if isinstance(value, dict | BySpec):
        return value
    names = value if isinstance(value, list) else [value]
    for name in names:
        if name not in DIMENSIONS:
            msg = (
                f'"{name}" is nothing that limits count by '
                f"(one or a list of: {', '.join(DIMENSIONS)}; or cel: an expression)"
            )
            raise ValueError(msg)
    if len(set(names)) < len(names) or not names:
        msg = "name each dimension once" if names else "name at least one dimension"
        raise ValueError(msg)
    if "everybody" in names and len(names) > 1:
        msg = "everybody stands alone: it is one count for all exchanges"
        raise ValueError(msg)
    return names


class BySpec(Spec):
    """Counted by the value of an expression."""

    cel: StrictStr = Field(description="An expression over static facts; its value is the subject.")


_DIMENSION = {"type": "string", "enum": list(DIMENSIONS)}
Dimensions = Annotated[
    list[StrictStr] | BySpec,
    BeforeValidator(_checked_dimensions),
    WithJsonSchema(
        {
            "anyOf": [
                _DIMENSION,
                {"type": "array", "items": _DIMENSION, "minItems": 1, "uniqueItems": True},
                {
                    "type": "object",
                    "properties": {
                        "cel": {
                            "type": "string",
                            "description": "An expression over static facts: its value is counted.",
                        }
                    },
                    "required": ["cel"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
WindowText = Annotated[
    StrictStr,
    BeforeValidator(_checked_window),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "enum": list(WINDOWS)},
                {"type": "string", "pattern": f"^{DURATION.pattern}$", "examples": ["1m", "1h"]},
            ]
        }
    ),
]


def _checked_zone(value: str) -> str:
    if not re.fullmatch(ZONE, value):
        msg = f'"{value}" is not the name of a time zone (write UTC, or Europe/Berlin)'
        raise ValueError(msg)
    return value


_MONEY = {"type": "number", "minimum": 0}
Money = Annotated[float, BeforeValidator(_checked_amount), WithJsonSchema(_MONEY)]
Budget = Annotated[
    float,
    BeforeValidator(_checked_amount),
    AfterValidator(_above_zero),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0}),
]
Zone = Annotated[StrictStr, AfterValidator(_checked_zone)]


def _checked_share(value: object) -> object:
    """A share: at most six decimals, so that what follows from it is exact."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        msg = "write a share (0.5: half of what an ordinary account uses in a day)"
        raise ValueError(msg)
    if not 0 < value <= MOST_ORDINARY:
        msg = f"{value:g} is not above 0 and up to {MOST_ORDINARY}"
        raise ValueError(msg)
    if abs(value * MILLIONTHS - round(value * MILLIONTHS)) > 1e-3:
        msg = f"{value!r} has more than six decimals"
        raise ValueError(msg)
    return float(value)


class LearnedSpec(Spec):
    """A limit that is learned: so many times what one ordinary account uses in a day."""

    ordinary: Annotated[
        float,
        BeforeValidator(_checked_share),
        WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": MOST_ORDINARY}),
    ] = Field(
        description="Share of what one ordinary account (99th percentile) uses in a day: 0.5."
    )
    until_known: Positive = Field(
        description="The limit while too little is known of ordinary accounts."
    )


def _form(value: object) -> str:
    return LEARNED if isinstance(value, dict | LearnedSpec) else AMOUNT


# An amount, or {ordinary: 0.5, until_known: 200}
Amount = Annotated[
    Annotated[Positive, Tag(AMOUNT)] | Annotated[LearnedSpec, Tag(LEARNED)], Discriminator(_form)
]


class LimitSpec(Spec):
    """Amounts for each window; several units are several limits."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    requests: Amount | None = Field(
        None, description="Requests, whatever they use; of a batch each line."
    )
    tokens: Amount | None = Field(None, description="Input and output together.")
    input_tokens: Positive | None = Field(None, description="Tokens of prompts.")
    output_tokens: Positive | None = Field(None, description="Tokens of answers.")
    cached_tokens: Positive | None = Field(None, description="Input that came from a cache.")
    reasoning_tokens: Positive | None = Field(None, description="Output that is reasoning.")
    cost: Budget | None = Field(None, description="Money, in the currency of the prices.")
    bytes: Positive | None = Field(None, description="Bytes of requests and answers.")
    concurrent: Positive | None = Field(
        None, description="Exchanges under way at the same time; needs no window."
    )


class QuotaSpec(RuleSpec):
    """A limit for each account, or whatever else it counts by, and window."""

    model_config = ConfigDict(json_schema_extra=either("limit", "like"))

    per: Dimensions = Field(
        default_factory=lambda: ["account"],
        description="Whom the limit counts: one dimension, a list of them, or cel: an expression.",
    )
    limit: LimitSpec | None = Field(None, description="How much in each window.")
    like: RuleId | None = Field(
        None, description="The limits and the window of another quota, instead of own ones."
    )
    window: WindowText | None = Field(
        None,
        description="A length of time (1m, 1h), one of the calendar (day, month), or lifetime.",
    )
    algorithm: Literal["fixed", "rolling", "gcra"] | None = Field(
        None,
        description="fixed: windows aligned to the Unix epoch; rolling: never more in any span of "
        "the window's length; gcra: a bucket that refills steadily.",
    )
    burst: Positive | None = Field(
        None, description="With gcra: how much may be used at once; default: the limit."
    )
    time_zone: Zone | None = Field(None, description="Of a window of the calendar; default UTC.")
    billing_day: Annotated[StrictInt, Field(ge=1, le=31)] | None = Field(
        None, description="On which day of the month a month begins; default 1."
    )
    clamp: Positive | None = Field(
        None,
        description="Where less is left than max_tokens asks for, answer with what is left, if it "
        "is at least so many output tokens.",
    )
    hard: bool = Field(
        default=False, description="A stream that would pass the limit is ended there."
    )
    assume_output_tokens: Positive | None = Field(
        None,
        description="Output reserved for a request that names no max_tokens; default: what 95 % "
        "of the model's answers stayed below, or 1024 while nothing is known.",
    )


class PriceSpec(Spec):
    """What models cost, in one currency of your choice; tokens by the million."""

    models: ValuesOrList = Field(description="Models, with * and ? as wildcards; first match wins.")
    not_before: Instant | None = Field(None, description="The prices hold from then on.")
    until: Instant | None = Field(None, description="The prices end to hold then.")
    input: Money = Field(description="A million tokens of input.")
    output: Money = Field(0.0, description="A million tokens of output.")
    cached: Money | None = Field(None, description="Of input from a cache; default: as input.")
    cache_written: Money | None = Field(
        None, description="Of input written to a cache; default: as input."
    )
    reasoning: Money | None = Field(None, description="Of reasoning; default: as output.")
    request: Money = Field(0.0, description="Each request.")
    image: Money = Field(0.0, description="Each image of an answer.")
    second: Money = Field(0.0, description="Each second of audio.")

    def priced(self) -> dict[str, Any]:
        """The prices in millionths, by the names that `proxy.model.price.Price` has."""
        given = {
            "input": self.input,
            "output": self.output,
            "cached": self.input if self.cached is None else self.cached,
            "cache_written": self.input if self.cache_written is None else self.cache_written,
            "reasoning": self.output if self.reasoning is None else self.reasoning,
            "request": self.request,
            "image": self.image,
            "second": self.second,
        }
        return {name: millionths(value) for name, value in given.items()}
