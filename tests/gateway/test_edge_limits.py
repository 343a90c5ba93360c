"""Limits on what callers may send, and how slowly."""

import asyncio
import gzip

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = {"max_body_bytes": 5000, "max_json_depth": 8}


async def test_a_body_that_says_it_is_too_large_is_refused_unread(open_gate, upstream):
    gate = await open_gate(server=SMALL)
    for path in ("/v1/chat/completions", "/v1/files"):
        got = await gate.ask(gate.post(b"", "Content-Length: 5001", path=path))
        assert (got.status, got.get("x-should-retry")) == (413, "false")
    got = await gate.ask(gate.message(b"", "Content-Length: 5001"))
    assert got.json()["error"]["type"] == "request_too_large"
    assert upstream.requests == []


async def test_a_chunked_body_is_refused_where_it_becomes_too_large(open_gate, upstream):
    gate = await open_gate(server=SMALL)
    client = await gate.connect()
    await client.send(gate.post(b"", "Transfer-Encoding: chunked"))
    for _ in range(3):
        await client.send(b"%x\r\n%b\r\n" % (2000, b" " * 2000))
    got = await client.rest(await client.head())
    assert (got.status, got.get("connection")) == (413, "close")
    assert upstream.requests == []


async def test_a_body_of_just_the_limit_is_served(open_gate, upstream):
    gate = await open_gate(server=SMALL)
    body = b'{"messages":[]}'.ljust(5000)
    assert (await gate.ask(gate.post(body))).status == 200
    assert upstream.requests[0].body == body


async def test_a_small_body_that_unpacks_to_a_large_one_is_refused(open_gate, upstream):
    gate = await open_gate(server=SMALL)
    bomb = gzip.compress(b" " * 10_000_000)
    for data in (gzip.compress(b" " * 6000), bomb[:5000]):
        got = await gate.ask(gate.post(data, "Content-Encoding: gzip"))
        assert got.status == 413
    assert upstream.requests == []


async def test_a_body_nested_too_deeply_is_refused(open_gate, upstream):
    gate = await open_gate(server=SMALL)
    deep = b'{"messages":[],"x":%b%b}' % (b"[" * 2000, b"]" * 2000)
    assert (await gate.ask(gate.post(deep))).status == 400
    assert upstream.requests == []


async def test_a_body_that_does_not_come_in_time_is_refused_with_408(open_gate, upstream):
    gate = await open_gate(server={"body_timeout_s": 0.1})
    for request in (gate.post(), gate.message()):
        client = await gate.connect()
        await client.send(request[:-3])
        got = await client.rest(await client.head())
        assert (got.status, got.get("connection")) == (408, "close")
    assert upstream.requests == []


async def test_an_upload_that_stalls_is_refused_and_cut_off_upstream(open_gate, upstream):
    gate = await open_gate(server={"body_timeout_s": 0.1})
    upstream.read_body = False
    gone = asyncio.Event()

    async def answer(call):
        await call.ended()
        gone.set()

    upstream.answer = answer
    client = await gate.connect()
    await client.send(gate.post(b"x" * 100, path="/v1/files")[:-3])
    got = await client.rest(await client.head())
    assert (got.status, got.get("connection")) == (408, "close")
    async with asyncio.timeout(5):
        await gone.wait()
    assert (await gate.last("completion"))["error"] == "upload_timeout"


async def test_headers_that_do_not_come_in_time_end_the_connection(open_gate, upstream):
    gate = await open_gate(server={"header_timeout_s": 0.1})
    client = await gate.connect()
    await client.send(gate.post()[:30])
    assert await client.ended() == b""
    assert (await client_after_one_answer(gate)) == b""
    assert upstream.requests[0].body


async def client_after_one_answer(gate):
    """What a client gets that dribbles the headers of its second request."""
    client = await gate.connect()
    assert (await client.ask(gate.post())).status == 200
    await client.send(gate.post()[:30])
    return await client.ended()


async def test_dribbling_does_not_buy_headers_more_time(open_gate):
    gate = await open_gate(server={"header_timeout_s": 0.2})
    client = await gate.connect()
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def dribble():
        for byte in gate.post():
            await client.send(bytes([byte]))
            await asyncio.sleep(0.05)

    sending = asyncio.create_task(dribble())
    assert await client.ended() == b""
    assert loop.time() - began < 2
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)


