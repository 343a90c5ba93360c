"""Delays: enacted within bounds, and past them an exchange goes on at once."""

import asyncio
import itertools

import pytest
from msgspec import structs

from proxy.gateway.delays import Delays
from proxy.gateway.metrics import Metrics

pytestmark = pytest.mark.asyncio(loop_scope="session")

METRICS = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def delayed(monkeypatch):
    """Has every exchange of a gate delayed; says when one has been judged."""

    def of(gate, delay_s):
        pipeline, judged = gate.server.gateway.pipeline, asyncio.Event()
        decide = pipeline.decide

        def delaying(*given):
            judged.set()
            return structs.replace(decide(*given), delay_s=delay_s)

        monkeypatch.setattr(pipeline, "decide", delaying)
        return judged

    return of


async def metric(gate, name):
    text = (await gate.ask(METRICS, admin=True)).body.decode()
    found = [line for line in text.splitlines() if line.startswith(name + " ")]
    return float(found[0].split()[-1]) if found else 0.0


async def counts(gate):
    """Delays enacted, delays skipped, and those under way."""
    names = [f'gauger_delays_total{{outcome="{one}"}}' for one in ("enacted", "skipped")]
    return [await metric(gate, name) for name in (*names, "gauger_delayed_exchanges")]


async def test_a_delayed_exchange_past_the_bound_is_served_at_once(
    open_gate, upstream, delayed, eventually
):
    gate = await open_gate(server={"max_delayed": 1})
    delayed(gate, 3600.0)
    waiting = await gate.connect()
    await waiting.send(gate.post())
    await eventually(lambda: gate.server.gateway.under_way == 1)
    assert (await gate.ask(gate.post())).status == 200
    assert await counts(gate) == [1, 1, 1]
    assert len(upstream.requests) == 1
    waiting.close()
    await gate.idle()
    assert await counts(gate) == [1, 1, 0]
    assert (await gate.last("completion"))["forwarded"] is False


async def test_delays_that_begin_in_one_second_are_bounded_too(open_gate, upstream, delayed):
    gate = await open_gate(server={"max_delays_per_s": 1})
    delayed(gate, 0.001)
    for _ in range(6):
        assert (await gate.ask(gate.post())).status == 200
    enacted, skipped, under_way = await counts(gate)
    assert (enacted + skipped, under_way) == (6, 0)
    assert skipped >= 1


async def test_a_stop_tells_a_delayed_caller_and_sends_nothing(opened, tmp_path, upstream, delayed):
    async with opened(tmp_path / "world", upstream, server={"drain_s": 0.05}) as gate:
        judged = delayed(gate, 3600.0)
        client = await gate.connect()
        await client.send(gate.post())
        async with asyncio.timeout(10):
            await judged.wait()
    assert (await client.rest(await client.head())).status == 503
    assert upstream.requests == []


async def test_no_delay_is_longer_than_a_minute():
    slept = []

    async def sleep(delay_s):
        slept.append(delay_s)

    held = Delays(at_once=10, per_s=10, metrics=Metrics(), sleep=sleep)
    for delay_s in (0.0, 0.5, 3600.0):
        await held.enact(delay_s)
    assert slept == [0.5, 60.0]


async def test_what_is_delayed_never_holds_more_than_its_bound():
    held = Delays(at_once=3, per_s=100, metrics=Metrics())
    tasks = [asyncio.create_task(held.enact(3600.0)) for _ in range(9)]
    await asyncio.sleep(0)
    assert [task.done() for task in tasks] == [False] * 3 + [True] * 6
    tasks[0].cancel()
    await asyncio.gather(tasks[0], return_exceptions=True)
    more = asyncio.create_task(held.enact(3600.0))
    await asyncio.sleep(0)
    assert not more.done()
    for task in itertools.chain(tasks, (more,)):
        task.cancel()
    await asyncio.gather(*tasks, more, return_exceptions=True)
