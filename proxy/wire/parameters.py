"""What tells callers apart in how they ask: parameters of the answer, and the end user they name.

Values are compared, never interpreted: 1 and 1.0 are two, as two programs wrote them.
"""

import re

import msgspec
from msgspec import Raw

from proxy.wire.bodies import NO_RAW, Body, Chat, Messages, Responses

MAX_VALUE_BYTES = 64
MAX_END_USER_CHARS = 256

_SHARED = ("stream", "n", "temperature", "top_p", "tool_choice", "service_tier")
_NAMES: dict[type[Body], tuple[str, ...]] = {
    Chat: (
        *_SHARED, "max_tokens", "max_completion_tokens", "response_format", "presence_penalty",
        "frequency_penalty", "stop", "logprobs", "top_logprobs", "reasoning_effort",
        "parallel_tool_calls",
    ),
    Responses: (
        *_SHARED, "max_output_tokens", "background", "text", "reasoning", "include",
        "parallel_tool_calls", "top_logprobs",
    ),
    Messages: (*_SHARED, "max_tokens", "top_k", "thinking", "stop_sequences"),
}  # fmt: skip
# A session's own id, which some clients write behind the user's.
_SESSION = re.compile(r"""[_"']*session(?:_id)?["':_\s]+[\w-]+["']?""", re.IGNORECASE)


class _Metadata(msgspec.Struct):
    user_id: object = None


_METADATA: msgspec.json.Decoder[_Metadata] = msgspec.json.Decoder(_Metadata)
_TEXT: msgspec.json.Decoder[str] = msgspec.json.Decoder(str)


def parameters(body: Body) -> str:
    """The parameters that a body names, as "name=value;…" in a fixed order; long values cut."""
    found = []
    for name in _NAMES.get(type(body), _SHARED):
        value = getattr(body, name)
        if value is None or value is NO_RAW:
            continue
        if isinstance(value, Raw):
            value = bytes(memoryview(value)[:MAX_VALUE_BYTES]).decode("utf-8", "replace")
        found.append(f"{name}={value}")
    return ";".join(found)


def end_user(body: Body) -> str | None:
    """For whom the caller says that it asks: `user`, `safety_identifier`, `metadata.user_id`.

    Without the id of a session in it. None where it is missing, empty, or no text.
    """
    value: object = None
    try:
        if body.user is not NO_RAW:
            value = _TEXT.decode(body.user)
        elif body.safety_identifier is not NO_RAW:
            value = _TEXT.decode(body.safety_identifier)
        elif body.metadata is not NO_RAW:
            value = _METADATA.decode(body.metadata).user_id
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, str):
        return None
    return _SESSION.sub("", value[:MAX_END_USER_CHARS]).strip() or None
