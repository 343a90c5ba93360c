"""Errors in the words of each dialect, with the fields that the real APIs send beside them."""

from proxy.demo.upstream.reply import Reply, RequestError, event, json_reply
from proxy.model.exchange import Dialect, Headers

_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_OPENAI_TYPES = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}


def refuse(dialect: Dialect, problem: RequestError, headers: Headers = ()) -> Reply:
    """A whole error reply."""
    return json_reply(_body(dialect, problem), problem.status, headers)


def mid_stream(dialect: Dialect, problem: RequestError) -> bytes:
    """The event with which a dialect reports a failure after a stream has begun."""
    name = "error" if dialect is Dialect.ANTHROPIC else None
    return event(_body(dialect, problem), name)


def limit_headers(dialect: Dialect) -> Headers:
    """The upstream's own rate-limit fields, on every answer."""
    if dialect is Dialect.ANTHROPIC:
        return (
            ("anthropic-ratelimit-requests-limit", "4000"),
            ("anthropic-ratelimit-requests-remaining", "3999"),
            ("anthropic-ratelimit-requests-reset", "2026-04-22T00:01:00Z"),
            ("anthropic-organization-id", "org-emulated"),
        )
    return (
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-reset-requests", "6ms"),
        ("openai-organization", "org-emulated"),
        ("openai-processing-ms", "7"),
    )


def _body(dialect: Dialect, problem: RequestError) -> dict[str, object]:
    if dialect is Dialect.ANTHROPIC:
        kind = _ANTHROPIC_TYPES.get(problem.status, "api_error")
        error = {"type": kind, "message": problem.message}
        return {"type": "error", "error": error, "request_id": "req_emulated"}
    kind, code = _OPENAI_TYPES.get(problem.status, ("server_error", None))
    said = {"message": problem.message, "type": kind, "param": problem.param, "code": code}
    return {"error": said}
