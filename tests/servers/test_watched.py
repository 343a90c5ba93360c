"""Sentinels watch a primary, and a client that asks them finds the one that is it now."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis import AuthenticationError, exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from bench.servers.engines import VALKEY
from bench.servers.server import Options, Server, wait_until
from bench.servers.watched import Watched

ONCE_MORE = Retry(NoBackoff(), 1)


@asynccontextmanager
async def led(watched: Watched, asking: str | None = None, **options) -> AsyncIterator[Redis]:
    """A client of whichever server is the primary."""
    asks = {"password": asking, "retry": ONCE_MORE, "socket_timeout": 10}
    finder = Sentinel(watched.addresses, sentinel_kwargs=asks, retry=ONCE_MORE, **options)
    try:
        async with finder.master_for(watched.name, decode_responses=True) as client:
            yield client
    finally:
        for sentinel in finder.sentinels:
            await sentinel.aclose()


def holds(server: Server, key: str) -> bool:
    with server.client() as client:
        return bool(client.exists(key))


async def test_what_the_primary_is_told_the_replica_learns(store_watched: Watched):
    async with led(store_watched) as client:
        await client.set("a", "1")
    wait_until(lambda: holds(store_watched.replica, "a"), "the replica")


async def test_an_ordered_takeover_has_the_replica_lead(store_watched: Watched):
    before = store_watched.primary
    store_watched.fail_over()
    assert store_watched.primary is not before
    async with led(store_watched) as client:
        assert (await client.role())[0] == "master"


async def test_the_replica_takes_over_from_the_dead_who_comes_back_as_replica(
    store_watched: Watched,
):
    dead = store_watched.primary
    async with led(store_watched) as client:
        await client.set("a", "1")
        wait_until(lambda: holds(store_watched.replica, "a"), "the replica")
        dead.kill()
        store_watched.wait_for_takeover(dead)
        with pytest.raises(
            exceptions.ConnectionError
        ):  # the client still had a connection to the dead one
            await client.ping()
        assert await client.get("a") == "1"
    dead.restart()
    store_watched.wait_ready()
    assert store_watched.replica is dead


async def test_three_sentinels_behind_a_password_agree_on_a_takeover():
    options = Options(password="of-the-servers")
    with Watched(VALKEY, options, sentinels=3, password="of-the-sentinels") as watched:
        paused = watched.primary
        paused.pause()
        watched.wait_for_takeover(paused)
        async with led(watched, "of-the-sentinels", password="of-the-servers") as client:
            assert await client.set("a", "1")
        async with Redis(port=watched.sentinels[0].port, retry=ONCE_MORE) as stranger:
            with pytest.raises(AuthenticationError):
                await stranger.ping()


def test_its_end_leaves_no_process(store_engine):
    with Watched(store_engine) as watched:
        pids = [server.process.pid for server in (*watched.servers, *watched.sentinels)]
        assert len(set(pids)) == 3
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
