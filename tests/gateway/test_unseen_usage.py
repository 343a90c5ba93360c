"""Answers of which nobody here can tell what they used: what was reserved stays."""

import asyncio
import json

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUEUED = {"id": "resp_1", "object": "response", "status": "queued", "usage": None}
DELTA = b'data: {"type":"response.output_text.delta","delta":"a"}\n\n'
USAGE = b'{"input_tokens":3,"output_tokens":7}'
COMPLETED = b'data: {"type":"response.completed","response":{"usage":%b}}\n\n' % USAGE


def response(gate, key, **more):
    asked = {"model": "m-small", "input": "hi", "max_output_tokens": 5000, **more}
    return gate.post(json.dumps(asked).encode(), key=key, path="/v1/responses")


async def charged(gate):
    """The tokens that the last exchange was charged in the end."""
    decision, completion = await gate.last("decision"), await gate.last("completion")
    reserved = next(charge[2] for charge in decision["charges"] if charge[1] == "tokens")
    deltas = [change[2] for change in completion.get("corrections", ()) if change[1] == "tokens"]
    return reserved + sum(deltas)


async def test_a_response_in_the_background_stays_charged_for_what_it_may_write(gate, upstream):
    upstream.answer = lambda call: call.reply(json.dumps(QUEUED).encode())
    answer = await gate.ask(response(gate, gate.key("counted"), background=True))
    assert answer.status == 200
    assert await charged(gate) >= 5000


async def test_a_response_in_the_background_that_streams_to_its_end_is_charged_what_it_used(
    gate, upstream
):
    async def stream(call):
        await call.stream()
        await call.chunk(DELTA + COMPLETED)
        await call.chunk(b"")

    upstream.answer = stream
    await gate.ask(response(gate, gate.key("counted"), background=True, stream=True))
    assert await charged(gate) == 10


async def test_leaving_a_response_in_the_background_does_not_make_it_cheaper(gate, upstream):
    async def stream(call):
        await call.stream()
        await call.chunk(DELTA)
        await call.ended()
        call.close()

    upstream.answer = stream
    client = await gate.connect()
    await client.send(response(gate, gate.key("counted"), background=True, stream=True))
    await client.head()
    await client.chunk()
    client.close()
    await gate.idle()
    assert await charged(gate) >= 5000


async def test_an_answer_in_a_coding_that_cannot_be_read_is_charged_what_was_reserved(
    gate, upstream
):
    upstream.answer = lambda call: call.reply(b"\x1f\x9d\x90", "Content-Encoding: compress")
    asked = {"model": "m-small", "max_tokens": 5000, "messages": []}
    body = json.dumps(asked).encode()
    answer = await gate.ask(gate.post(body, "Accept-Encoding: compress", key=gate.key("counted")))
    assert answer.status == 200
    assert await charged(gate) >= 5000


BYTES = "quotas: [{id: traffic, mode: enforce, limit: {bytes: 100000}, window: 1w}]"


@pytest.mark.parametrize("chunked", [True, False])
async def test_an_upload_is_counted_by_its_bytes_also_where_it_does_not_say_how_large_it_is(
    open_gate, upstream, chunked
):
    gate = await open_gate(policy=BYTES)
    body, fields = b"x" * 5000, ()
    if chunked:
        body, fields = b"1388\r\n%b\r\n0\r\n\r\n" % body, ("Transfer-Encoding: chunked",)
    key = gate.key()
    answer = await gate.ask(gate.post(body, *fields, key=key, path="/v1/files"))
    assert answer.status == 200
    await gate.idle()
    await gate.ask(gate.post(b"", key=key, path="/v1/models", method="GET"))
    (charge,) = (await gate.last("decision"))["charges"]
    assert charge[5] == 5000 + len(answer.body)


async def written_by_who_leaves(gate, upstream, silent_s):
    """What a stream is charged for its output that is left after one delta, which comes late."""

    async def stream(call):
        await call.stream()
        await asyncio.sleep(silent_s)
        await call.chunk(DELTA)
        await call.ended()
        call.close()

    upstream.answer = stream
    client = await gate.connect()
    await client.send(response(gate, gate.key("counted"), stream=True))
    await client.head()
    await client.chunk()
    client.close()
    await gate.idle()
    decision = await gate.last("decision")
    return await charged(gate) - decision["facts"]["request.input_tokens"]


async def test_what_a_model_thinks_before_it_writes_is_not_free_for_who_leaves_before_the_usage(
    gate, upstream, monkeypatch
):
    monkeypatch.setattr("proxy.gateway.enact.PATIENT_S", 0.0)
    assert 20 <= await written_by_who_leaves(gate, upstream, 0.2) < 5000


async def test_a_stream_that_begins_soon_and_is_left_is_charged_what_it_wrote(gate, upstream):
    assert await written_by_who_leaves(gate, upstream, 0) <= 1
