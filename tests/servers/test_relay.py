"""The relay does to connections what it says, seen through a real client and a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from bench.servers.relay import FaultRelay
from bench.servers.server import Server

SOON_S = 0.2  # long enough for an answer on loopback not to be late by chance


@asynccontextmanager
async def calling(relay: FaultRelay, **options) -> AsyncIterator[redis.asyncio.Redis]:
    """A client that never tries again, over one connection at a time."""
    options = {"socket_timeout": 10, "retry": Retry(NoBackoff(), 0)} | options
    async with redis.asyncio.from_url(relay.url(), **options) as client:
        yield client


async def test_commands_pass_in_both_directions_and_are_counted(store_relay):
    async with calling(store_relay) as client:
        await client.ping()
        before = store_relay.round_trips
        async with client.pipeline(transaction=False) as pipe:
            pipe.set("a", "x" * 300_000).get("a")
            _, value = await pipe.execute()
        assert len(value) == 300_000
        assert store_relay.round_trips == before + 1
        assert (store_relay.accepted, store_relay.open) == (1, 1)


async def test_a_delay_holds_every_reply_for_that_long(store_relay):
    loop = asyncio.get_running_loop()
    async with calling(store_relay) as client:
        await client.ping()
        for name in ("request_delay_s", "reply_delay_s"):
            setattr(store_relay, name, 0.05)
            begun = loop.time()
            await client.ping()
            assert loop.time() - begun >= 0.049
            setattr(store_relay, name, 0.0)


async def test_delayed_replies_come_in_order_and_together(store_relay):
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection("127.0.0.1", store_relay.port)
    begun = loop.time()
    for number in range(20):
        store_relay.reply_delay_s = 0.1 if number < 10 else 0.0
        writer.write(b"ECHO %d\r\n" % number)
        await asyncio.sleep(0.002)
    told = [(await reader.readline(), await reader.readline())[1] for _ in range(20)]
    assert told == [b"%d\r\n" % number for number in range(20)]
    assert 0.1 <= loop.time() - begun < 10 * 0.1
    writer.close()


async def test_a_stall_holds_commands_until_it_ends(store_relay, store_server: Server):
    async with calling(store_relay) as client:
        await client.ping()
        store_relay.stall()
        held = asyncio.ensure_future(client.set("a", "1"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(held), SOON_S)
        with store_server.client() as direct:
            assert direct.get("a") is None
        store_relay.flow()
        assert await held


async def test_a_new_connection_waits_while_the_relay_stalls(store_relay):
    store_relay.stall()
    async with calling(store_relay, socket_timeout=SOON_S) as client:
        with pytest.raises(redis.TimeoutError):
            await client.ping()
        store_relay.flow()
        assert await client.ping()


async def test_a_cut_is_an_error_now_and_a_new_connection_later(store_relay):
    async with calling(store_relay) as client:
        await client.ping()
        store_relay.stall()
        held = asyncio.ensure_future(client.ping())
        await asyncio.sleep(0)
        store_relay.cut()
        with pytest.raises(redis.ConnectionError):
            await held
        store_relay.flow()
        assert await client.ping()


async def test_refusing_stops_new_connections_only(store_relay):
    async with calling(store_relay) as old, calling(store_relay) as new:
        await old.ping()
        await store_relay.refuse()
        with pytest.raises(redis.ConnectionError):
            await new.ping()
        assert await old.ping()
        await store_relay.listen()
        assert await new.ping()


@pytest.mark.parametrize(
    ("cut", "error"), [(True, redis.ConnectionError), (False, redis.TimeoutError)]
)
async def test_a_lost_reply_belongs_to_a_command_that_was_executed(
    store_relay, store_server: Server, cut, error
):
    store_relay.lose_replies(1, to=b"incr", cut=cut)
    async with calling(store_relay, socket_timeout=SOON_S) as client:
        with pytest.raises(error):
            await client.incr("a")
        with store_server.client() as direct:
            assert direct.get("a") == "1"
        assert await client.incr("a") == 2
    assert store_relay.lost == 1


@pytest.mark.parametrize(
    ("cut", "error"), [(True, redis.ConnectionError), (False, redis.TimeoutError)]
)
async def test_a_lost_request_was_never_executed(store_relay, store_server: Server, cut, error):
    store_relay.lose_requests(1, to=b"incr", cut=cut)
    async with calling(store_relay, socket_timeout=SOON_S) as client:
        with pytest.raises(error):
            await client.incr("a")
        assert await client.incr("a") == 1
    assert store_relay.lost == 1


async def test_all_replies_are_lost_until_told_otherwise(store_relay):
    store_relay.lose_replies(to=b"incr")
    async with calling(store_relay) as client:
        for _ in range(3):
            with pytest.raises(redis.ConnectionError):
                await client.incr("a")
        store_relay.lose_nothing()
        assert await client.incr("a") == 4


async def test_no_server_behind_it_looks_like_a_reset():
    async with FaultRelay(1) as relay, calling(relay) as client:
        with pytest.raises(redis.ConnectionError):
            await client.ping()


async def test_another_server_can_take_the_place_behind_it(store_relay, store_own_server: Server):
    async with calling(store_relay) as client:
        await client.set("a", "1")
        store_relay.to_port = store_own_server.port
        assert await client.get("a") == b"1"
        store_relay.cut()
        with pytest.raises(redis.ConnectionError):
            await client.ping()
        assert await client.get("a") is None


async def test_its_end_closes_all_connections_and_the_port(store_server: Server):
    async with FaultRelay(store_server.port) as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        relay.stall()
    with pytest.raises(ConnectionResetError):
        await reader.readexactly(1)
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", relay.port)
