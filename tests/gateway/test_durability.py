"""When a record must be on disk, and what happens while the disk does not take it."""

import asyncio

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_rule_of_class_before_sends_nothing_upstream_until_it_is_recorded(
    open_gate, disk, upstream, eventually
):
    gate = await open_gate(disk)
    with disk.held():
        client = await gate.connect()
        await client.send(gate.post(key=gate.key("first"), path="/v1/models/first", method="GET"))
        await eventually(disk.writing.is_set)
        # What comes later and need not wait overtakes it.
        quick = gate.post(b"", key=gate.key("quick"), path="/v1/models/quick", method="GET")
        assert (await gate.ask(quick)).status == 200
        assert [b"quick" in request.line for request in upstream.requests] == [True]
    assert (await client.head()).status == 200
    assert [b"quick" in request.line for request in upstream.requests] == [True, False]


@pytest.mark.parametrize("stream", [True, False])
async def test_by_default_no_byte_of_an_answer_leaves_until_it_is_recorded(
    open_gate, disk, upstream, stream
):
    gate = await open_gate(disk)
    answered = asyncio.Event()

    async def answer(call):
        if stream and b"slow" in call.request.line:
            await call.stream()
            await call.chunk(b": ping\n\n")
            await call.chunk(b"")
        else:
            await call.reply()
        answered.set()

    upstream.answer = answer
    with disk.held():
        client = await gate.connect()
        await client.send(gate.post(b"", path="/v1/models/slow", method="GET"))
        async with asyncio.timeout(5):
            await answered.wait()
        for _ in range(3):
            quick = gate.post(b"", key=gate.key("quick"), path="/v1/models", method="GET")
            assert (await gate.ask(quick)).status == 200
        assert len(upstream.requests) == 4
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reader.read(1), 0.05)
    assert (await client.head()).status == 200


async def test_a_refusal_leaves_only_once_it_is_recorded(open_gate, disk):
    gate = await open_gate(disk)
    spent = gate.key("spent")
    for _ in range(2):
        await gate.ask(gate.post(key=spent))
    with disk.held():
        clients = [await gate.connect() for _ in range(2)]
        await clients[0].send(gate.post(key="sk-nobody"))
        await clients[1].send(gate.post(key=spent))
        assert (await gate.ask(gate.post(key=gate.key("quick")))).status == 200
        for client in clients:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.reader.read(1), 0.05)
    assert [(await client.head()).status for client in clients] == [401, 429]


async def test_a_default_class_of_async_waits_for_nothing(open_gate, disk):
    gate = await open_gate(disk, audit={"durability": "async"})
    with disk.held():
        assert (await gate.ask(gate.post())).status == 200
        assert (await gate.ask(gate.post(key="sk-nobody"))).status == 401


async def failing(gate, disk):
    """Fill the disk; the exchange that found out is answered as the settings say."""
    disk.full = True
    got = await gate.ask(gate.post(key=gate.key("first")))
    assert gate.server._audit.failed is not None
    return got


async def test_while_the_disk_is_full_new_requests_are_refused(
    open_gate, disk, upstream, eventually
):
    gate = await open_gate(disk)
    assert (await failing(gate, disk)).status == 503
    sent = len(upstream.requests)
    for request, status, kind in (
        (gate.post(), 503, "server_error"),
        (gate.message(), 529, "overloaded_error"),
        (gate.post(key=gate.key("quick")), 503, "server_error"),
        (gate.post(key="sk-nobody"), 503, "server_error"),
    ):
        got = await gate.ask(request)
        assert (got.status, got.json()["error"]["type"]) == (status, kind)
        assert b"audit" not in got.body
    assert len(upstream.requests) == sent == 0
    ready = await gate.ask(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", admin=True)
    assert ready.status == 503
    assert "No space left" in ready.json()["audit_problem"]
    disk.full = False
    await eventually(lambda: gate.server._audit.failed is None)
    assert (await gate.ask(gate.post())).status == 200
    ready = await gate.ask(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", admin=True)
    assert (ready.status, ready.json()["audit_problem"]) == (200, None)
    kinds = [entry.type for entry in await gate.records()]
    assert kinds.count("decision") == kinds.count("completion") == 2  # the queued one is kept


async def test_what_was_refused_for_want_of_a_record_is_charged_nothing(
    open_gate, disk, eventually
):
    gate = await open_gate(disk)
    key = gate.key("first")
    disk.full = True
    assert (await gate.ask(gate.post(key=key))).status == 503
    disk.full = False
    await eventually(lambda: gate.server._audit.failed is None)
    got = await gate.ask(gate.post(key=key))
    assert got.get("x-ratelimit-remaining-requests") == "999"


async def test_an_answer_that_cannot_be_recorded_is_withheld(open_gate, disk, upstream):
    gate = await open_gate(disk)
    disk.full = True
    got = await gate.ask(gate.message())
    assert (got.status, got.json()["error"]["type"]) == (529, "overloaded_error")
    assert len(upstream.requests) == 1
    disk.full = False
    assert (await gate.last("completion"))["status"] == 200


async def test_while_the_disk_is_full_requests_are_served_where_the_settings_say_so(
    open_gate, disk, upstream, eventually
):
    gate = await open_gate(disk, audit={"on_failure": "serve"})
    assert (await failing(gate, disk)).status == 200
    assert (await gate.ask(gate.post())).status == 200
    assert (await gate.ask(gate.message())).status == 200
    assert (await gate.ask(gate.post(key="sk-nobody"))).status == 401
    ready = await gate.ask(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", admin=True)
    assert ready.status == 200
    assert "No space left" in ready.json()["audit_problem"]
    metrics = await gate.ask(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", admin=True)
    assert b"gauger_audit_failed 1.0" in metrics.body
    disk.full = False
    await eventually(lambda: gate.server._audit.failed is None)
    decisions = await gate.records("decision")
    assert len(decisions) == 4


async def test_admin_actions_are_refused_while_they_cannot_be_recorded(open_gate, disk):
    gate = await open_gate(disk)
    await failing(gate, disk)
    request = b"POST /v1/directory/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    assert (await gate.ask(request, admin=True)).status == 503
    disk.full = False
