"""What is open in a stream of the responses surface, and how it is closed before its time.

Events: https://platform.openai.com/docs/api-reference/responses-streaming.
"""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from proxy.model.usage import Usage
from proxy.wire.sse import written


class _ResponseEvent(Struct):
    type: str = ""
    sequence_number: int = 0
    output_index: int = 0
    content_index: int = 0
    delta: object = None
    response: Raw = Raw()
    item: Raw = Raw()
    part: Raw = Raw()


_RESPONSE_EVENTS: msgspec.json.Decoder[_ResponseEvent] = msgspec.json.Decoder(_ResponseEvent)
_GROWS = {  # by the type of a delta: the member of an item, or of its part, that it adds to
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.function_call_arguments.delta": "arguments",
    "response.mcp_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
}
_OF_PARTS = ("text", "refusal")
_OBJECTS: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])


def _object(value: Raw) -> dict[str, Any]:
    return _OBJECTS.decode(value)


class Items:
    """The response as it began, and its items as far as they have come.

    `_grown` are the texts of open items, in pieces: by item, part and member.
    """

    def __init__(self) -> None:
        self._response: dict[str, Any] = {}
        self._items: dict[int, dict[str, Any]] = {}
        self._open: set[int] = set()
        self._grown: dict[tuple[int, int, str], list[str]] = {}
        self._sequence = -1

    def read(self, data: bytes) -> None:
        """Take in the data of one event."""
        event = _RESPONSE_EVENTS.decode(data)
        self._sequence = max(self._sequence, event.sequence_number)
        at, number = event.output_index, event.content_index
        match event.type:
            case "response.created" | "response.in_progress" | "response.queued":
                self._response = _object(event.response)
            case "response.output_item.added":
                self._items[at] = _object(event.item)
                self._open.add(at)
            case "response.output_item.done":
                self._items[at] = _object(event.item)
                self._open.discard(at)
            case "response.content_part.added" | "response.content_part.done":
                parts: list[Any] = self._items[at].setdefault("content", [])
                parts[number : number + 1] = [_object(event.part)]
                for member in _OF_PARTS:
                    self._grown.pop((at, number, member), None)
            case kind if kind in _GROWS and isinstance(event.delta, str):
                self._grow(at, number, _GROWS[kind], event.delta)

    def _grow(self, at: int, number: int, member: str, delta: str) -> None:
        item = self._items[at]
        if member in _OF_PARTS and len(item.get("content") or ()) <= number:
            return  # text of a part that was never opened
        self._grown.setdefault((at, number, member), []).append(delta)

    def _so_far(self, at: int) -> dict[str, Any]:
        """An item as far as it was delivered."""
        item = self._items[at]
        if at not in self._open:
            return item
        if "status" in item:
            item["status"] = "incomplete"
        for (of, number, member), pieces in self._grown.items():
            if of == at and member in _OF_PARTS:
                item["content"][number][member] = "".join(pieces)
            elif of == at:
                item[member] = "".join(pieces)
        return item

    def close(self, usage: Usage) -> bytes:
        """The events that end the stream here; `usage` is what it will have used."""
        events: list[dict[str, object]] = [
            {"type": "response.output_item.done", "output_index": at, "item": self._so_far(at)}
            for at in sorted(self._open)
        ]
        response = self._response | {
            "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"},
            "output": [self._items[at] for at in sorted(self._items)],
            "usage": _response_usage(usage),
        }
        events.append({"type": "response.incomplete", "response": response})
        numbered = enumerate(events, self._sequence + 1)
        return b"".join(
            written(event | {"sequence_number": number}, str(event["type"]))
            for number, event in numbered
        )


def _response_usage(usage: Usage) -> dict[str, object]:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }
