"""What the upstream does wrong becomes an error in the caller's dialect, and is charged fairly."""

import asyncio
import json
import socket
from contextlib import contextmanager

import pytest
from multidict import CIMultiDict

from proxy.gateway.upstream import Failure
from proxy.gateway.upstream import Upstream as UpstreamApi
from proxy.model.exchange import Dialect
from proxy.settings.schema import Upstream as UpstreamSettings

pytestmark = pytest.mark.asyncio(loop_scope="session")

DIALECTS = ("openai", "anthropic")
CHAT_STREAM = b'{"model":"m-small","stream":true,"messages":[]}'
MESSAGE_STREAM = b'{"model":"m-small","stream":true,"max_tokens":9,"messages":[]}'
CHAT_EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"peat"}}]}\n\n'
MESSAGE_EVENT = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"peat"}}\n\n'
)


def asking(gate, dialect, key=None, *, stream=False):
    """A request in a dialect."""
    if dialect == "openai":
        return gate.post(*([CHAT_STREAM] if stream else []), key=key)
    return gate.message(*([MESSAGE_STREAM] if stream else []), key=key)


def error_type(dialect, answer):
    """The error's type; asserts that the body is an error of the dialect."""
    body = answer.json()
    if dialect == "anthropic":
        assert body["type"] == "error"
        assert body["request_id"] == answer.get("request-id")
    else:
        assert set(body["error"]) == {"message", "type", "param", "code"}
        assert answer.get("x-request-id")
    return body["error"]["type"]


