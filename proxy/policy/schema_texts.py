"""The texts, numbers and lists that policy files are made of."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)

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


def as_text(pattern: str, **more: Any) -> WithJsonSchema:
    """What editors are told of a text."""
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", **more})


Duration = Annotated[
    StrictStr,
    BeforeValidator(_has_unit),
    AfterValidator(_checked_duration),
    as_text(DURATION.pattern, examples=["1m", "1h", "1d"]),
]
Instant = Annotated[
    StrictStr,
    AfterValidator(_checked_instant),
    as_text(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].+)?", examples=["2026-12-01", "2026-12-01T12:00:00Z"]
    ),
]
ListName = Annotated[StrictStr, AfterValidator(_checked_list_name), as_text(LIST_NAME)]
RuleId = Annotated[StrictStr, AfterValidator(_checked_id), as_text(RULE_ID)]
Message = Annotated[StrictStr, AfterValidator(_checked_message), as_text(r"[^\n]*", maxLength=500)]
Positive = Annotated[StrictInt, Field(gt=0, le=10**15)]


def _checked_values(value: object) -> object:
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        msg = 'write a list of texts (["a", "b"]; numbers in quotes), or "$name" of one under lists'
        raise ValueError(msg)
    return value


# ["a", "b"], or "$name" of an entry under lists
_TEXTS = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}
SOME_TEXTS = WithJsonSchema(_TEXTS)
_LIST = {"type": "string", "pattern": f"^\\${LIST_NAME}$", "description": "A list, by its name."}
ValuesOrList = Annotated[
    list[StrictStr] | StrictStr,
    BeforeValidator(_checked_values),
    WithJsonSchema({"anyOf": [_TEXTS, _LIST]}),
]


def either(*keys: str) -> dict[str, Any]:
    """Says in the JSON Schema that one of the keys, or several, must be there."""
    return {"anyOf": [{"required": [key]} for key in keys]}


class Spec(BaseModel):
    """Unknown keys are faults, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
