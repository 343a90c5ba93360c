"""What rules change in an exchange, byte by byte, and what becomes of it at its edges."""

import asyncio
import gzip
import json

import pytest
import pytest_asyncio
from msgspec import structs

from proxy.model.decision import Modifiers, Refusal
from proxy.model.verdict import RefusalKind, Verdict
from tests.gateway.conftest import opened

pytestmark = pytest.mark.asyncio(loop_scope="session")

POLICY = """
quotas:
  - {id: week, mode: enforce, limit: {requests: 1000, tokens: 1000000}, window: 1w}
access:
  - {id: plain, match: {tiers: [free]}, mode: enforce, modify: {strip: [reasoning]}}
  - {id: short, match: {tiers: [counted]}, mode: enforce, modify: {cut_after: 20}}
  - {id: other, match: {tiers: [first]}, mode: enforce, modify: {reroute: m-other}}
  - {id: no-thoughts-cut, match: {tiers: [quick]}, mode: enforce,
     modify: {strip: [reasoning], cut_after: 20}}
  - {id: late, match: {tiers: [spent], cel: quota.used_share > 0.0}, mode: enforce, then: step_up}
"""
CHAT_STREAM = b'{"model":"m-small","stream":true,"messages":[]}'
JSON_ANSWER = b'{"choices":[{"message":{"content":"Hi","reasoning":"secret"}}],"usage":{}}'
METRICS = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"


def event(text, **more):
    delta = json.dumps({"content": text} | more)
    return b'data: {"id":"c","choices":[{"index":0,"delta":%b}]}\n\n' % delta.encode()


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def changing(tmp_path_factory, _upstream, _environment):
    """A gateway whose rules change what passes, by tier."""
    directory = tmp_path_factory.mktemp("changing") / "world"
    over = {"policy": POLICY, "open_paths": ["/opened"]}
    async with opened(directory, _upstream, **over) as gate:
        yield gate
        gate.hang_up()


async def count(gate, line):
    """The value of a metric; 0 where it is not there yet."""
    text = (await gate.ask(METRICS, admin=True)).body.decode()
    found = [row for row in text.splitlines() if row.startswith(line + " ")]
    return float(found[0].split()[-1]) if found else 0.0


# -- requests ------------------------------------------------------------------------------------


async def test_every_other_byte_of_the_request_stays(changing, upstream):
    body = b'{"model" : "m-small","messages":[ ],\t"seed":1.50}'
    await changing.ask(changing.post(body, "Content-MD5: x", key=changing.key("first")))
    (request,) = upstream.requests
    assert request.body == body.replace(b"m-small", b"m-other")
    assert request.get("content-length") == str(len(request.body))
    assert request.get("content-md5") is None


async def test_a_compressed_request_goes_on_changed_and_in_plain(changing, upstream):
    body = b'{"model":"m-small","messages":[]}'
    packed = gzip.compress(body)
    await changing.ask(changing.post(packed, "Content-Encoding: gzip", key=changing.key("first")))
    (request,) = upstream.requests
    assert request.body == body.replace(b"m-small", b"m-other")
    assert request.get("content-encoding") is None


async def test_what_cannot_be_rerouted_is_refused_recorded_and_costs_nothing(changing, upstream):
    key = changing.key("first")
    multipart = (b"--b\r\n\r\nx\r\n--b--", "Content-Type: multipart/form-data; boundary=b")
    got = await changing.ask(changing.post(*multipart, key=key, path="/v1/audio/transcriptions"))
    assert (got.status, got.json()["error"]["code"]) == (403, "permission_denied")
    assert got.get("x-should-retry") == "false"
    record = await changing.last("decision")
    assert record["verdict"] == "deny"
    assert record["rules"][-1][:3] == ["gauger.modifiers", "builtin", "deny"]
    assert upstream.requests == []
    assert (await changing.remaining(key))[0] == 1000


async def test_a_path_that_no_surface_claims_cannot_be_changed(changing, upstream):
    got = await changing.ask(changing.post(b"x", path="/opened"))
    assert got.status == 403
    assert upstream.requests == []


