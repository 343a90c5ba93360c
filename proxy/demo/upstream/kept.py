"""What the emulated API keeps between requests: files, batches of both dialects, responses.

A batch is done as soon as it is made: its lines go through the same functions as live requests.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from proxy.demo.upstream.chat import chat, completions
from proxy.demo.upstream.messages import batch_result
from proxy.demo.upstream.multipart import Part
from proxy.demo.upstream.reply import CREATED_S, Reply, RequestError, json_reply, required
from proxy.demo.upstream.responses import responses
from proxy.demo.upstream.small import embeddings

_ISO = "2026-04-22T00:00:00Z"
_ENDPOINTS: dict[str, Callable[[dict[str, Any]], Reply]] = {
    "/v1/chat/completions": chat,
    "/v1/completions": completions,
    "/v1/embeddings": embeddings,
    "/v1/responses": responses,
}


class Kept:
    """The store of one emulator, in memory."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, Any]] = {}
        self._contents: dict[str, bytes] = {}

    # responses

    def keep_response(self, reply: Reply) -> None:
        """Remember a JSON response, so that it can be asked for again."""
        self._put(msgspec.json.decode(reply.body))

    def get(self, identifier: str) -> Reply:
        """The object of that id, or `RequestError` 404."""
        return json_reply(self._object(identifier))

    def delete(self, identifier: str, kind: str) -> Reply:
        """Forget an object."""
        self._object(identifier)
        del self._objects[identifier]
        return json_reply({"id": identifier, "object": kind, "type": kind, "deleted": True})

    def listing(self, prefix: str) -> Reply:
        """All objects whose id begins with the prefix, oldest first, in one page."""
        data = [value for name, value in self._objects.items() if name.startswith(prefix)]
        ends = {"first_id": None, "last_id": None, "has_more": False}
        if data:
            ends |= {"first_id": data[0]["id"], "last_id": data[-1]["id"]}
        return json_reply({"object": "list", "data": data, **ends})

    def content(self, identifier: str) -> Reply:
        """The bytes of a file, as they were uploaded."""
        self._object(identifier)
        return Reply(body=self._contents[identifier], content_type="application/octet-stream")

    # files

    def upload(self, parts: dict[str, Part], anthropic: bool) -> Reply:
        """POST /v1/files in either dialect."""
        if "file" not in parts:
            raise RequestError(400, "Missing required parameter: 'file'", "file")
        part = parts["file"]
        if anthropic:
            return json_reply(self._keep_file(part, _anthropic_file(part)))
        purpose = parts["purpose"].content.decode() if "purpose" in parts else "user_data"
        return json_reply(self._keep_file(part, _openai_file(part, purpose)))

    def _keep_file(self, part: Part, described: dict[str, Any]) -> dict[str, Any]:
        self._contents[described["id"]] = part.content
        return self._put(described)

    # OpenAI batches

    def create_batch(self, body: dict[str, Any]) -> Reply:
        """POST /v1/batches: runs every line of the input file at once."""
        source = required(body, "input_file_id", str)
        endpoint = required(body, "endpoint", str)
        if endpoint not in _ENDPOINTS:
            raise RequestError(400, f"Invalid value for 'endpoint': {endpoint}", "endpoint")
        self._object(source)
        lines = self._contents[source].splitlines()
        output = b"".join(_batch_line(line, _ENDPOINTS[endpoint]) for line in lines)
        part = Part("output.jsonl", "application/jsonl", output)
        made = self._keep_file(part, _openai_file(part, "batch_output"))
        counts = {"total": len(lines), "completed": len(lines), "failed": 0}
        return json_reply(
            self._put(
                {
                    "id": f"batch_{_hex(source.encode() + endpoint.encode())}",
                    "object": "batch",
                    "endpoint": endpoint,
                    "errors": None,
                    "input_file_id": source,
                    "completion_window": body.get("completion_window", "24h"),
                    "status": "completed",
                    "output_file_id": made["id"],
                    "error_file_id": None,
                    "created_at": CREATED_S,
                    "completed_at": CREATED_S,
                    "request_counts": counts,
                    "metadata": body.get("metadata"),
                }
            )
        )

    # Anthropic batches

    def create_message_batch(self, body: dict[str, Any], base_url: str) -> Reply:
        """POST /v1/messages/batches: answers every request at once."""
        requests = required(body, "requests", list)
        results = b"".join(
            msgspec.json.encode(
                {"custom_id": one["custom_id"], "result": batch_result(one["params"])}
            )
            + b"\n"
            for one in requests
        )
        identifier = f"msgbatch_{_hex(results)}"
        self._contents[identifier] = results
        counts = dict.fromkeys(("processing", "errored", "canceled", "expired"), 0)
        return json_reply(
            self._put(
                {
                    "id": identifier,
                    "type": "message_batch",
                    "processing_status": "ended",
                    "request_counts": counts | {"succeeded": len(requests)},
                    "created_at": _ISO,
                    "expires_at": _ISO,
                    "ended_at": _ISO,
                    "archived_at": None,
                    "cancel_initiated_at": None,
                    "results_url": f"{base_url}/v1/messages/batches/{identifier}/results",
                }
            )
        )

    def _put(self, value: dict[str, Any]) -> dict[str, Any]:
        self._objects[value["id"]] = value
        return value

    def _object(self, identifier: str) -> dict[str, Any]:
        if identifier not in self._objects:
            raise RequestError(404, f"No such object: {identifier}", "id")
        return self._objects[identifier]


def _batch_line(line: bytes, answer: Callable[[dict[str, Any]], Reply]) -> bytes:
    asked = msgspec.json.decode(line)
    reply = answer(asked["body"])
    response = {"status_code": 200, "request_id": f"req_{_hex(line)}"}
    whole = response | {"body": msgspec.Raw(reply.body)}
    name = {"id": f"batch_req_{_hex(line)}", "custom_id": asked["custom_id"]}
    return msgspec.json.encode(name | {"response": whole, "error": None}) + b"\n"


def _openai_file(part: Part, purpose: str) -> dict[str, Any]:
    return {
        "id": f"file-{_hex(part.content)}",
        "object": "file",
        "bytes": len(part.content),
        "created_at": CREATED_S,
        "filename": part.filename,
        "purpose": purpose,
        "status": "processed",
    }


def _anthropic_file(part: Part) -> dict[str, Any]:
    return {
        "id": f"file_{_hex(part.content)}",
        "type": "file",
        "filename": part.filename,
        "mime_type": part.content_type,
        "size_bytes": len(part.content),
        "created_at": _ISO,
        "downloadable": False,
    }


def _hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:24]
