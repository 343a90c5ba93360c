"""OpenAI Responses: JSON and its typed, numbered events.

Shapes: https://platform.openai.com/docs/api-reference/responses (and /responses-streaming).
"""

from collections.abc import Iterator
from typing import Any

from proxy.demo.upstream.chat import pieces
from proxy.demo.upstream.generation import Choice, Generation, generate
from proxy.demo.upstream.reply import (
    CREATED_S,
    EVENT_STREAM,
    Reply,
    event,
    json_reply,
    positive,
    required,
)


def responses(body: dict[str, Any]) -> Reply:
    """POST /v1/responses."""
    required(body, "model", str)
    made = generate(body, positive(body, "max_output_tokens"))
    if not body.get("stream"):
        return json_reply(finished(body, made))
    events = tuple(
        event(one | {"sequence_number": number}, one["type"])
        for number, one in enumerate(_events(body, made))
    )
    return Reply(events=events, content_type=EVENT_STREAM)


def finished(body: dict[str, Any], made: Generation) -> dict[str, Any]:
    """The whole response object, as JSON answers and the last event carry it."""
    choice = made.choices[0]
    whole = _object(body, made) | {
        "status": "incomplete" if choice.cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if choice.cut else None,
        "output": [_item(made, choice, "completed")],
    }
    return whole if body["model"] == "no-usage" else whole | {"usage": usage(made)}


def usage(made: Generation) -> dict[str, Any]:
    """Usage in the vocabulary of Responses."""
    return {
        "input_tokens": made.input_tokens,
        "input_tokens_details": {"cached_tokens": made.cached_tokens},
        "output_tokens": made.output_tokens,
        "output_tokens_details": {"reasoning_tokens": made.reasoning_tokens},
        "total_tokens": made.input_tokens + made.output_tokens,
    }


def _object(body: dict[str, Any], made: Generation) -> dict[str, Any]:
    return {
        "id": f"resp_{made.id}",
        "object": "response",
        "created_at": CREATED_S,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": body["model"],
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "metadata": {},
    }


def _item(made: Generation, choice: Choice, status: str) -> dict[str, Any]:
    if choice.tool:
        return {
            "id": f"fc_{made.id}",
            "type": "function_call",
            "status": status,
            "call_id": choice.tool.id,
            "name": choice.tool.name,
            "arguments": choice.tool.arguments if status == "completed" else "",
        }
    return {
        "id": f"msg_{made.id}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [_part(choice.text)] if status == "completed" else [],
    }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _events(body: dict[str, Any], made: Generation) -> Iterator[dict[str, Any]]:
    choice = made.choices[0]
    begun, done = _object(body, made), finished(body, made)
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    started, ended = _item(made, choice, "in_progress"), _item(made, choice, "completed")
    yield {"type": "response.output_item.added", "output_index": 0, "item": started}
    inner = _tool_events if choice.tool else _text_events
    yield from inner(started["id"], choice)
    yield {"type": "response.output_item.done", "output_index": 0, "item": ended}
    yield {"type": f"response.{done['status']}", "response": done}


def _text_events(item: str, choice: Choice) -> Iterator[dict[str, Any]]:
    place = {"item_id": item, "output_index": 0, "content_index": 0}
    yield {"type": "response.content_part.added", **place, "part": _part("")}
    for word in choice.words:
        yield {"type": "response.output_text.delta", **place, "delta": word, "logprobs": []}
    yield {"type": "response.output_text.done", **place, "text": choice.text, "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": _part(choice.text)}


def _tool_events(item: str, choice: Choice) -> Iterator[dict[str, Any]]:
    place = {"item_id": item, "output_index": 0}
    assert choice.tool is not None
    kind = "response.function_call_arguments"
    for piece in pieces(choice.tool.arguments):
        yield {"type": f"{kind}.delta", **place, "delta": piece}
    whole = {"name": choice.tool.name, "arguments": choice.tool.arguments}
    yield {"type": f"{kind}.done", **place, **whole}
