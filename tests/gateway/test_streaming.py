"""Streams: every piece goes on when it comes, and only the hidden usage is left out."""

import asyncio
import json

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHAT_STREAM = b'{"model":"m-small","stream":true,"messages":[]}'
MESSAGE_STREAM = b'{"model":"m-small","stream":true,"max_tokens":9,"messages":[]}'


def chat_event(**more):
    return b"data: " + json.dumps({"id": "c", "object": "chat.completion.chunk"} | more).encode()


DELTA = chat_event(choices=[{"index": 0, "delta": {"content": "peat"}}], usage=None) + b"\n\n"
USAGE = (
    chat_event(choices=[], usage={"prompt_tokens": 7, "completion_tokens": 4, "total_tokens": 11})
    + b"\n\n"
)
DONE = b"data: [DONE]\n\n"
PING = b": ping\n\n"
MESSAGE_EVENTS = (
    b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":7,'
    b'"output_tokens":1}}}\n\n',
    b'event: ping\ndata: {"type":"ping"}\n\n',
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
    b'{"type":"text_delta","text":"peat"}}\n\n',
    b'event: message_delta\ndata: {"type":"message_delta","delta":{},"usage":{"output_tokens":'
    b"4}}\n\n",
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
)


def streaming(*chunks, fields=()):
    """The upstream's part: these chunks, one write each."""

    async def answer(call):
        await call.stream(*fields)
        for chunk in chunks:
            await call.chunk(chunk)
        await call.chunk(b"")

    return answer


async def told_by_turns(gate, upstream, request, events):
    """Each event is written only once the client holds the one before."""
    client = await gate.connect()
    got, told = [], asyncio.Event()

    async def answer(call):
        await call.stream()
        got.append(await client.head())
        for event in events:
            await call.chunk(event)
            got.append(await client.chunk())
        await call.chunk(b"")
        got.append(await client.chunk())
        told.set()

    upstream.answer = answer
    await client.send(request)
    await upstream.until(1)
    await asyncio.wait_for(told.wait(), 10)
    await gate.idle()
    assert got[0].status == 200
    assert got[-1] == b""
    return got[1:-1]


async def test_each_chat_event_is_there_before_the_next_is_written(gate, upstream):
    events = [DELTA, PING, DELTA, DELTA, DONE]
    assert await told_by_turns(gate, upstream, gate.post(CHAT_STREAM), events) == events


async def test_each_message_event_is_there_before_the_next_is_written(gate, upstream):
    request = gate.message(MESSAGE_STREAM)
    assert await told_by_turns(gate, upstream, request, MESSAGE_EVENTS) == list(MESSAGE_EVENTS)
    assert (await gate.last("completion"))["usage"]["output"] == 4


async def test_headers_come_before_the_first_byte_of_a_body(gate, upstream):
    client = await gate.connect()
    heads = []

    async def answer(call):
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
        await call.send(b"Content-Length: 2\r\n\r\n")
        heads.append(await client.head())
        await call.send(b"{}")

    upstream.answer = answer
    await client.send(gate.post())
    await upstream.until(1)
    await gate.idle()
    assert heads[0].status == 200
    assert (await client.rest(heads[0])).body == b"{}"


@pytest.mark.parametrize("tail", [[USAGE, DONE], [USAGE + DONE], [USAGE[:60], USAGE[60:], DONE]])
async def test_usage_that_the_client_did_not_ask_for_is_charged_and_hidden(gate, upstream, tail):
    upstream.answer = streaming(DELTA, *tail)
    key = gate.key("counted")
    got = await gate.ask(gate.post(CHAT_STREAM, key=key))
    assert got.body == DELTA + DONE
    record = await gate.last("completion")
    assert (record["complete"], record["usage"]["input"], record["usage"]["output"]) == (True, 7, 4)
    upstream.fresh()
    assert (await gate.remaining(key))[0] == 999


