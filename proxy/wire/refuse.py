"""Answers that Gauger gives itself, in the words of the caller's own dialect.

Statuses, types and codes are those that the vendors document and their SDKs map to exception
classes: https://platform.openai.com/docs/guides/error-codes and
https://docs.anthropic.com/en/api/errors.
"""

from dataclasses import dataclass

import msgspec

from proxy.model.decision import Answer, LimitState, Refusal
from proxy.model.exchange import Dialect, Headers, Surface
from proxy.model.verdict import RefusalKind, Unit
from proxy.wire.limit_headers import limit_headers, seconds_until


@dataclass(frozen=True, slots=True)
class _Error:
    status: int
    type: str
    code: str | None = None


_OPENAI: dict[RefusalKind, _Error] = {
    RefusalKind.BAD_REQUEST: _Error(400, "invalid_request_error"),
    RefusalKind.AUTHENTICATION: _Error(401, "invalid_request_error", "invalid_api_key"),
    RefusalKind.PERMISSION: _Error(403, "invalid_request_error", "permission_denied"),
    RefusalKind.REGION: _Error(403, "request_forbidden", "unsupported_country_region_territory"),
    RefusalKind.STEP_UP: _Error(403, "invalid_request_error", "step_up_required"),
    RefusalKind.NOT_FOUND: _Error(404, "invalid_request_error"),
    RefusalKind.TOO_LARGE: _Error(413, "invalid_request_error", "request_too_large"),
    RefusalKind.RATE_LIMIT: _Error(429, "requests", "rate_limit_exceeded"),
    RefusalKind.OVERLOADED: _Error(503, "server_error", "overloaded"),
    RefusalKind.UPSTREAM: _Error(502, "server_error", "bad_gateway"),
    RefusalKind.TIMEOUT: _Error(504, "server_error", "timeout"),
    RefusalKind.INTERNAL: _Error(500, "server_error"),
}
_ANTHROPIC: dict[RefusalKind, _Error] = {
    RefusalKind.BAD_REQUEST: _Error(400, "invalid_request_error"),
    RefusalKind.AUTHENTICATION: _Error(401, "authentication_error"),
    RefusalKind.PERMISSION: _Error(403, "permission_error"),
    RefusalKind.REGION: _Error(403, "permission_error"),
    RefusalKind.STEP_UP: _Error(403, "permission_error"),
    RefusalKind.NOT_FOUND: _Error(404, "not_found_error"),
    RefusalKind.TOO_LARGE: _Error(413, "request_too_large"),
    RefusalKind.RATE_LIMIT: _Error(429, "rate_limit_error"),
    RefusalKind.OVERLOADED: _Error(529, "overloaded_error"),
    RefusalKind.UPSTREAM: _Error(502, "api_error"),
    RefusalKind.TIMEOUT: _Error(504, "timeout_error"),
    RefusalKind.INTERNAL: _Error(500, "api_error"),
}
_QUOTA_SPENT = _Error(429, "insufficient_quota", "insufficient_quota")

# Where a refusal has a status of its own, the kind that this status would have.
_KIND_OF_STATUS: dict[int, RefusalKind] = {
    401: RefusalKind.AUTHENTICATION,
    403: RefusalKind.PERMISSION,
    404: RefusalKind.NOT_FOUND,
    413: RefusalKind.TOO_LARGE,
    429: RefusalKind.RATE_LIMIT,
}


def answer(
    dialect: Dialect,
    refusal: Refusal,
    limits: tuple[LimitState, ...],
    *,
    exchange_id: str,
    at_ns: int,
    head: bool = False,
) -> Answer:
    """The whole answer to a refused request; `head` leaves out the body.

    The caller adds content-length and date. `at_ns` (Unix ns) is the moment that Retry-After
    counts from; it is rounded up, so that a client which obeys it is never early.
    """
    error = _error(dialect, refusal)
    headers = (
        ("Content-Type", "application/json"),
        (_request_id_header(dialect), exchange_id),
        *_retry_headers(refusal, at_ns),
        *limit_headers(dialect, limits, at_ns),
    )
    body = b"" if head else msgspec.json.encode(_body(dialect, refusal, error, exchange_id))
    return Answer(error.status, headers, body)


