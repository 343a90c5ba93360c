"""Streams and answers that carry what may have to be left out, as the model APIs write them."""

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import anthropic
import httpx2
import openai

from proxy.model.exchange import Asked
from proxy.wire.alteration import Alteration
from proxy.wire.altered import reader_of
from proxy.wire.altered_body import Received
from proxy.wire.reading import AnswerReader
from proxy.wire.surfaces import find

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
RESPONSES, MESSAGES = "/v1/responses", "/v1/messages"
BOTH = ("logprobs", "reasoning")
EVENTS = "text/event-stream; charset=utf-8"


def data(value: object, name: str | None = None) -> bytes:
    head = b"" if name is None else b"event: " + name.encode() + b"\n"
    return head + b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def typed(value: dict[str, Any]) -> bytes:
    return data(value, value["type"])


def numbered(events: Iterable[dict[str, Any]]) -> list[bytes]:
    return [typed(event | {"sequence_number": n}) for n, event in enumerate(events)]


def chunk(delta: dict[str, Any], index: int = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None} | more
    return data({"id": "c", "object": "chat.completion.chunk", "choices": [choice], "usage": None})


TOKEN = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
DONE = b"data: [DONE]\n\n"
CHAT_PARTS = [
    chunk({"role": "assistant", "content": ""}),
    b": ping\n\n",
    chunk({"reasoning_content": "secret thought"}),
    chunk({"content": "", "reasoning": "secret", "reasoning_details": [{"text": "secret"}]}),
    chunk({"content": "Hi", "reasoning_content": None}, logprobs={"content": [TOKEN]}),
    chunk({"content": " there, a rather long answer"}),
    chunk({"content": [{"type": "thinking", "thinking": [{"text": "secret"}]}]}, index=1),
    chunk({}, finish_reason="stop"),
    chunk({}, index=1, finish_reason="stop"),
    data(
        {
            "id": "c",
            "object": "chat.completion.chunk",
            "choices": [],
            "usage": {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16},
        }
    ),
    DONE,
]

SHELL = {"id": "rs", "type": "reasoning", "summary": [], "encrypted_content": "secret"}
THOUGHT = SHELL | {"summary": [{"type": "summary_text", "text": "secret"}]}
TEXT = {"type": "output_text", "text": "Hi there", "annotations": [], "logprobs": [TOKEN]}
BEGUN = {"id": "msg", "type": "message", "status": "in_progress", "role": "assistant"}
RESPONSE = {"id": "r", "object": "response", "status": "in_progress", "output": [], "usage": None}
RESPONSE |= {"reasoning": {"effort": "low", "summary": "auto"}, "temperature": 1.0}
_PLACE = {"item_id": "msg", "output_index": 1, "content_index": 0}
_SUMMARY = {"item_id": "rs", "output_index": 0, "summary_index": 0}
COUNTS = {"input_tokens": 30, "output_tokens": 6, "total_tokens": 36}
WHOLE = RESPONSE | {
    "status": "completed",
    "output": [THOUGHT, BEGUN | {"status": "completed", "content": [TEXT]}],
    "usage": COUNTS,
}
RESPONSES_PARTS = numbered(
    [
        {"type": "response.created", "response": RESPONSE},
        {"type": "response.output_item.added", "output_index": 0, "item": SHELL},
        {
            "type": "response.reasoning_summary_part.added",
            **_SUMMARY,
            "part": {"type": "summary_text", "text": ""},
        },
        {"type": "response.reasoning_summary_text.delta", **_SUMMARY, "delta": "secret"},
        {
            "type": "response.content_part.added",
            **_SUMMARY,
            "content_index": 0,
            "part": {"type": "reasoning_text", "text": "secret"},
        },
        {"type": "response.reasoning_text.delta", **_SUMMARY, "delta": "secret"},
        {"type": "response.output_item.done", "output_index": 0, "item": THOUGHT},
        {
            "type": "response.output_item.added",
            "output_index": 1,
            "item": BEGUN | {"content": []},
        },
        {
            "type": "response.content_part.added",
            **_PLACE,
            "part": TEXT | {"text": "", "logprobs": []},
        },
        {"type": "response.output_text.delta", **_PLACE, "delta": "Hi", "logprobs": [TOKEN]},
        {"type": "response.output_text.delta", **_PLACE, "delta": " there", "logprobs": []},
        {
            "type": "response.output_text.done",
            **_PLACE,
            "text": "Hi there",
            "logprobs": [TOKEN],
        },
        {"type": "response.content_part.done", **_PLACE, "part": TEXT},
        {"type": "response.output_item.done", "output_index": 1, "item": WHOLE["output"][1]},
        {"type": "response.completed", "response": WHOLE},
    ]
)

