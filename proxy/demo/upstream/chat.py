"""OpenAI chat completions and the older completions: JSON and streams.

Shapes: https://platform.openai.com/docs/api-reference/chat (and /chat-streaming, /completions).
With `stream_options.include_usage` every chunk carries `usage: null` and one more chunk, with no
choices, carries the usage before `[DONE]`; without it no chunk has the member at all.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

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
    chat_logprobs,
    completion_logprobs,
    tells_logprobs,
    thoughts,
)

DONE = b"data: [DONE]\n\n"
_PIECE = 8  # characters of tool arguments in one chunk


def chat(body: dict[str, Any]) -> Reply:
    """POST /v1/chat/completions."""
    model = required(body, "model", str)
    required(body, "messages", list)
    limit = positive(body, "max_completion_tokens", "max_tokens")
    made = generate(body, limit, positive(body, "n") or 1)
    alternatives = int(body.get("top_logprobs") or 0) if tells_logprobs(body) else None
    thought = thoughts(body, made)
    if body.get("stream"):
        deltas = partial(_chat_deltas, thought=thought, alternatives=alternatives)
        return _stream(body, model, made, "chat.completion.chunk", deltas)
    told = {"reasoning_content": thought} if thought else {}
    choices = [
        {
            "index": index,
            "message": _message(choice) | told,
            "logprobs": _logprobs(choice.words, alternatives),
            "finish_reason": _finish(choice),
        }
        for index, choice in enumerate(made.choices)
    ]
    return json_reply(_envelope(made, model, "chat.completion", choices))


def completions(body: dict[str, Any]) -> Reply:
    """POST /v1/completions; each of several prompts has `n` choices."""
    model = required(body, "model", str)
    prompt = body.get("prompt")
    prompts = len(prompt) if isinstance(prompt, list) and prompt else 1
    # The older surface stops at 16 tokens where nothing is said.
    limit = positive(body, "max_tokens") or 16
    made = generate(body | {"tools": []}, limit, prompts * (positive(body, "n") or 1))
    if body.get("stream"):
        return _stream(body, model, made, "text_completion", _text_deltas)
    tells = tells_logprobs(body)
    choices = [
        {
            "index": index,
            "text": choice.text,
            "logprobs": completion_logprobs(choice) if tells else None,
            "finish_reason": _finish(choice),
        }
        for index, choice in enumerate(made.choices)
    ]
    return json_reply(_envelope(made, model, "text_completion", choices))


def usage(made: Generation) -> dict[str, Any]:
    """Usage of a chat or completion; cached tokens stand inside the prompt tokens."""
    return {
        "prompt_tokens": made.input_tokens,
        "completion_tokens": made.output_tokens,
        "total_tokens": made.input_tokens + made.output_tokens,
        "prompt_tokens_details": {"cached_tokens": made.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": made.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _envelope(made: Generation, model: str, kind: str, choices: list[Any]) -> dict[str, Any]:
    whole = _head(made, model, kind) | {"choices": choices}
    return whole if model == "no-usage" else whole | {"usage": usage(made)}


def _head(made: Generation, model: str, kind: str) -> dict[str, Any]:
    prefix = "cmpl" if kind == "text_completion" else "chatcmpl"
    return {
        "id": f"{prefix}-{made.id}",
        "object": kind,
        "created": CREATED_S,
        "model": model,
        "service_tier": "default",
        "system_fingerprint": "fp_gauger",
    }


def _message(choice: Choice) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if choice.tool else choice.text,
        "refusal": None,
        "annotations": [],
    }
    if choice.tool:
        function = {"name": choice.tool.name, "arguments": choice.tool.arguments}
        message["tool_calls"] = [{"id": choice.tool.id, "type": "function", "function": function}]
    return message


def _finish(choice: Choice) -> str:
    if choice.tool:
        return "tool_calls"
    return "length" if choice.cut else "stop"


def _stream(body: dict[str, Any], model: str, made: Generation, kind: str, deltas: Any) -> Reply:
    head = _head(made, model, kind)
    asked = bool((body.get("stream_options") or {}).get("include_usage")) and model != "no-usage"
    extra: dict[str, Any] = {"usage": None} if asked else {}
    events = [event(head | {"choices": [delta]} | extra) for delta in deltas(made)]
    if asked:
        events.append(event(head | {"choices": [], "usage": usage(made)}))
    return Reply(events=(*events, DONE), content_type=EVENT_STREAM)


def _logprobs(words: tuple[str, ...], alternatives: int | None) -> dict[str, Any] | None:
    return None if alternatives is None else chat_logprobs(words, alternatives)


def _chat_deltas(
    made: Generation, *, thought: str, alternatives: int | None
) -> Iterator[dict[str, Any]]:
    """Choices interleaved, as several choices stream in parallel."""
    count = range(len(made.choices))
    for index in count:
        yield _delta(index, {"role": "assistant", "content": "", "refusal": None})
        for piece in pieces(thought):
            yield _delta(index, {"reasoning_content": piece})
    for index in count:
        yield from _tool_deltas(index, made.choices[index])
    for at in range(max(len(choice.words) for choice in made.choices)):
        for index in count:
            if at < len(made.choices[index].words):
                word = made.choices[index].words[at]
                yield _delta(index, {"content": word}) | {
                    "logprobs": _logprobs((word,), alternatives)
                }
    for index in count:
        yield _delta(index, {}, _finish(made.choices[index]))


def _tool_deltas(index: int, choice: Choice) -> Iterator[dict[str, Any]]:
    if choice.tool is None:
        return
    function: dict[str, Any] = {"name": choice.tool.name, "arguments": ""}
    call = {"index": 0, "id": choice.tool.id, "type": "function", "function": function}
    yield _delta(index, {"tool_calls": [call]})
    for piece in pieces(choice.tool.arguments):
        yield _delta(index, {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})


def _text_deltas(made: Generation) -> Iterator[dict[str, Any]]:
    for index, choice in enumerate(made.choices):
        for word in choice.words:
            yield {"index": index, "text": word, "logprobs": None, "finish_reason": None}
        yield {"index": index, "text": "", "logprobs": None, "finish_reason": _finish(choice)}


def _delta(index: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def pieces(text: str) -> list[str]:
    """Cut tool arguments as a stream carries them."""
    return [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]
