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
from proxy.demo.upstream.told import (
    reasoning_item,
    tells_logprobs,
    thoughts,
    token_logprobs,
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
        "output": [*_thought(body, made), _item(made, choice, "completed", _tokens(body, choice))],
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


def _thought(body: dict[str, Any], made: Generation) -> list[dict[str, Any]]:
    text = thoughts(body, made)
    return [reasoning_item(f"rs_{made.id}", text)] if text else []


def _tokens(body: dict[str, Any], choice: Choice) -> list[dict[str, Any]]:
    """Log probabilities of all words; none where they are not told."""
    return token_logprobs(choice.words, 1) if tells_logprobs(body) else []


def _item(
    made: Generation, choice: Choice, status: str, tokens: list[dict[str, Any]]
) -> dict[str, Any]:
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
        "content": [_part(choice.text, tokens)] if status == "completed" else [],
    }


def _part(text: str, tokens: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": tokens}


def _events(body: dict[str, Any], made: Generation) -> Iterator[dict[str, Any]]:
    choice = made.choices[0]
    begun, done = _object(body, made), finished(body, made)
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    at = 0
    for thought in _thought(body, made):
        yield from _thought_events(thought)
        at = 1
    started, ended = _item(made, choice, "in_progress", []), done["output"][-1]
    yield {"type": "response.output_item.added", "output_index": at, "item": started}
    if choice.tool:
        yield from _tool_events(started["id"], at, choice)
    else:
        yield from _text_events(started["id"], at, choice, _tokens(body, choice))
    yield {"type": "response.output_item.done", "output_index": at, "item": ended}
    yield {"type": f"response.{done['status']}", "response": done}


def _thought_events(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    place = {"item_id": item["id"], "output_index": 0, "summary_index": 0}
    part, kind = item["summary"][0], "response.reasoning_summary"
    begun = reasoning_item(item["id"], "")
    yield {"type": "response.output_item.added", "output_index": 0, "item": begun}
    yield {"type": f"{kind}_part.added", **place, "part": part | {"text": ""}}
    for piece in pieces(part["text"]):
        yield {"type": f"{kind}_text.delta", **place, "delta": piece}
    yield {"type": f"{kind}_text.done", **place, "text": part["text"]}
    yield {"type": f"{kind}_part.done", **place, "part": part}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}


def _text_events(
    item: str, at: int, choice: Choice, tokens: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    place = {"item_id": item, "output_index": at, "content_index": 0}
    yield {"type": "response.content_part.added", **place, "part": _part("", [])}
    for number, word in enumerate(choice.words):
        told = {"delta": word, "logprobs": tokens[number : number + 1]}
        yield {"type": "response.output_text.delta", **place, **told}
    yield {"type": "response.output_text.done", **place, "text": choice.text, "logprobs": tokens}
    yield {"type": "response.content_part.done", **place, "part": _part(choice.text, tokens)}


def _tool_events(item: str, at: int, choice: Choice) -> Iterator[dict[str, Any]]:
    place = {"item_id": item, "output_index": at}
    assert choice.tool is not None
    kind = "response.function_call_arguments"
    for piece in pieces(choice.tool.arguments):
        yield {"type": f"{kind}.delta", **place, "delta": piece}
    whole = {"name": choice.tool.name, "arguments": choice.tool.arguments}
    yield {"type": f"{kind}.done", **place, **whole}
