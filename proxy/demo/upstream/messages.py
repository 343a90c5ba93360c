"""Anthropic messages: JSON, streams, token counts.

Shapes: https://docs.anthropic.com/en/api/messages and /messages-streaming. Usage in a stream
stands in `message_start`, and then, cumulative, in each `message_delta`; the model `two-deltas`
sends two of these.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from proxy.demo.upstream.chat import pieces
from proxy.demo.upstream.generation import Choice, Generation, generate, input_tokens
from proxy.demo.upstream.reply import (
    EVENT_STREAM,
    Reply,
    RequestError,
    event,
    json_reply,
    positive,
    required,
)
from proxy.demo.upstream.told import ENCRYPTED, THOUGHT


def messages(body: dict[str, Any]) -> Reply:
    """POST /v1/messages."""
    made = _generate(body)
    if body.get("stream"):
        events = tuple(event(one, one["type"]) for one in _events(body["model"], made))
        return Reply(events=events, content_type=EVENT_STREAM)
    return json_reply(message(body["model"], made))


def count_tokens(body: dict[str, Any]) -> Reply:
    """POST /v1/messages/count_tokens."""
    required(body, "model", str)
    required(body, "messages", list)
    return json_reply({"input_tokens": input_tokens(body)})


def batch_result(params: dict[str, Any]) -> dict[str, Any]:
    """The result of one request of a message batch."""
    try:
        return {"type": "succeeded", "message": message(str(params["model"]), _generate(params))}
    except (RequestError, KeyError) as problem:
        error = {"type": "invalid_request_error", "message": str(problem)}
        return {"type": "errored", "error": {"type": "error", "error": error}}


def message(model: str, made: Generation) -> dict[str, Any]:
    """The whole message."""
    choice = made.choices[0]
    whole = _start(model, made) | {
        "content": _blocks(model, choice, made),
        "stop_reason": _stop_reason(choice),
    }
    return whole if model == "no-usage" else whole | {"usage": usage(made, made.output_tokens)}


def usage(made: Generation, output_tokens: int) -> dict[str, Any]:
    """Usage; the three input fields add up to the whole input."""
    apart = made.cached_tokens + made.cache_written_tokens
    return {
        "input_tokens": made.input_tokens - apart,
        "cache_creation_input_tokens": made.cache_written_tokens,
        "cache_read_input_tokens": made.cached_tokens,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }


def _generate(body: dict[str, Any]) -> Generation:
    required(body, "model", str)
    required(body, "messages", list)
    if positive(body, "max_tokens") is None:
        raise RequestError(400, "max_tokens: Field required", "max_tokens")
    return generate(body, positive(body, "max_tokens"))


def _start(model: str, made: Generation) -> dict[str, Any]:
    return {
        "id": f"msg_{made.id}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage(made, min(1, made.output_tokens)),
    }


def _blocks(model: str, choice: Choice, made: Generation) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if "reason-aloud" in model:
        blocks.append({"type": "redacted_thinking", "data": ENCRYPTED})
    if made.reasoning_tokens:
        blocks.append({"type": "thinking", "thinking": THOUGHT * made.reasoning_tokens} | _SIGNED)
    if choice.tool:
        arguments = msgspec.json.decode(choice.tool.arguments)
        call = {"id": f"toolu_{made.id}", "name": choice.tool.name, "input": arguments}
        return [*blocks, {"type": "tool_use", **call}]
    return [*blocks, {"type": "text", "text": choice.text}]


_SIGNED = {"signature": "c2lnbmVk"}


def _stop_reason(choice: Choice) -> str:
    if choice.tool:
        return "tool_use"
    return "max_tokens" if choice.cut else "end_turn"


def _events(model: str, made: Generation) -> Iterator[dict[str, Any]]:
    choice = made.choices[0]
    yield {"type": "message_start", "message": _start(model, made)}
    for index, block in enumerate(_blocks(model, choice, made)):
        empty, deltas = _block_parts(block, choice)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        if index == 0:
            yield {"type": "ping"}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    if model == "two-deltas":
        yield _message_delta(None, made, made.output_tokens // 2)
    yield _message_delta(_stop_reason(choice), made, made.output_tokens)
    yield {"type": "message_stop"}


def _block_parts(
    block: dict[str, Any], choice: Choice
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as it starts, and the deltas that fill it."""
    match block["type"]:
        case "thinking":
            thought = {"type": "thinking_delta", "thinking": block["thinking"]}
            signed = {"type": "signature_delta", "signature": block["signature"]}
            return block | {"thinking": "", "signature": ""}, [thought, signed]
        case "redacted_thinking":
            return block, []
        case "tool_use":
            arguments = choice.tool.arguments if choice.tool else "{}"
            parts = pieces(arguments)
            return block | {"input": {}}, [
                {"type": "input_json_delta", "partial_json": part} for part in parts
            ]
        case _:
            words = [{"type": "text_delta", "text": word} for word in choice.words]
            return {"type": "text", "text": ""}, words


def _message_delta(stop_reason: str | None, made: Generation, tokens: int) -> dict[str, Any]:
    details = {"output_tokens_details": {"thinking_tokens": made.reasoning_tokens}}
    counted = {"output_tokens": tokens} | (details if made.reasoning_tokens else {})
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    return {"type": "message_delta", "delta": delta, "usage": counted}
