"""Usage objects of both dialects in one vocabulary.

OpenAI counts cached tokens inside its prompt tokens; Anthropic counts them beside its input
tokens. Counts come from the upstream and are believed only where they are plausible: a usage whose
main counts are not is no usage.

Fields: https://platform.openai.com/docs/api-reference/chat/object, …/responses/object,
…/images/object, …/audio/json-object and https://docs.anthropic.com/en/api/messages.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from proxy.model.exchange import Dialect
from proxy.model.usage import Usage

_MOST_TOKENS = 1_000_000_000
_MOST_SECONDS = 10_000_000
_RAW_ELEMENTS: msgspec.json.Decoder[list[Raw]] = msgspec.json.Decoder(list[Raw])
_ANTHROPIC_COUNTS = (
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
)


def normalized(dialect: Dialect, usage: object) -> Usage | None:
    """The usage object of an answer, or None where it has none that can be believed."""
    if not isinstance(usage, dict):
        return None
    if dialect is Dialect.ANTHROPIC:
        return _anthropic(usage)
    if usage.get("type") == "duration":
        return heard(usage.get("seconds"))
    if "prompt_tokens" in usage:
        return _openai(usage, "prompt", "completion")
    return _openai(usage, "input", "output")


def merged(sofar: dict[str, object], update: object) -> dict[str, object]:
    """Anthropic's usage so far with a later report, whose counts are cumulative."""
    if not isinstance(update, dict):
        return sofar
    known = {name: update[name] for name in _ANTHROPIC_COUNTS if _count(update.get(name)) >= 0}
    details = update.get("output_tokens_details")
    return sofar | known | ({"output_tokens_details": details} if details else {})


def heard(seconds: object) -> Usage | None:
    """The usage of a recording of so many seconds: a number, or a text as older servers write."""
    try:
        found = float(seconds) if isinstance(seconds, int | float | str) else -1.0
    except (ValueError, OverflowError):
        return None
    plausible = 0 <= found <= _MOST_SECONDS and not isinstance(seconds, bool)
    return Usage(seconds=found) if plausible else None


def with_images(usage: Usage | None, data: Raw) -> Usage | None:
    """The usage of an answer with the images that it holds, an array in JSON."""
    try:
        images = len(_RAW_ELEMENTS.decode(data))
    except (ValueError, RecursionError):
        return usage
    return (usage or Usage()) + Usage(images=images) if images else usage


def _openai(usage: Mapping[str, object], inward: str, outward: str) -> Usage | None:
    input_tokens = _count(usage.get(f"{inward}_tokens"))
    output_tokens = _count(usage.get(f"{outward}_tokens", 0))
    if input_tokens < 0 or output_tokens < 0:
        return None
    details = usage.get(f"{inward}_tokens_details")
    return Usage(
        input_tokens=input_tokens,
        cached_tokens=_part(details, "cached_tokens", input_tokens),
        cache_written_tokens=_part(details, "cache_write_tokens", input_tokens),
        output_tokens=output_tokens,
        reasoning_tokens=_part(
            usage.get(f"{outward}_tokens_details"), "reasoning_tokens", output_tokens
        ),
    )


def _anthropic(usage: Mapping[str, object]) -> Usage | None:
    fresh, output_tokens = _count(usage.get("input_tokens")), _count(usage.get("output_tokens", 0))
    if fresh < 0 or output_tokens < 0:
        return None
    written = _part(usage, "cache_creation_input_tokens", _MOST_TOKENS)
    cached = _part(usage, "cache_read_input_tokens", _MOST_TOKENS)
    return Usage(
        input_tokens=fresh + written + cached,
        cached_tokens=cached,
        cache_written_tokens=written,
        output_tokens=output_tokens,
        reasoning_tokens=_part(
            usage.get("output_tokens_details"), "thinking_tokens", output_tokens
        ),
    )


def _part(details: object, name: str, whole: int) -> int:
    """A count that is a part of `whole`; 0 where it is missing or cannot be."""
    if not isinstance(details, dict):
        return 0
    return min(max(0, _count(details.get(name))), whole)


def _count(value: object) -> int:
    """A number of tokens, or -1 for anything that is none."""
    plausible = type(value) is int and 0 <= value <= _MOST_TOKENS
    return value if plausible and isinstance(value, int) else -1
