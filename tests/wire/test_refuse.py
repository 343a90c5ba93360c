import json

import anthropic
import httpx2
import openai
import pytest

from proxy.model.decision import LimitState, Refusal
from proxy.model.exchange import Dialect
from proxy.model.verdict import RefusalKind, Unit
from proxy.wire.refuse import answer, stream_error

NS = 1_000_000_000
AT = 1_776_816_000 * NS
ID = "x-0001"

TPM = LimitState("tpm", Unit.TOKENS, 1000, 0, 60, AT + 20 * NS)
RPM = LimitState("rpm", Unit.REQUESTS, 10, 0, 60, AT + 20 * NS)


def refuse(dialect, refusal, limits=(), **options):
    return answer(dialect, refusal, limits, exchange_id=ID, at_ns=AT, **options)


def openai_client(status, headers, body):
    transport = httpx2.MockTransport(
        lambda request: httpx2.Response(status, headers=list(headers), content=body)
    )
    http = openai.DefaultHttpxClient(transport=transport)
    return openai.OpenAI(
        api_key="k", base_url="http://api.test/v1", max_retries=0, http_client=http
    )


def anthropic_client(status, headers, body):
    transport = httpx2.MockTransport(
        lambda request: httpx2.Response(status, headers=list(headers), content=body)
    )
    http = anthropic.DefaultHttpxClient(transport=transport)
    return anthropic.Anthropic(
        api_key="k", base_url="http://api.test", max_retries=0, http_client=http
    )


def raised_by_openai(got):
    with (
        openai_client(got.status, got.headers, got.body) as client,
        pytest.raises(openai.APIError) as caught,
    ):
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
    return caught.value


def raised_by_anthropic(got):
    with (
        anthropic_client(got.status, got.headers, got.body) as client,
        pytest.raises(anthropic.APIError) as caught,
    ):
        client.messages.create(model="m", max_tokens=5, messages=[{"role": "user", "content": "x"}])
    return caught.value


@pytest.mark.parametrize(
    ("kind", "status", "type_", "code", "raised"),
    [
        (RefusalKind.BAD_REQUEST, 400, "invalid_request_error", None, openai.BadRequestError),
        (
            RefusalKind.AUTHENTICATION,
            401,
            "invalid_request_error",
            "invalid_api_key",
            openai.AuthenticationError,
        ),
        (
            RefusalKind.PERMISSION,
            403,
            "invalid_request_error",
            "permission_denied",
            openai.PermissionDeniedError,
        ),
        (
            RefusalKind.REGION,
            403,
            "request_forbidden",
            "unsupported_country_region_territory",
            openai.PermissionDeniedError,
        ),
        (
            RefusalKind.STEP_UP,
            403,
            "invalid_request_error",
            "step_up_required",
            openai.PermissionDeniedError,
        ),
        (RefusalKind.NOT_FOUND, 404, "invalid_request_error", None, openai.NotFoundError),
        (
            RefusalKind.TOO_LARGE,
            413,
            "invalid_request_error",
            "request_too_large",
            openai.APIStatusError,
        ),
        (RefusalKind.RATE_LIMIT, 429, "requests", "rate_limit_exceeded", openai.RateLimitError),
        (RefusalKind.OVERLOADED, 503, "server_error", "overloaded", openai.InternalServerError),
        (RefusalKind.UPSTREAM, 502, "server_error", "bad_gateway", openai.InternalServerError),
        (RefusalKind.TIMEOUT, 504, "server_error", "timeout", openai.InternalServerError),
        (RefusalKind.INTERNAL, 500, "server_error", None, openai.InternalServerError),
    ],
)
def test_the_openai_sdk_raises_the_class_of_each_refusal(kind, status, type_, code, raised):
    got = refuse(Dialect.OPENAI, Refusal(kind, "No.", param="model"))
    error = raised_by_openai(got)
    assert got.status == status
    assert type(error) is raised
    assert (error.type, error.code, error.param) == (type_, code, "model")
    assert error.body["message"] == "No."
    assert error.request_id == ID


