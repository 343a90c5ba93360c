"""Which function answers which method and path: no I/O, and no state but the objects kept."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from proxy.demo.upstream import small
from proxy.demo.upstream.chat import chat, completions
from proxy.demo.upstream.kept import Kept
from proxy.demo.upstream.messages import count_tokens, messages
from proxy.demo.upstream.multipart import fields, read_form
from proxy.demo.upstream.reply import Reply, RequestError, read_object
from proxy.demo.upstream.responses import responses
from proxy.model.exchange import Dialect


@dataclass(frozen=True, slots=True)
class Call:
    """A request, as far as answers depend on it; `body` is decoded, `name` is an id in the path."""

    method: str
    path: str
    dialect: Dialect
    body: bytes
    content_type: str
    base_url: str
    kept: Kept
    name: str = ""

    @property
    def anthropic(self) -> bool:
        """Whether the caller speaks Anthropic's dialect."""
        return self.dialect is Dialect.ANTHROPIC


Handler = Callable[[Call], Reply]


def answer(call: Call) -> Reply:
    """The reply to a call, or `RequestError`."""
    method = "GET" if call.method == "HEAD" else call.method
    for wanted, pattern, handler in _ROUTES:
        match = pattern.fullmatch(call.path) if wanted == method else None
        if match:
            return handler(replace(call, name=match.groupdict().get("name", "")))
    raise RequestError(404, f"Unknown request URL: {call.method} {call.path}")


def _json(function: Callable[[dict[str, Any]], Reply]) -> Handler:
    return lambda call: function(read_object(call.body))


def _responses(call: Call) -> Reply:
    reply = responses(read_object(call.body))
    if reply.body:
        call.kept.keep_response(reply)
    return reply


def _upload(call: Call) -> Reply:
    return call.kept.upload(read_form(call.body, call.content_type), call.anthropic)


def _pictures(call: Call) -> Reply:
    if call.content_type.startswith("application/json"):
        return small.images(read_object(call.body))
    form = fields(read_form(call.body, call.content_type))
    count = form.pop("n", "1")
    return small.images(form | {"n": int(count) if count.isdigit() else 0})


def _transcription(call: Call) -> Reply:
    return small.transcription(fields(read_form(call.body, call.content_type)))


def _delete(kind: str) -> Handler:
    return lambda call: call.kept.delete(call.name, kind)


def _get(call: Call) -> Reply:
    return call.kept.get(call.name)


def _file_list(call: Call) -> Reply:
    return call.kept.listing("file_" if call.anthropic else "file-")


def _message_batch(call: Call) -> Reply:
    return call.kept.create_message_batch(read_object(call.body), call.base_url)


_TABLE: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/v1/chat/completions", _json(chat)),
    ("POST", "/v1/completions", _json(completions)),
    ("POST", "/v1/responses", _responses),
    ("GET", "/v1/responses/{}", _get),
    ("DELETE", "/v1/responses/{}", _delete("response")),
    ("POST", "/v1/embeddings", _json(small.embeddings)),
    ("POST", "/v1/moderations", _json(small.moderations)),
    ("POST", "/v1/images/generations", _pictures),
    ("POST", "/v1/images/edits", _pictures),
    ("POST", "/v1/images/variations", _pictures),
    ("POST", "/v1/audio/speech", _json(small.speech)),
    ("POST", "/v1/audio/transcriptions", _transcription),
    ("POST", "/v1/audio/translations", _transcription),
    ("GET", "/v1/models", lambda call: small.list_models(call.anthropic)),
    ("GET", "/v1/models/{}", lambda call: small.one_model(call.name, call.anthropic)),
    ("POST", "/v1/files", _upload),
    ("GET", "/v1/files", _file_list),
    ("GET", "/v1/files/{}", _get),
    ("DELETE", "/v1/files/{}", _delete("file")),
    ("GET", "/v1/files/{}/content", lambda call: call.kept.content(call.name)),
    ("POST", "/v1/batches", lambda call: call.kept.create_batch(read_object(call.body))),
    ("GET", "/v1/batches", lambda call: call.kept.listing("batch_")),
    ("GET", "/v1/batches/{}", _get),
    ("POST", "/v1/batches/{}/cancel", _get),
    ("POST", "/v1/messages", _json(messages)),
    ("POST", "/v1/messages/count_tokens", _json(count_tokens)),
    ("POST", "/v1/messages/batches", _message_batch),
    ("GET", "/v1/messages/batches", lambda call: call.kept.listing("msgbatch_")),
    ("GET", "/v1/messages/batches/{}", _get),
    ("POST", "/v1/messages/batches/{}/cancel", _get),
    ("DELETE", "/v1/messages/batches/{}", _delete("message_batch_deleted")),
    ("GET", "/v1/messages/batches/{}/results", lambda call: call.kept.content(call.name)),
)
_ROUTES = tuple(
    (method, re.compile(path.replace("{}", "(?P<name>[^/]+)")), handler)
    for method, path, handler in _TABLE
)
