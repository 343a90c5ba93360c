"""Stopping: what is under way finishes within the deadline, what comes anew is refused."""

import asyncio

import pytest

from proxy.audit.read import entries
from proxy.audit.verify import verify

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHAT_STREAM = b'{"model":"m-small","stream":true,"messages":[]}'
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"peat"}}]}\n\n'
READY = b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"


class Held:
    """The upstream's part: one event, and the rest when told to."""

    def __init__(self, upstream) -> None:
        self.finish = asyncio.Event()
        self.gone = asyncio.Event()
        upstream.answer = self.answer

    async def answer(self, call):
        await call.stream()
        await call.chunk(EVENT)
        leaving = asyncio.create_task(call.ended())
        finishing = asyncio.create_task(self.finish.wait())
        await asyncio.wait((leaving, finishing), return_when=asyncio.FIRST_COMPLETED)
        if not finishing.done():
            finishing.cancel()
            self.gone.set()
            call.close()
            return
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await call.chunk(EVENT + b"data: [DONE]\n\n")
        await call.chunk(b"")


async def streaming(gate):
    """A client in the middle of a stream, and the head of its answer."""
    client = await gate.connect()
    await client.send(gate.post(CHAT_STREAM))
    head = await client.head()
    assert await client.chunk() == EVENT
    return client, head


def kinds(directory):
    return [entry.type for entry in entries(directory / "state" / "audit")]


async def test_streams_finish_while_new_connections_are_refused(opened, tmp_path, upstream):
    held = Held(upstream)
    async with opened(tmp_path / "world", upstream, server={"drain_s": 60.0}) as gate:
        client, head = await streaming(gate)
        idle = await gate.connect()
        admin = await gate.connect(admin=True)
        draining = asyncio.create_task(gate.server.drain(asyncio.Event()))
        assert await idle.ended() == b""
        ready = await admin.ask(READY)
        assert (ready.status, ready.json()["draining"]) == (503, True)
        with pytest.raises(OSError):  # noqa: PT011 (refused or reset)
            await gate.connect()
        held.finish.set()
        got = await client.rest(head)
        assert (got.whole, got.body) == (True, EVENT + b"data: [DONE]\n\n")
        assert await client.ended() == b""
        await draining
    assert kinds(tmp_path / "world")[-3:] == ["decision", "completion", "stop"]
    assert verify(tmp_path / "world" / "state" / "audit").ok


async def test_a_body_that_is_still_coming_comes_in_and_is_answered(opened, tmp_path, upstream):
    async with opened(tmp_path / "world", upstream, server={"drain_s": 60.0}) as gate:
        request = gate.post()
        client, idle = await gate.connect(), await gate.connect()
        await client.send(request[:-5])
        await gate.ask(gate.post())  # by then the first request's headers have been read
        draining = asyncio.create_task(gate.server.drain(asyncio.Event()))
        assert await idle.ended() == b""
        await client.send(request[-5:])
        got = await client.rest(await client.head())
        assert (got.status, got.whole) == (200, True)
        assert await client.ended() == b""
        await draining


@pytest.mark.parametrize("hurried", [False, True])
async def test_streams_are_cut_off_at_the_deadline_and_settled(opened, tmp_path, upstream, hurried):
    held, hurry = Held(upstream), asyncio.Event()
    drain_s = 60.0 if hurried else 0.1
    async with opened(tmp_path / "world", upstream, server={"drain_s": drain_s}) as gate:
        client, head = await streaming(gate)
        draining = asyncio.create_task(gate.server.drain(hurry))
        if hurried:
            hurry.set()
        await draining
        assert gate.server.gateway.under_way == 1
    got = await client.rest(head)
    assert got.whole
    assert b'data: {"error":' in got.body
    async with asyncio.timeout(5):
        await held.gone.wait()
    completion = [e for e in entries(tmp_path / "world" / "state" / "audit") if e.type != "start"]
    assert [entry.type for entry in completion][-3:] == ["decision", "completion", "stop"]
    fields = completion[-2].fields
    assert (fields["complete"], fields["error"]) == (False, "stopped")
    assert fields["delivered_output"] == 1


async def test_who_waits_for_an_answer_at_the_deadline_is_told_to_try_again(
    opened, tmp_path, upstream
):
    async def silent(call):
        await call.ended()

    upstream.answer = silent
    async with opened(tmp_path / "world", upstream, server={"drain_s": 0.1}) as gate:
        clients = [await gate.connect() for _ in range(2)]
        await clients[0].send(gate.post())
        await clients[1].send(gate.message())
        await upstream.until(2)
        await gate.server.drain(asyncio.Event())
    answers = [await client.rest(await client.head()) for client in clients]
    assert [answer.status for answer in answers] == [503, 529]
    assert answers[1].json()["error"]["type"] == "overloaded_error"
    found = list(entries(tmp_path / "world" / "state" / "audit", types={"completion"}))
    assert {entry.fields["error"] for entry in found} == {"stopped"}


async def test_a_stop_with_nothing_under_way_is_quick_and_closes_everything(
    opened, tmp_path, upstream
):
    async with opened(tmp_path / "world", upstream, server={"drain_s": 60.0}) as gate:
        client = await gate.connect()
        assert (await client.ask(gate.post())).status == 200
        address, admin = gate.server.address, gate.server.admin_address
        async with asyncio.timeout(5):
            await gate.server.drain(asyncio.Event())
        assert await client.ended() == b""
    for there in (address, admin):
        host, _, port = there.rpartition(":")
        with pytest.raises(OSError):  # noqa: PT011 (refused or reset)
            await asyncio.open_connection(host, int(port))
    assert kinds(tmp_path / "world")[-1] == "stop"


async def test_a_restart_continues_the_log(opened, tmp_path, upstream):
    for _ in range(2):
        async with opened(tmp_path / "world", upstream) as gate:
            assert (await gate.ask(gate.post())).status == 200
    found = kinds(tmp_path / "world")
    assert (found.count("start"), found.count("stop"), found.count("decision")) == (2, 2, 2)
    assert verify(tmp_path / "world" / "state" / "audit").ok