async def test_what_has_to_change_and_stands_there_twice_is_refused_and_costs_nothing(
    changing, upstream
):
    params = b'{"model":"a","max_tokens":9,"messages":[],"model":"b"}'
    body = b'{"requests":[{"custom_id":"a","params":%b}]}' % params
    key = changing.key("first")
    request = changing.message(body, key=key).replace(b"/v1/messages", b"/v1/messages/batches", 1)
    got = await changing.ask(request)
    assert (got.status, got.json()["error"]["type"]) == (400, "invalid_request_error")
    record = await changing.last("completion")
    assert (record["forwarded"], record["error"]) == (False, "not_modifiable")
    assert upstream.requests == []
    assert (await changing.remaining(key))[0] == 1000


# -- answers -------------------------------------------------------------------------------------


async def test_a_whole_answer_is_asked_for_in_plain_and_passed_on_changed(changing, upstream):
    async def answer(call):
        await call.reply(JSON_ANSWER, "Content-Digest: x", "X-Kept: 1")

    upstream.answer = answer
    got = await changing.ask(changing.post(b'{"model":"m"}', "Range: bytes=0-9"))
    assert upstream.requests[0].get("accept-encoding") == "identity"
    assert upstream.requests[0].get("range") is None
    assert got.body == b'{"choices":[{"message":{"content":"Hi"}}],"usage":{}}'
    assert (got.get("content-length"), got.get("x-kept")) == (str(len(got.body)), "1")
    assert got.get("content-digest") is None


async def test_a_compressed_answer_that_nobody_asked_for_is_passed_on_in_plain(changing, upstream):
    async def answer(call):
        await call.reply(gzip.compress(JSON_ANSWER), "Content-Encoding: gzip")

    upstream.answer = answer
    got = await changing.ask(changing.post())
    assert b"secret" not in got.body
    assert got.json()["choices"]
    assert got.get("content-encoding") is None


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (JSON_ANSWER[:-5], ()),
        (JSON_ANSWER, ("Content-Encoding: compress",)),
        (b'{"reasoning":1,"choices":[{"reasoning":1,"reasoning":2}]}', ()),
    ],
)
async def test_a_whole_answer_that_cannot_be_read_is_not_passed_on(
    changing, upstream, body, fields
):
    async def answer(call):
        await call.reply(body, *fields)

    upstream.answer = answer
    got = await changing.ask(changing.post())
    assert (got.status, got.json()["error"]["code"]) == (502, "bad_gateway")
    record = await changing.last("completion")
    assert (record["error"], record["complete"]) == ("answer_unreadable", False)


async def test_an_answer_that_breaks_before_it_is_whole_is_told_in_the_callers_dialect(
    changing, upstream
):
    async def answer(call):
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
        await call.send(b"Content-Length: 900\r\n\r\n" + JSON_ANSWER[:20])
        call.close()

    upstream.answer = answer
    got = await changing.ask(changing.message())
    assert (got.status, got.json()["error"]["type"]) == (502, "api_error")
    assert (await changing.last("completion"))["error"] == "upstream_reset"


async def test_a_head_request_and_an_answer_without_body_pass(changing, upstream):
    async def answer(call):
        await call.send(b"HTTP/1.1 204 No Content\r\nContent-Type: application/json\r\n\r\n")

    upstream.answer = answer
    path = "/v1/responses/r-1"
    got = await changing.ask(changing.post(b"", path=path, method="DELETE"))
    assert (got.status, got.body) == (204, b"")

    async def head(call):
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
        await call.send(b"Content-Length: 50\r\n\r\n")

    upstream.answer = head
    got = await changing.ask(changing.post(b"", path=path, method="HEAD"))
    assert (got.status, got.body) == (200, b"")