@pytest.mark.parametrize(
    ("kind", "status", "type_", "raised"),
    [
        (RefusalKind.BAD_REQUEST, 400, "invalid_request_error", anthropic.BadRequestError),
        (RefusalKind.AUTHENTICATION, 401, "authentication_error", anthropic.AuthenticationError),
        (RefusalKind.PERMISSION, 403, "permission_error", anthropic.PermissionDeniedError),
        (RefusalKind.REGION, 403, "permission_error", anthropic.PermissionDeniedError),
        (RefusalKind.STEP_UP, 403, "permission_error", anthropic.PermissionDeniedError),
        (RefusalKind.NOT_FOUND, 404, "not_found_error", anthropic.NotFoundError),
        (RefusalKind.TOO_LARGE, 413, "request_too_large", anthropic.RequestTooLargeError),
        (RefusalKind.RATE_LIMIT, 429, "rate_limit_error", anthropic.RateLimitError),
        (RefusalKind.OVERLOADED, 529, "overloaded_error", anthropic.OverloadedError),
        (RefusalKind.UPSTREAM, 502, "api_error", anthropic.InternalServerError),
        (RefusalKind.TIMEOUT, 504, "timeout_error", anthropic.InternalServerError),
        (RefusalKind.INTERNAL, 500, "api_error", anthropic.InternalServerError),
    ],
)
def test_the_anthropic_sdk_raises_the_class_of_each_refusal(kind, status, type_, raised):
    got = refuse(Dialect.ANTHROPIC, Refusal(kind, "No.", param="max_tokens"))
    error = raised_by_anthropic(got)
    assert got.status == status
    assert isinstance(error, raised)
    assert error.request_id == ID
    assert error.body == {
        "type": "error",
        "error": {"type": type_, "message": "max_tokens: No."},
        "request_id": ID,
    }


def test_every_kind_of_refusal_has_an_answer_in_every_dialect():
    for dialect in Dialect:
        for kind in RefusalKind:
            got = refuse(dialect, Refusal(kind, "No."))
            assert got.status >= 400
            assert ("Content-Type", "application/json") in got.headers


def test_a_token_limit_says_so_to_openai_callers():
    refusal = Refusal(RefusalKind.RATE_LIMIT, "Too many tokens.", limit=TPM)
    error = raised_by_openai(refuse(Dialect.OPENAI, refusal))
    assert (error.type, error.code) == ("tokens", "rate_limit_exceeded")


def test_a_request_that_never_fits_is_a_limit_and_not_a_spent_quota():
    refusal = Refusal(RefusalKind.RATE_LIMIT, "Too large.", limit=TPM, should_retry=False)
    got = refuse(Dialect.OPENAI, refusal)
    assert raised_by_openai(got).code == "rate_limit_exceeded"
    assert dict(got.headers)["x-should-retry"] == "false"


def test_a_quota_that_only_a_person_can_lift_is_insufficient_quota_and_not_retried():
    spent = Refusal(RefusalKind.RATE_LIMIT, "Spent.", should_retry=False, spent=True)
    got = refuse(Dialect.OPENAI, spent)
    error = raised_by_openai(got)
    assert isinstance(error, openai.RateLimitError)
    assert (error.type, error.code) == ("insufficient_quota", "insufficient_quota")
    assert dict(got.headers)["x-should-retry"] == "false"
    assert "Retry-After" not in dict(got.headers)


@pytest.mark.parametrize(
    ("wait_ns", "seconds", "milliseconds"),
    [
        (0, "0", "0"),
        (-NS, "0", "0"),
        (1, "1", "1"),
        (NS, "1", "1000"),
        (NS + 1, "2", "1001"),
        (61 * NS - 1, "61", "61000"),
    ],
)
def test_the_wait_is_exact_and_rounded_up(wait_ns, seconds, milliseconds):
    refusal = Refusal(RefusalKind.RATE_LIMIT, "Slow down.", limit=RPM, retry_at_ns=AT + wait_ns)
    headers = dict(refuse(Dialect.OPENAI, refusal).headers)
    assert headers["Retry-After"] == seconds
    assert headers["retry-after-ms"] == milliseconds
    assert "x-should-retry" not in headers


def test_both_sdks_wait_as_long_as_a_refusal_says():
    refusal = Refusal(RefusalKind.RATE_LIMIT, "Slow down.", retry_at_ns=AT + 1_500_000_000)
    for dialect, make in ((Dialect.OPENAI, openai_client), (Dialect.ANTHROPIC, anthropic_client)):
        headers = httpx2.Headers(list(refuse(dialect, refusal).headers))
        with make(429, (), b"") as client:
            assert client._parse_retry_after_header(headers) == 1.5


def test_both_sdks_obey_should_retry():
    for should_retry in (False, True):
        refusal = Refusal(RefusalKind.PERMISSION, "No.", should_retry=should_retry)
        for dialect, make in (
            (Dialect.OPENAI, openai_client),
            (Dialect.ANTHROPIC, anthropic_client),
        ):
            got = refuse(dialect, refusal)
            response = httpx2.Response(got.status, headers=list(got.headers))
            with make(403, (), b"") as client:
                assert client._should_retry(response) is should_retry


