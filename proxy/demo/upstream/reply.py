"""A reply as data, before it is sent: a status, fields, and a body or server-sent events."""

from dataclasses import dataclass
from typing import Any

import msgspec

from proxy.model.exchange import Headers

CREATED_S = 1776816000  # every reply is dated alike, so that replies compare byte for byte
EVENT_STREAM = "text/event-stream; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Reply:
    """`events` are whole server-sent events; a reply has them or a `body`, never both."""

    status: int = 200
    headers: Headers = ()
    body: bytes = b""
    events: tuple[bytes, ...] = ()
    content_type: str = "application/json"


class RequestError(Exception):
    """A request that this API refuses; the dialect turns it into a reply."""

    def __init__(self, status: int, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param


def json_reply(value: object, status: int = 200, headers: Headers = ()) -> Reply:
    """A reply with a JSON body."""
    return Reply(status, headers, msgspec.json.encode(value))


def event(value: object, name: str | None = None) -> bytes:
    """One server-sent event with JSON data."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + msgspec.json.encode(value) + b"\n\n"


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a request body, or `RequestError` 400."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RequestError(
            400, f"We could not parse the JSON body of your request: {error}"
        ) from None
    if not isinstance(value, dict):
        raise RequestError(400, "The request body must be a JSON object")
    return value


def required(body: dict[str, Any], name: str, kind: type) -> Any:
    """A member that must be there with the given type, or `RequestError` 400."""
    value = body.get(name)
    if value is None:
        raise RequestError(400, f"Missing required parameter: '{name}'", name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise RequestError(400, f"Invalid type for '{name}': expected {kind.__name__}", name)
    return value


def positive(body: dict[str, Any], *names: str) -> int | None:
    """The first of several members that is given, which must be an integer of at least one."""
    for name in names:
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise RequestError(400, f"Invalid value for '{name}': expected an integer >= 1", name)
        return value
    return None
