"""What happens to an exchange between its decision and its end, at the edges of the usual."""

import asyncio
import io
import json
import logging

import pytest
import structlog
from msgspec import structs

from proxy.gateway.logs import configure_logs, told

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHAT_STREAM = b'{"model":"m-small","stream":true,"messages":[]}'
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"peat"}}]}\n\n'
METRICS = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_a_client_that_takes_nothing_is_let_go_after_a_while(hasty, upstream):
    gone = asyncio.Event()

    async def flood(call):
        await call.stream()
        try:
            while True:
                await call.chunk(b": " + b"x" * 2**18 + b"\n\n")
        except ConnectionError:
            gone.set()

    upstream.answer = flood
    client = await hasty.connect()
    client.writer.transport.pause_reading()
    await client.send(hasty.post(CHAT_STREAM))
    async with asyncio.timeout(10):
        await gone.wait()
    record = await hasty.last("completion")
    assert (record["error"], record["complete"]) == ("client_stalled", False)


async def test_an_http_1_0_client_sees_by_a_reset_that_its_answer_is_not_whole(gate, upstream):
    received = asyncio.Event()

    async def half(call):
        await call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await call.chunk(b'{"half":')
        await received.wait()
        call.close()

    upstream.answer = half
    client = await gate.connect()
    await client.send(gate.post().replace(b"HTTP/1.1", b"HTTP/1.0", 1))
    await client.head()
    async with asyncio.timeout(10):
        assert await client.reader.readexactly(8) == b'{"half":'
        received.set()
        with pytest.raises(ConnectionResetError):
            await client.reader.read()


async def test_a_stream_that_breaks_after_its_own_end_gets_no_error_event(gate, upstream):
    async def answer(call):
        await call.stream()
        await call.chunk(EVENT + b"data: [DONE]\n\n")
        call.close()

    upstream.answer = answer
    got = await gate.ask(gate.post(CHAT_STREAM))
    assert (got.whole, got.body) == (True, EVENT + b"data: [DONE]\n\n")


async def test_an_error_in_place_of_a_stream_keeps_its_length(gate, upstream):
    async def refuse(call):
        await call.reply(b'{"error":{}}', status="400 Bad Request")

    upstream.answer = refuse
    got = await gate.ask(gate.post(CHAT_STREAM))
    assert (got.status, got.get("content-length"), got.body) == (400, "12", b'{"error":{}}')


@pytest.mark.parametrize("value", [b"a\rX-Smuggled: 1", b"a\x00b"])
async def test_a_header_that_could_be_read_as_two_is_not_passed_on(gate, upstream, value):
    async def answer(call):
        await call.send(b"HTTP/1.1 200 OK\r\nX-Odd: %b\r\nContent-Length: 2\r\n\r\n{}" % value)

    upstream.answer = answer
    got = await gate.ask(gate.post())
    assert got.status == 502
    assert (await gate.last("completion"))["error"] == "upstream_malformed"


async def test_a_delayed_exchange_whose_client_leaves_is_never_sent(
    gate, upstream, monkeypatch, eventually
):
    pipeline, decided = gate.server.gateway.pipeline, asyncio.Event()
    decide = pipeline.decide

    def delaying(weighed, readings):
        decided.set()
        return structs.replace(decide(weighed, readings), delay_s=3600.0)

    monkeypatch.setattr(pipeline, "decide", delaying)
    client = await gate.connect()
    await client.send(gate.post(key=(key := gate.key("counted"))))
    async with asyncio.timeout(10):
        await decided.wait()
    client.close()
    await gate.idle()
    monkeypatch.undo()
    assert upstream.requests == []
    record = await gate.last("completion")
    assert (record["forwarded"], record["error"]) == (False, "client_gone")
    assert (await gate.remaining(key))[0] == 1000