@contextmanager
def unanswering():
    """An address whose backlog is full: connections to it are never established."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for one in waiting:
            one.close()


def nobody():
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


async def test_an_unreachable_upstream_is_a_502_and_costs_nothing(open_gate):
    gate = await open_gate(url=nobody())
    key = gate.key("counted")
    for dialect, kind in (("openai", "server_error"), ("anthropic", "api_error")):
        got = await gate.ask(asking(gate, dialect, key))
        assert (got.status, error_type(dialect, got)) == (502, kind)
        record = await gate.last("completion")
        assert (record["error"], record["forwarded"]) == ("upstream_unreachable", False)
        assert ["counted", "requests", -1] in record["corrections"]
    charges = (await gate.records("decision"))[-1].fields["charges"]
    assert [charge[5] for charge in charges] == [0, 0]  # counted before: nothing is left


async def test_an_upstream_that_takes_no_connection_is_a_504_and_costs_nothing(open_gate):
    with unanswering() as url:
        gate = await open_gate(url=url, upstreams={"openai": {"connect_timeout_s": 0.2}})
        key = gate.key("counted")
        for _ in range(2):
            got = await gate.ask(gate.post(key=key))
            assert (got.status, error_type("openai", got)) == (504, "server_error")
        record = await gate.last("completion")
        assert (record["error"], record["forwarded"]) == ("connect_timeout", False)
        charges = (await gate.records("decision"))[-1].fields["charges"]
        assert [charge[5] for charge in charges] == [0, 0]


async def test_an_upstream_whose_name_is_unknown_is_a_502(open_gate):
    gate = await open_gate(url="http://nowhere.invalid")
    got = await gate.ask(gate.post())
    assert got.status == 502
    assert b"nowhere" not in got.body


async def reset(call):
    call.reset()


async def close(call):
    call.close()


async def garbage(call):
    await call.send(b"220 mail.example ESMTP\r\n")
    await call.ended()


async def bad_status(call):
    await call.send(b"HTTP/1.1 two hundred\r\n\r\n")
    await call.ended()


async def conflicting(call):
    await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc")
    await call.ended()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("part", "word"),
    [
        (reset, "upstream_reset"),
        (close, "upstream_reset"),
        (garbage, "upstream_malformed"),
        (bad_status, "upstream_malformed"),
        (conflicting, "upstream_malformed"),
    ],
)
async def test_an_upstream_that_gives_no_answer_is_a_502(gate, upstream, dialect, part, word):
    upstream.answer = part
    key = gate.key("counted")
    got = await gate.ask(asking(gate, dialect, key))
    assert got.status == 502
    assert error_type(dialect, got) == {"openai": "server_error", "anthropic": "api_error"}[dialect]
    record = await gate.last("completion")
    assert (record["error"], record["complete"]) == (word, False)
    upstream.fresh()
    assert (await gate.remaining(key))[0] == 999  # it was sent: the request stays charged


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_upstream_that_never_begins_to_answer_is_a_504(hasty, upstream, dialect):
    gone = asyncio.Event()

    async def silent(call):
        await call.ended()
        gone.set()

    upstream.answer = silent
    got = await hasty.ask(asking(hasty, dialect))
    assert got.status == 504
    kind = {"openai": "server_error", "anthropic": "timeout_error"}[dialect]
    assert error_type(dialect, got) == kind
    assert (await hasty.last("completion"))["error"] == "upstream_timeout"
    async with asyncio.timeout(5):
        await gone.wait()


async def then_reset(call):
    await asyncio.sleep(0.02)  # so that what was written leaves before the reset
    call.reset()


async def then_close(call):
    call.close()


async def then_silence(call):
    await call.ended()


async def then_garbage(call):
    await call.send(b"zz\r\nno chunk\r\n")
    await call.ended()


BREAKS = [
    (then_reset, "upstream_reset"),
    (then_close, "upstream_reset"),
    (then_garbage, "upstream_reset"),
    (then_silence, "idle_timeout"),
]


@pytest.mark.parametrize(("breaks", "word"), BREAKS)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_stream_that_breaks_ends_properly_with_an_error_event(
    hasty, upstream, dialect, breaks, word
):
    event = CHAT_EVENT if dialect == "openai" else MESSAGE_EVENT

    async def answer(call):
        await call.stream()
        await call.chunk(event)
        await received.wait()
        await breaks(call)

    upstream.answer, received = answer, asyncio.Event()
    client = await hasty.connect()
    await client.send(asking(hasty, dialect, stream=True))
    got = await client.head()
    assert (got.status, await client.chunk()) == (200, event)
    received.set()
    got = await client.rest(got)
    assert got.whole
    told = got.body
    name, _, data = told.partition(b"data: ") if dialect == "anthropic" else (b"", b"", told[6:])
    assert name == (b"event: error\n" if dialect == "anthropic" else b"")
    assert json.loads(data)["error"]["message"].startswith("The model API ")
    record = await hasty.last("completion")
    assert (record["error"], record["complete"]) == (word, False)
    assert record["delivered_output"] == 1
    upstream.fresh()
    assert (await client.ask(hasty.post())).status == 200  # the connection serves on


@pytest.mark.parametrize("hidden", [True, False])
async def test_what_came_together_with_the_break_is_delivered(gate, upstream, hidden):
    async def answer(call):
        await call.stream()
        await call.chunk(CHAT_EVENT)
        call.close()

    upstream.answer = answer
    asked = CHAT_STREAM if hidden else MESSAGE_STREAM
    got = await gate.ask(gate.post(asked) if hidden else gate.message(asked))
    assert got.body.startswith(CHAT_EVENT)
    assert b'"error":' in got.body


async def test_a_stream_that_breaks_inside_an_event_ends_that_event_first(gate, upstream):
    async def answer(call):
        await call.stream()
        await call.chunk(CHAT_EVENT + CHAT_EVENT[:40])
        call.close()

    upstream.answer = answer
    got = await gate.ask(gate.post(CHAT_STREAM))
    assert got.whole
    assert got.body.split(b"\n\n")[-2].startswith(b'data: {"error":')


@pytest.mark.parametrize(("breaks", "word"), BREAKS)
async def test_an_answer_that_is_no_stream_is_cut_off_visibly(hasty, upstream, breaks, word):
    async def answer(call):
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        await call.send(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        await call.chunk(b'{"half":')
        await received.wait()
        await breaks(call)

    upstream.answer, received = answer, asyncio.Event()
    client = await hasty.connect()
    await client.send(hasty.post())
    got = await client.head()
    assert (got.status, await client.chunk()) == (200, b'{"half":')
    received.set()
    got = await client.rest(got)
    assert (got.whole, got.body) == (False, b"")
    assert (await hasty.last("completion"))["error"] == word


@pytest.mark.parametrize(("breaks", "word"), [BREAKS[0], BREAKS[1], BREAKS[3]])
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_an_answer_shorter_than_its_length_is_cut_off_visibly(
    hasty, upstream, kind, breaks, word
):
    async def answer(call):
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: 1000\r\n\r\n"
        await call.send(head.encode() + CHAT_EVENT)
        await breaks(call)

    upstream.answer = answer
    got = await hasty.ask(hasty.message())
    assert (got.status, got.whole, got.body) == (200, False, CHAT_EVENT)
    assert (await hasty.last("completion"))["error"] == word


async def test_the_idle_time_counts_from_the_headers(hasty, upstream):
    async def answer(call):
        await call.stream()
        await call.ended()

    upstream.answer = answer
    got = await hasty.ask(hasty.post(CHAT_STREAM))
    assert got.body.startswith(b'data: {"error":')
    assert (await hasty.last("completion"))["error"] == "idle_timeout"


async def test_the_idle_time_of_an_answer_that_is_over_does_not_reach_the_next_one(upstream):
    """The end of a large answer comes while its beginning still waits here to be read."""

    async def answer(call):
        await call.reply(b"x" * 180_000)

    upstream.answer = answer
    settings = UpstreamSettings(url=upstream.url, idle_timeout_s=0.2)
    api = UpstreamApi(settings, Dialect.OPENAI, None)
    try:
        for _ in range(2):
            response = await api.send("GET", "/v1/models", CIMultiDict(), None)
            assert not isinstance(response, Failure)
            await asyncio.sleep(0.05)  # for all of it to arrive
            while await response.content.readany():
                pass
            await asyncio.sleep(0.3)  # longer than the idle time
    finally:
        await api.close()
    assert upstream.connections == 1


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("status", ["400 Bad", "401 No", "429 Slow Down", "500 Oops", "529 Busy"])
async def test_an_upstreams_own_error_passes_unchanged_and_costs_no_tokens(
    gate, upstream, dialect, status
):
    said = b'{"error": {"message" : "own words"}}'

    async def answer(call):
        fields = ("Retry-After: 7", "x-should-retry: true", "request-id: req-1")
        await call.reply(said, *fields, status=status)

    upstream.answer = answer
    key = gate.key("counted")
    client = await gate.connect()
    got = await client.ask(asking(gate, dialect, key, stream=True))
    assert got.line == f"HTTP/1.1 {status}".encode()
    assert got.body == said
    fields = [got.get(name) for name in ("retry-after", "x-should-retry", "request-id")]
    assert fields == ["7", "true", "req-1"]
    record = await gate.last("completion")
    assert record["status"] == int(status[:3])
    upstream.fresh()
    requests, tokens = await gate.remaining(key)
    entry = (await gate.records("decision"))[-1]
    facts = entry.fields["facts"]  # the gateway has learned by now what its models answer
    reserved = facts["request.input_tokens"] + facts.get("request.expected_output_tokens", 1024)
    assert (requests, tokens) == (999, 1_000_000 - reserved)


async def test_a_kept_connection_that_the_upstream_closed_does_not_reach_the_caller(gate, upstream):
    """Models are listed again on a new connection; only what may be sent twice is."""

    async def once(call):
        await call.reply(b"{}")
        call.close()

    for _ in range(3):
        upstream.answer = once
        got = await gate.ask(gate.post(b"", path="/v1/models", method="GET"))
        assert got.status == 200


async def test_a_dialect_that_has_no_upstream_is_refused_and_costs_nothing(open_gate, upstream):
    gate = await open_gate(upstreams={"anthropic": None})
    got = await gate.ask(gate.message(key=(key := gate.key("counted"))))
    assert (got.status, error_type("anthropic", got)) == (404, "not_found_error")
    assert await gate.remaining(key) != (0, 0)
    charges = (await gate.records("decision"))[-1].fields["charges"]
    assert [charge[5] for charge in charges] == [0, 0]


async def test_a_defect_is_an_error_in_the_dialect_and_tells_nothing(gate, upstream, monkeypatch):
    def broken(*_, **__):
        raise LookupError("sk-secret")

    monkeypatch.setattr(gate.server.gateway.pipeline, "weigh", broken)
    got = await gate.ask(gate.message())
    assert (got.status, error_type("anthropic", got)) == (500, "api_error")
    assert b"LookupError" not in got.body
    assert upstream.requests == []