async def test_usage_that_the_client_asked_for_is_shown(gate, upstream):
    upstream.answer = streaming(DELTA, USAGE, DONE)
    asked = CHAT_STREAM[:-1] + b',"stream_options":{"include_usage":true}}'
    got = await gate.ask(gate.post(asked))
    assert upstream.requests[0].body == asked
    assert got.body == DELTA + USAGE + DONE
    assert (await gate.last("completion"))["usage"]["output"] == 4


@pytest.mark.parametrize("size", [1, 3, 17, 64, 4096])
async def test_any_cutting_of_a_stream_gives_the_same_bytes_and_usage(gate, upstream, size):
    stream = (DELTA * 3 + PING + USAGE + DONE).replace(b"\n", b"\r\n")
    upstream.answer = streaming(*(stream[at : at + size] for at in range(0, len(stream), size)))
    got = await gate.ask(gate.post(CHAT_STREAM))
    assert got.body == (DELTA * 3 + PING + DONE).replace(b"\n", b"\r\n")
    assert (await gate.last("completion"))["usage"]["output"] == 4


@pytest.mark.parametrize("size", [1, 7, 50])
async def test_any_cutting_of_a_message_stream_too(gate, upstream, size):
    stream = b"".join(MESSAGE_EVENTS)
    upstream.answer = streaming(*(stream[at : at + size] for at in range(0, len(stream), size)))
    got = await gate.ask(gate.message(MESSAGE_STREAM))
    assert got.body == stream
    usage = (await gate.last("completion"))["usage"]
    assert (usage["input"], usage["output"]) == (7, 4)


async def test_a_stream_larger_than_every_buffer_waits_for_its_reader(gate, upstream, eventually):
    """A client that does not read stops the upstream; nothing is lost once it reads on."""
    pieces = 600
    piece = chat_event(choices=[{"index": 0, "delta": {"content": "x" * 60_000}}]) + b"\n\n"
    written = 0

    async def answer(call):
        nonlocal written
        call.writer.transport.set_write_buffer_limits(high=0)
        await call.stream()
        for _ in range(pieces):
            await call.chunk(piece)
            written += 1
        await call.chunk(b"")

    upstream.answer = answer
    client = await gate.connect()
    await client.send(gate.post(CHAT_STREAM))
    head = await client.head()
    await eventually(lambda: written > 3)
    before = -1
    while before != written:  # until back-pressure holds the upstream
        before = written
        await gate.ask(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", admin=True)
    assert written < pieces
    got = await client.rest(head)
    assert len(got.body) == pieces * len(piece)


async def test_requests_follow_each_other_on_one_connection(gate, upstream):
    client = await gate.connect()
    upstream.answer = streaming(DELTA, DONE)
    first = await client.ask(gate.post(CHAT_STREAM))
    second = await client.ask(gate.post(key="sk-nobody"))
    third = await client.ask(gate.message(MESSAGE_STREAM))
    assert [one.status for one in (first, second, third)] == [200, 401, 200]
    assert first.body == third.body == DELTA + DONE
    assert upstream.connections <= 2  # one for each dialect


async def test_pipelined_requests_are_answered_in_order(gate, upstream):
    async def answer(call):
        await call.reply(call.request.line.split(b" ")[1])

    upstream.answer = answer
    client = await gate.connect()
    paths = [f"/v1/models/m-{number}" for number in range(5)]
    await client.send(b"".join(gate.post(b"", path=path, method="GET") for path in paths))
    answers = [await client.rest(await client.head()) for _ in paths]
    assert [one.body.decode() for one in answers] == paths


async def test_a_request_that_comes_byte_by_byte_is_the_same_request(gate, upstream):
    client = await gate.connect()
    request = gate.post()
    for at in range(len(request)):
        await client.send(request[at : at + 1])
    got = await client.rest(await client.head())
    assert got.status == 200
    assert upstream.requests[0].body == request[-len(upstream.requests[0].body) :]