async def test_a_delayed_exchange_is_served_when_its_time_has_come(gate, upstream, monkeypatch):
    pipeline = gate.server.gateway.pipeline
    decide = pipeline.decide
    monkeypatch.setattr(
        pipeline, "decide", lambda *given: structs.replace(decide(*given), delay_s=0.01)
    )
    assert (await gate.ask(gate.post())).status == 200


async def test_a_defect_while_weighing_is_recorded_as_a_refusal_and_logged_without_its_text(
    gate, upstream, monkeypatch
):
    pipeline = gate.server.gateway.pipeline
    weigh = pipeline.weigh

    def broken(arrival, surface, who, problem=None, batch=None):
        if problem is None:
            raise LookupError("sk-secret")
        return weigh(arrival, surface, who, problem, batch)

    monkeypatch.setattr(pipeline, "weigh", broken)
    with structlog.testing.capture_logs() as logs:
        got = await gate.ask(gate.post())
    assert got.status == 500
    record = await gate.last("decision")
    assert (record["verdict"], record["refusal"]) == ("deny", "internal")
    (line,) = [line for line in logs if line["event"] == "defect"]
    assert line["error"] == "LookupError"
    assert "sk-secret" not in json.dumps(line)


async def test_a_defect_while_judging_gives_back_what_was_taken(gate, upstream, monkeypatch):
    pipeline, key = gate.server.gateway.pipeline, gate.key("counted")
    decide, calls = pipeline.decide, []

    def broken(weighed, readings):
        calls.append(weighed)
        if len(calls) == 1:
            raise LookupError
        return decide(weighed, readings)

    monkeypatch.setattr(pipeline, "decide", broken)
    assert (await gate.ask(gate.post(key=key))).status == 500
    assert (await gate.remaining(key))[0] == 1000


async def test_a_defect_in_watching_a_decision_gives_back_what_was_taken(
    gate, upstream, monkeypatch
):
    key = gate.key("counted")

    def broken(*_):
        monkeypatch.undo()
        raise LookupError

    monkeypatch.setattr(gate.server.gateway.pipeline, "observe", broken)
    assert (await gate.ask(gate.post(key=key))).status == 500
    assert (await gate.remaining(key))[0] == 1000


async def test_only_streams_count_as_streams(gate, upstream):
    held = asyncio.Event()

    async def answer(call):
        if b'"stream":true' not in call.request.body:
            await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{")
            await held.wait()
            await call.send(b"}")
            return
        await call.stream()
        await held.wait()
        await call.chunk(b"")

    upstream.answer = answer
    clients = [await gate.connect() for _ in range(2)]
    for client, body in zip(clients, (CHAT_STREAM, b'{"messages":[]}'), strict=True):
        await client.send(gate.post(body))
        await client.head()
    told_by = (await gate.ask(METRICS, admin=True)).body
    assert b"gauger_open_streams 1.0" in told_by
    assert b"gauger_exchanges_under_way 2.0" in told_by
    held.set()
    await gate.idle()


async def test_what_libraries_log_leaves_without_what_they_put_into_it(monkeypatch):
    err, before = io.StringIO(), logging.getLogger().handlers[:]
    monkeypatch.setattr("sys.stderr", err)
    try:
        configure_logs()
        logging.getLogger("aiohttp.server").error("from %s", "192.0.2.7", exc_info=KeyError("k"))
    finally:
        logging.getLogger().handlers[:] = before
        structlog.reset_defaults()
    line = json.loads(err.getvalue())
    assert (line["event"], line["logger"], line["error"]) == (
        "from %s",
        "aiohttp.server",
        "KeyError",
    )
    assert "192.0.2.7" not in err.getvalue()


def _raise():
    raise ValueError("a prompt")


async def test_a_defect_is_told_by_its_type_and_place():
    with pytest.raises(ValueError, match="a prompt") as caught:
        _raise()
    fields = told(caught.value)
    assert fields["error"] == "ValueError"
    assert str(fields["places"][0]).endswith("_raise")
    assert "a prompt" not in str(fields)
