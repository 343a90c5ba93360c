"""A bound put on the output that a request asks for, in the field of its own surface.

A request stays valid: Anthropic wants the budget of thinking below `max_tokens` and no smaller
than 1,024, OpenAI at least 16 tokens of a response. What asks for less than the bound stays.

Fields: https://platform.openai.com/docs/api-reference (chat/create, completions/create,
responses/create) and https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking.
"""

from collections.abc import Callable

import msgspec
from msgspec import Struct

from proxy.wire.jsontext import mend_surrogates
from proxy.wire.rewrite import in_each, in_member, in_object
from proxy.wire.splice import set_member

LEAST_RESPONSE_TOKENS = 16  # what the responses surface takes for max_output_tokens
DEFAULT_COMPLETION_TOKENS = 16  # what bounds a completion that says nothing
LEAST_THINKING_TOKENS = 1024


class _Limits(Struct):
    """The members of any surface that bound its output."""

    max_tokens: object = None
    max_completion_tokens: object = None
    max_output_tokens: object = None
    budget_tokens: object = None  # of `thinking`


_LIMITS: msgspec.json.Decoder[_Limits] = msgspec.json.Decoder(_Limits)


def clamped(name: str, body: bytes, bound: int) -> bytes:
    """The body of a request of the surface `name`, asking for no more than `bound` tokens.

    Surfaces without such a field stay as they are. Raises RepeatedNameError.
    """
    clamp = _CLAMPS.get(name)
    return body if clamp is None else clamp(body, bound)


def _clamp_chat(body: bytes, bound: int) -> bytes:
    """`max_tokens` is deprecated, and newer models refuse it: it stays where it is used."""
    absent = bound if _limit(body, "max_tokens") is None else None
    body = _lowered(body, "max_tokens", bound)
    return _lowered(body, "max_completion_tokens", bound, absent=absent)


def _clamp_completion(body: bytes, bound: int) -> bytes:
    """A clamp never gives more than the API itself would."""
    return _lowered(body, "max_tokens", bound, absent=min(bound, DEFAULT_COMPLETION_TOKENS))


def _clamp_response(body: bytes, bound: int) -> bytes:
    bound = max(bound, LEAST_RESPONSE_TOKENS)
    return _lowered(body, "max_output_tokens", bound, absent=bound)


def _clamp_message(body: bytes, bound: int) -> bytes:
    """Models to fall back to may have bounds of their own."""
    lower = in_each(in_object(lambda entry: _lowered(entry, "max_tokens", bound)))
    body = in_member(body, "fallbacks", lower)
    asked = _limit(body, "max_tokens")
    if asked is not None and asked <= bound:
        return body
    body = set_member(body, "max_tokens", b"%d" % bound)
    return in_member(body, "thinking", lambda thinking: _budget(thinking, asked, bound))


def _budget(thinking: bytes, asked: int | None, bound: int) -> bytes | None:
    """`thinking` with its share of the smaller bound; None where no budget would be valid."""
    budget = _limit(thinking, "budget_tokens") if thinking.startswith(b"{") else None
    if budget is None:
        return thinking  # adaptive or disabled
    if bound <= LEAST_THINKING_TOKENS:
        return None
    share = budget * bound // asked if asked else min(budget, bound // 2)
    return set_member(thinking, "budget_tokens", b"%d" % max(LEAST_THINKING_TOKENS, share))


def _limit(text: bytes, field: str) -> int | None:
    """A bound that an object gives; what is no number is left to the model API to refuse."""
    value = getattr(_LIMITS.decode(mend_surrogates(text)), field)
    return value if type(value) is int else None


def _lowered(body: bytes, field: str, bound: int, *, absent: int | None = None) -> bytes:
    """The field at no more than `bound`; where it is absent, at `absent` if that is given."""
    present = _limit(body, field)
    if present is None:
        return body if absent is None else set_member(body, field, b"%d" % absent)
    return set_member(body, field, b"%d" % bound) if present > bound else body


_CLAMPS: dict[str, Callable[[bytes, int], bytes]] = {
    "chat.completions": _clamp_chat,
    "completions": _clamp_completion,
    "responses": _clamp_response,
    "messages": _clamp_message,
}