async def test_events_of_a_stream_come_one_by_one_while_parts_are_left_out(changing, upstream):
    passed = asyncio.Queue()

    async def answer(call):
        await call.stream()
        for one in (event("a"), event("b", reasoning="secret"), b": ping\n\n", event("c")):
            await call.chunk(one)
            await passed.get()
        await call.chunk(b"data: [DONE]\n\n")
        await call.chunk(b"")

    upstream.answer = answer
    client = await changing.connect()
    await client.send(changing.post(CHAT_STREAM))
    head = await client.head()
    assert await client.chunk() == event("a")
    passed.put_nowait(1)
    assert await client.chunk() == event("b")
    passed.put_nowait(1)
    assert await client.chunk() == b": ping\n\n"
    passed.put_nowait(1)
    assert await client.chunk() == event("c")
    passed.put_nowait(1)
    assert (await client.rest(head)).body == b"data: [DONE]\n\n"


async def test_a_stream_that_may_carry_what_it_must_not_ends_with_an_error_event(
    changing, upstream
):
    async def answer(call):
        await call.stream()
        await call.chunk(event("a") + b'data: {"choices":[{"reasoning":"secret"\n\n' + event("b"))
        await call.chunk(b"")

    upstream.answer = answer
    got = await changing.ask(changing.post(CHAT_STREAM))
    assert got.body.startswith(event("a") + b'data: {"error":')
    assert b"secret" not in got.body
    assert got.whole
    assert (await changing.last("completion"))["error"] == "answer_unreadable"


async def test_an_event_that_broke_off_is_not_passed_on(changing, upstream):
    async def answer(call):
        await call.stream()
        await call.chunk(event("a") + event("b")[:30])
        call.close()

    upstream.answer = answer
    got = await changing.ask(changing.post(CHAT_STREAM))
    assert got.body.startswith(event("a") + b'data: {"error":')


# -- cut -----------------------------------------------------------------------------------------


async def test_a_cut_stream_cancels_the_upstream_and_is_charged_what_was_delivered(
    changing, upstream
):
    gone = asyncio.Event()

    async def answer(call):
        await call.stream()
        for _ in range(3):
            await call.chunk(event("x" * 48))
        await call.ended()
        gone.set()

    upstream.answer = answer
    before = await count(changing, 'gauger_modified_exchanges_total{modifier="cut"}')
    key = changing.key("counted")
    got = await changing.ask(changing.post(CHAT_STREAM, key=key))
    assert got.body.startswith(event("x" * 48) * 3 + b'data: {"id":"c","choices":[{"index":0,')
    assert b'"finish_reason":"length"' in got.body
    assert got.body.endswith(b"data: [DONE]\n\n")
    assert got.whole
    async with asyncio.timeout(10):
        await gone.wait()
    record = await changing.last("completion")
    assert (record["error"], record["complete"]) == ("cut", False)
    assert record["delivered_output"] == 27
    upstream.fresh()
    asking_again = 1024 + 5
    assert (await changing.remaining(key))[1] == 1_000_000 - 27 - asking_again
    assert await count(changing, 'gauger_modified_exchanges_total{modifier="cut"}') == before + 1


async def test_a_cut_connection_of_the_client_serves_on(changing, upstream):
    async def answer(call):
        await call.stream()
        for _ in range(9):
            await call.chunk(event("x" * 40))
        await call.chunk(b"")

    upstream.answer = answer
    client, key = await changing.connect(), changing.key("counted")
    assert b"length" in (await client.ask(changing.post(CHAT_STREAM, key=key))).body
    upstream.fresh()
    assert (await client.ask(changing.post(key=key))).status == 200


async def test_thoughts_that_are_left_out_do_not_count_towards_a_cut(changing, upstream):
    async def answer(call):
        await call.stream()
        await call.chunk(event("", reasoning="hm" * 500) + event("Hi") + b"data: [DONE]\n\n")
        await call.chunk(b"")

    upstream.answer = answer
    got = await changing.ask(changing.post(CHAT_STREAM, key=changing.key("quick")))
    assert got.body == event("") + event("Hi") + b"data: [DONE]\n\n"


# -- refused after the store had taken -----------------------------------------------------------