def test_limits_stand_on_a_refusal_as_on_any_answer():
    refusal = Refusal(RefusalKind.RATE_LIMIT, "Slow down.", limit=RPM, retry_at_ns=AT + 20 * NS)
    headers = dict(refuse(Dialect.OPENAI, refusal, (RPM, TPM)).headers)
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert headers["RateLimit"] == '"rpm";r=0;t=20, "tpm";r=0;t=20'
    assert headers["Retry-After"] == "20"


@pytest.mark.parametrize(
    ("status", "openai_type", "anthropic_type"),
    [
        (401, "invalid_request_error", "authentication_error"),
        (413, "invalid_request_error", "request_too_large"),
        (415, "invalid_request_error", "invalid_request_error"),
        (451, "invalid_request_error", "invalid_request_error"),
    ],
)
def test_a_status_of_its_own_brings_the_type_that_belongs_to_it(
    status, openai_type, anthropic_type
):
    refusal = Refusal(RefusalKind.BAD_REQUEST, "No.", status=status)
    by_openai = refuse(Dialect.OPENAI, refusal)
    by_anthropic = refuse(Dialect.ANTHROPIC, refusal)
    assert by_openai.status == by_anthropic.status == status
    assert json.loads(by_openai.body)["error"]["type"] == openai_type
    assert json.loads(by_anthropic.body)["error"]["type"] == anthropic_type


def test_the_answer_to_a_head_request_has_no_body():
    got = refuse(Dialect.OPENAI, Refusal(RefusalKind.NOT_FOUND, "No."), head=True)
    assert got.body == b""
    assert got.status == 404


def test_a_message_that_quotes_a_lone_surrogate_is_still_utf_8():
    for dialect in Dialect:
        got = refuse(dialect, Refusal(RefusalKind.BAD_REQUEST, "no \ud800", param="\udfff"))
        assert "no ?" in got.body.decode("utf-8")


def stream_of(*parts):
    return httpx2.Headers({"content-type": "text/event-stream"}), b"".join(parts)


UPSTREAM_GONE = Refusal(RefusalKind.UPSTREAM, "The upstream closed the connection.")


def test_the_openai_sdk_raises_the_error_in_the_middle_of_a_chat_stream(surface):
    event = stream_error(surface("/v1/chat/completions"), UPSTREAM_GONE, exchange_id=ID)
    headers, body = stream_of(b'data: {"id":"c","choices":[]}\n\n', event)
    with openai_client(200, headers.items(), body) as client:
        stream = client.chat.completions.create(model="m", messages=[], stream=True)
        assert next(stream).id == "c"
        with pytest.raises(openai.APIError, match="closed the connection") as caught:
            next(stream)
    assert caught.value.code == "bad_gateway"


def test_the_openai_sdk_raises_the_error_in_the_middle_of_a_responses_stream(surface):
    event = stream_error(surface("/v1/responses"), UPSTREAM_GONE, exchange_id=ID)
    assert event.startswith(b"event: error\ndata: ")
    flat = json.loads(event.partition(b"data: ")[2])
    assert flat["type"] == "error"
    assert flat["code"] == "bad_gateway"
    assert flat["message"] == flat["error"]["message"] == UPSTREAM_GONE.message
    headers, body = stream_of(event)
    with openai_client(200, headers.items(), body) as client:
        stream = client.responses.create(model="m", input="x", stream=True)
        with pytest.raises(openai.APIError, match="closed the connection"):
            next(stream)


def test_the_anthropic_sdk_raises_the_error_in_the_middle_of_a_stream():
    event = stream_error(Dialect.ANTHROPIC, UPSTREAM_GONE, exchange_id=ID)
    headers, body = stream_of(b'event: message_stop\ndata: {"type":"message_stop"}\n\n', event)
    with anthropic_client(200, headers.items(), body) as client:
        stream = client.messages.create(model="m", max_tokens=5, messages=[], stream=True)
        events = iter(stream)
        assert next(events).type == "message_stop"
        with pytest.raises(anthropic.APIStatusError) as caught:
            next(events)
    assert caught.value.body["error"] == {"type": "api_error", "message": UPSTREAM_GONE.message}
    assert caught.value.body["request_id"] == ID


def test_an_error_inside_a_broken_event_ends_that_event_first():
    plain = stream_error(Dialect.OPENAI, UPSTREAM_GONE, exchange_id=ID)
    broken = stream_error(Dialect.OPENAI, UPSTREAM_GONE, exchange_id=ID, mid_event=True)
    assert broken == b"\n\n" + plain


@pytest.mark.parametrize("dialect", Dialect)
def test_only_a_person_can_step_up_so_that_no_sdk_tries_again(dialect):
    headers = dict(refuse(dialect, Refusal(RefusalKind.STEP_UP, "Verify first.")).headers)
    assert headers["x-should-retry"] == "false"