def stream_error(
    surface: Surface | Dialect, refusal: Refusal, *, exchange_id: str, mid_event: bool = False
) -> bytes:
    """The dialect's own error event, for a stream whose status has already gone out.

    `mid_event` says that the stream broke inside an event: the broken line is ended first. The
    event of the responses surface carries the documented flat fields and `error` beside them,
    by which the SDK raises; its sequence number is not known here and is 0.
    """
    dialect = surface if isinstance(surface, Dialect) else surface.dialect
    body = _body(dialect, refusal, _error(dialect, refusal), exchange_id)
    event = b""
    if dialect is Dialect.ANTHROPIC:
        event = b"event: error\n"
    elif isinstance(surface, Surface) and surface.name == "responses":
        event = b"event: error\n"
        body = _responses_error(body)
    broken = b"\n\n" if mid_event else b""
    return broken + event + b"data: " + msgspec.json.encode(body) + b"\n\n"


def _error(dialect: Dialect, refusal: Refusal) -> _Error:
    """Status, type and code of a refusal; a status of its own overrides its kind's."""
    table = _ANTHROPIC if dialect is Dialect.ANTHROPIC else _OPENAI
    kind = refusal.kind
    if refusal.status is not None and refusal.status != table[kind].status:
        kind = _KIND_OF_STATUS.get(refusal.status, kind)
    error = table[kind]
    if kind is RefusalKind.RATE_LIMIT and dialect is Dialect.OPENAI:
        error = _openai_rate_limit(refusal)
    return _Error(refusal.status or error.status, error.type, error.code)


def _openai_rate_limit(refusal: Refusal) -> _Error:
    """By the unit of the limit; `insufficient_quota` where no waiting and no limit helps."""
    if refusal.spent:
        return _QUOTA_SPENT
    if refusal.limit is None or refusal.limit.unit in (Unit.REQUESTS, Unit.CONCURRENT):
        return _OPENAI[RefusalKind.RATE_LIMIT]
    return _Error(429, "tokens", "rate_limit_exceeded")


def _body(dialect: Dialect, refusal: Refusal, error: _Error, exchange_id: str) -> dict[str, object]:
    message = _text(refusal.message)
    param = None if refusal.param is None else _text(refusal.param)
    if dialect is Dialect.ANTHROPIC:
        if param and param not in message:
            message = f"{param}: {message}"
        return {
            "type": "error",
            "error": {"type": error.type, "message": message},
            "request_id": exchange_id,
        }
    return {"error": {"message": message, "type": error.type, "param": param, "code": error.code}}


def _responses_error(body: dict[str, object]) -> dict[str, object]:
    """The flat event of the responses surface around OpenAI's error body."""
    error = body["error"]
    assert isinstance(error, dict)
    return {
        "type": "error",
        "sequence_number": 0,
        "code": error["code"],
        "message": error["message"],
        "param": error["param"],
        "error": error,
    }


def _text(text: str) -> str:
    """Text that can be written as UTF-8: lone surrogates are replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _request_id_header(dialect: Dialect) -> str:
    return "request-id" if dialect is Dialect.ANTHROPIC else "x-request-id"


def _retry_headers(refusal: Refusal, at_ns: int) -> Headers:
    headers: list[tuple[str, str]] = []
    if refusal.retry_at_ns is not None:
        left_ms = max(0, -((at_ns - refusal.retry_at_ns) // 1_000_000))
        headers.append(("Retry-After", str(seconds_until(refusal.retry_at_ns, at_ns))))
        headers.append(("retry-after-ms", str(left_ms)))
    should_retry = refusal.should_retry
    if should_retry is None and refusal.kind is RefusalKind.STEP_UP:
        should_retry = False  # only a person can do what is asked for
    if should_retry is not None:
        headers.append(("x-should-retry", "true" if should_retry else "false"))
    return tuple(headers)