async def test_an_idle_connection_is_closed_after_a_while(open_gate):
    gate = await open_gate(server={"keepalive_s": 0.1})
    client = await gate.connect()
    assert (await client.ask(gate.post())).status == 200
    assert await client.ended() == b""
    silent = await gate.connect()
    assert await silent.ended() == b""


async def test_an_answer_outlasts_the_time_limits_of_requests(open_gate, upstream):
    times = {"header_timeout_s": 0.05, "body_timeout_s": 0.05, "keepalive_s": 0.05}
    gate = await open_gate(server=times)

    async def answer(call):
        await asyncio.sleep(0.2)
        await call.reply()

    upstream.answer = answer
    assert (await gate.ask(gate.post())).status == 200


async def test_connections_beyond_the_limit_are_told_so_and_closed(open_gate, eventually):
    gate = await open_gate(server={"max_connections": 2})
    held = [await gate.connect() for _ in range(2)]
    assert [(await client.ask(gate.post())).status for client in held] == [200, 200]
    refused = await gate.connect()
    got = await refused.head()
    assert (got.status, got.get("connection")) == (503, "close")
    assert (await refused.ended()).strip() == b"Too many connections."
    assert (await held[0].ask(gate.post())).status == 200
    held[1].close()
    await eventually(lambda: gate.server._front.open_connections == 1)
    assert (await gate.ask(gate.post())).status == 200


async def test_exchanges_beyond_the_limit_are_refused_as_overload(open_gate, upstream):
    gate = await open_gate(server={"max_streams": 2})
    finish = asyncio.Event()

    async def answer(call):
        await finish.wait()
        await call.reply()

    upstream.answer = answer
    held = [await gate.connect() for _ in range(2)]
    for client in held:
        await client.send(gate.post())
    await upstream.until(2)
    for request, status, kind in (
        (gate.post(), 503, "server_error"),
        (gate.message(), 529, "overloaded_error"),
    ):
        got = await gate.ask(request)
        assert (got.status, got.json()["error"]["type"]) == (status, kind)
    finish.set()
    assert [(await client.head()).status for client in held] == [200, 200]
    await gate.idle()
    assert (await gate.ask(gate.post())).status == 200


async def test_an_upload_goes_through_as_fast_as_the_upstream_takes_it(
    open_gate, upstream, eventually
):
    gate = await open_gate(server={"max_body_bytes": 2**26})
    total, sent, arrived = 2**26, 0, 0
    go_on = asyncio.Event()
    upstream.read_body = False

    async def answer(call):
        nonlocal arrived
        await go_on.wait()
        while arrived < total:
            arrived += len(await call.reader.read(2**20))
        await call.reply()

    async def send(client):
        nonlocal sent
        while sent < total:
            await client.send(bytes(2**16))
            sent += 2**16

    upstream.answer = answer
    client = await gate.connect()
    client.writer.transport.set_write_buffer_limits(high=0)
    fields = (f"Content-Length: {total}", "Content-Type: multipart/form-data; boundary=x")
    await client.send(gate.post(b"", *fields, path="/v1/files"))
    sending = asyncio.create_task(send(client))
    await upstream.until(1)  # the upstream has the request long before its body
    before = -1
    while before != sent:
        before = sent
        await gate.ask(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", admin=True)
    assert sent < total / 2
    go_on.set()
    assert (await client.rest(await client.head())).status == 200
    await sending
    assert arrived == total
    assert upstream.requests[0].get("content-length") == str(total)


async def test_a_chunked_upload_that_becomes_too_large_is_cut_off_upstream(open_gate, upstream):
    gate = await open_gate(server=SMALL)
    upstream.read_body = False
    got_upstream = asyncio.get_running_loop().create_future()

    async def answer(call):
        got_upstream.set_result(await call.ended())

    upstream.answer = answer
    client = await gate.connect()
    await client.send(gate.post(b"", "Transfer-Encoding: chunked", path="/v1/files"))
    for _ in range(3):
        await client.send(b"%x\r\n%b\r\n" % (2000, b" " * 2000))
        await upstream.until(1)
    got = await client.rest(await client.head())
    assert (got.status, got.get("connection")) == (413, "close")
    async with asyncio.timeout(5):
        assert not (await got_upstream).endswith(b"0\r\n\r\n")
    assert (await gate.last("completion"))["error"] == "upload_too_large"
