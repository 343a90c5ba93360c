"""Callers that leave: the upstream is told at once, and what was delivered is charged."""

import asyncio

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHAT_STREAM = b'{"model":"m-small","stream":true,"messages":[]}'
MESSAGE_STREAM = b'{"model":"m-small","stream":true,"max_tokens":9,"messages":[]}'
WORDS = "peat " * 40
CHAT_EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % WORDS.encode()
MESSAGE_EVENT = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"%b"}}\n\n' % WORDS.encode()
)


class Watch:
    """The upstream's part: an event if it is to answer, then nothing, until the other end goes."""

    def __init__(self, event: bytes | None) -> None:
        self.event = event
        self.gone = asyncio.Event()

    async def answer(self, call):
        if self.event:
            await call.stream()
            await call.chunk(self.event)
        await call.ended()
        self.gone.set()
        call.close()

    async def noticed(self):
        async with asyncio.timeout(5):
            await self.gone.wait()


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    ("dialect", "event"), [("openai", CHAT_EVENT), ("anthropic", MESSAGE_EVENT)]
)
async def test_leaving_a_stream_ends_it_upstream_and_charges_what_came(
    gate, upstream, dialect, event, how
):
    watch = Watch(event)
    upstream.answer = watch.answer
    key = gate.key("counted")
    client = await gate.connect()
    openai = dialect == "openai"
    body = CHAT_STREAM if openai else MESSAGE_STREAM
    await client.send(gate.post(body, key=key) if openai else gate.message(body, key=key))
    await client.head()
    assert await client.chunk() == event
    getattr(client, how)()
    await watch.noticed()
    record = await gate.last("completion")
    assert (record["status"], record["complete"], record["error"]) == (200, False, "client_gone")
    delivered = 44  # what WORDS is estimated at
    assert record["delivered_output"] == delivered
    upstream.fresh()
    requests, tokens = await gate.remaining(key)
    decisions = await gate.records("decision")
    estimates = [entry.fields["facts"]["request.input_tokens"] for entry in decisions[-2:]]
    assert requests == 999
    assert tokens == 1_000_000 - delivered - estimates[0] - (1024 + estimates[1])


async def test_leaving_before_the_upstream_answers_ends_the_request_there(gate, upstream):
    watch = Watch(None)
    upstream.answer = watch.answer
    client = await gate.connect()
    await client.send(gate.post(key=gate.key("counted")))
    await upstream.until(1)
    client.close()
    await watch.noticed()
    record = await gate.last("completion")
    assert (record["status"], record["error"]) == (0, "client_gone")


async def test_leaving_in_the_middle_of_a_body_leaves_no_trace_upstream(gate, upstream):
    decided = len(await gate.records("decision"))
    request = gate.post(key=gate.key("counted"))
    client = await gate.connect()
    await client.send(request[:-5])
    client.reset()
    await gate.idle()
    assert (await gate.ask(gate.post())).status == 200
    assert len(upstream.requests) == 1
    assert len(await gate.records("decision")) == decided + 1


async def test_leaving_in_the_middle_of_an_upload_breaks_it_off_upstream(gate, upstream):
    upstream.read_body = False
    watch = Watch(None)
    upstream.answer = watch.answer
    client = await gate.connect()
    await client.send(gate.post(b"x" * 5000, path="/v1/files")[:-100])
    await upstream.until(1)
    client.close()
    await watch.noticed()
    assert (await gate.last("completion"))["error"] == "client_gone"


async def test_leaving_while_the_record_is_written_sends_nothing_upstream(
    open_gate, disk, upstream, eventually
):
    gate = await open_gate(disk)
    with disk.held():
        client = await gate.connect()
        await client.send(gate.post(key=(key := gate.key("first"))))
        await eventually(disk.writing.is_set)
        client.close()
        await gate.idle()
    assert (await gate.last("completion"))["forwarded"] is False
    got = await gate.ask(gate.post(key=key))
    assert got.get("x-ratelimit-remaining-requests") == "999"
    assert len(upstream.requests) == 1


async def test_a_client_that_leaves_between_requests_costs_nothing(gate, upstream, eventually):
    client = await gate.connect()
    assert (await client.ask(gate.post())).status == 200
    client.close()
    await eventually(lambda: gate.server._front.open_connections == 0)
    assert gate.server.gateway.under_way == 0