async def test_a_refusal_over_what_was_counted_gives_the_charges_back(changing, upstream):
    key = changing.key("spent")
    for _ in range(2):
        got = await changing.ask(changing.post(key=key))
        assert (got.status, got.json()["error"]["code"]) == (403, "step_up_required")
        record = await changing.last("decision")
        assert (record["verdict"], record["charges"][0][5]) == ("step_up", 0)  # none before it
    assert upstream.requests == []


async def test_a_refusal_of_a_judged_exchange_gives_the_charges_back_also_if_unrecorded(
    gate, upstream, monkeypatch
):
    pipeline, key = gate.server.gateway.pipeline, gate.key("counted")
    decide = pipeline.decide

    def refusing(weighed, readings):
        assert readings.taken
        refusal = Refusal(RefusalKind.PERMISSION, "No.")
        said = decide(weighed, readings)
        return structs.replace(said, verdict=Verdict.DENY, refusal=refusal)

    def broken(*_):
        raise LookupError

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "decide", refusing)
        assert (await gate.ask(gate.post(key=key))).status == 403
    assert (await gate.remaining(key))[0] == 1000
    with monkeypatch.context() as patch:
        record = pipeline.decision_record
        patch.setattr(pipeline, "decide", refusing)
        patch.setattr(
            pipeline,
            "decision_record",
            lambda weighed, *rest: record(weighed, *rest) if weighed.refusal else broken(),
        )
        patch.setattr(
            pipeline,
            "decide",
            lambda weighed, readings: (
                decide(weighed, readings) if weighed.refusal else refusing(weighed, readings)
            ),
        )
        assert (await gate.ask(gate.post(key=key))).status == 500
    assert (await gate.remaining(key))[0] == 999  # the one that was served in between


# -- warnings ------------------------------------------------------------------------------------


async def warned(gate, monkeypatch, *warnings):
    pipeline = gate.server.gateway.pipeline
    decide = pipeline.decide
    with monkeypatch.context() as patch:
        patch.setattr(
            pipeline, "decide", lambda *given: structs.replace(decide(*given), warnings=warnings)
        )
        return await gate.ask(gate.post())


async def test_each_warning_is_a_field_of_its_own_and_nobody_else_can_make_one(
    gate, upstream, monkeypatch
):
    async def answer(call):
        assert call.request.get("x-gauger-warning") is None
        await call.reply(b"{}", "X-Gauger-Warning: forged")

    upstream.answer = answer
    got = await warned(gate, monkeypatch, "One.", "Two.")
    assert got.all("x-gauger-warning") == [b"One.", b"Two."]
    got = await gate.ask(gate.post(b'{"model":"m"}', "X-Gauger-Warning: forged"))
    assert got.all("x-gauger-warning") == []


async def test_a_warning_is_short_ascii_and_holds_no_other_header(gate, upstream, monkeypatch):
    got = await warned(gate, monkeypatch, "é\r\nX-Evil: 1\x00\x7f", "x" * 900)
    assert got.all("x-gauger-warning")[0] == b"???X-Evil: 1??"
    assert got.get("x-evil") is None
    assert got.all("x-gauger-warning")[1] == b"x" * 253 + b"..."


async def test_many_warnings_are_counted_in_the_last_one(gate, upstream, monkeypatch):
    got = await warned(gate, monkeypatch, *(f"W{number}" for number in range(20)))
    fields = got.all("x-gauger-warning")
    assert len(fields) == 8
    assert fields[-1] == b"13 more warnings"


# -- metrics -------------------------------------------------------------------------------------


async def test_modifiers_are_counted_as_exchanges_are_sent(gate, upstream, monkeypatch):
    pipeline = gate.server.gateway.pipeline
    decide = pipeline.decide
    names = ("strip", "reroute", "clamp")
    lines = [f'gauger_modified_exchanges_total{{modifier="{name}"}}' for name in names]
    before = [await count(gate, line) for line in lines]
    modifiers = Modifiers(("logprobs",), "m", max_tokens=5)
    monkeypatch.setattr(
        pipeline, "decide", lambda *given: structs.replace(decide(*given), modifiers=modifiers)
    )
    assert (await gate.ask(gate.post())).status == 200
    assert [await count(gate, line) for line in lines] == [n + 1 for n in before]