THINKING = {"type": "thinking", "thinking": "secret", "signature": "secret"}
REDACTED = {"type": "redacted_thinking", "data": "secret"}
TOOL = {"type": "tool_use", "id": "t", "name": "n", "input": {"reasoning": "mine"}}
MESSAGE = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 10, "output_tokens": 1},
}


def _block(index: int, begun: dict[str, Any], *deltas: dict[str, Any]) -> list[bytes]:
    """A block's events: its beginning, what fills it, its end."""
    start = {"type": "content_block_start", "index": index, "content_block": begun}
    filled = [{"type": "content_block_delta", "index": index, "delta": one} for one in deltas]
    return [typed(e) for e in (start, *filled, {"type": "content_block_stop", "index": index})]


def _text(text: str) -> dict[str, Any]:
    return {"type": "text_delta", "text": text}


MESSAGES_PARTS = [
    typed({"type": "message_start", "message": MESSAGE}),
    *_block(
        0,
        THINKING | {"thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "secret"},
        {"type": "signature_delta", "signature": "secret"},
    ),
    typed({"type": "ping"}),
    *_block(1, {"type": "text", "text": ""}, _text("Hi"), _text(" there")),
    *_block(2, REDACTED),
    *_block(
        3,
        TOOL | {"input": {}},
        {"type": "input_json_delta", "partial_json": '{"reasoning": "mine"}'},
    ),
    typed(
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 20},
        }
    ),
    typed({"type": "message_stop"}),
]
COMPLETIONS_PARTS = [
    data({"id": "c", "choices": [{"index": 0, "text": "Hi", "logprobs": {"tokens": ["Hi"]}}]}),
    data({"id": "c", "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}),
    DONE,
]
PARTS = {
    CHAT: CHAT_PARTS,
    COMPLETIONS: COMPLETIONS_PARTS,
    RESPONSES: RESPONSES_PARTS,
    MESSAGES: MESSAGES_PARTS,
}
STREAMS = {path: b"".join(parts) for path, parts in PARTS.items()}


def altering(
    path: str,
    strip: tuple[str, ...] = (),
    cut_after: int | None = None,
    *,
    method: str = "POST",
    content_type: str | None = EVENTS,
    coding: str | None = None,
    status: int = 200,
    asked: Asked | None = None,
    **options: Any,
) -> AnswerReader:
    """A reader that changes the answer to a request for a path."""
    surface = find(method, path, ())
    assert surface is not None
    return reader_of(
        surface,
        asked or Asked(stream=True),
        Received(status, content_type, coding),
        alteration=Alteration(strip, cut_after),
        **({"hide_usage": False} | options),
    )


def run(reader: AnswerReader, stream: bytes, cuts: Iterable[int] = ()) -> bytes:
    """Feed a stream cut at some places; what went on to the client."""
    edges = [0, *sorted(cuts), len(stream)]
    out = b"".join(reader.feed(stream[start:end]) for start, end in pairwise(edges))
    return out + reader.finish()


def transport(body: bytes, content_type: str = EVENTS) -> httpx2.MockTransport:
    headers = {"content-type": content_type}
    return httpx2.MockTransport(lambda request: httpx2.Response(200, headers=headers, content=body))


def openai_client(body: bytes, content_type: str = EVENTS) -> openai.OpenAI:
    http = openai.DefaultHttpxClient(transport=transport(body, content_type))
    return openai.OpenAI(api_key="k", base_url="http://api.test/v1", http_client=http)


def anthropic_client(body: bytes, content_type: str = EVENTS) -> anthropic.Anthropic:
    http = anthropic.DefaultHttpxClient(transport=transport(body, content_type))
    return anthropic.Anthropic(api_key="k", base_url="http://api.test", http_client=http)
