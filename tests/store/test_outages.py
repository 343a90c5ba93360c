"""A guarded store over real servers that are paused, killed and made slow under load."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from bench.servers.engines import VALKEY
from bench.servers.relay import FaultRelay
from bench.servers.server import Server
from proxy.model.plan import Correction
from proxy.model.verdict import OnUnavailable
from proxy.store.breaker import Tolerance
from proxy.store.guarded import GuardedStore
from proxy.store.redis.connect import Reach, route
from proxy.store.redis.store import RedisStore
from tests.store.plans import KEY, lifetime, plan

TIMEOUT_S = 0.05  # more than in production: two cores, and other tests on them
SLACK_S = 0.25
QUICK = Tolerance(probe_s=0.05, probe_at_most_s=0.1)
PATIENCE_S = 20.0

one_engine = pytest.mark.parametrize("store_engine", [VALKEY], indirect=True)


@asynccontextmanager
async def guarded(port: int):
    shared = RedisStore(route(Reach(address=("127.0.0.1", port))), KEY, timeout_s=TIMEOUT_S)
    store = GuardedStore(
        shared, state_dir=None, max_replicas=2, timeout_s=TIMEOUT_S, tolerance=QUICK
    )
    await store.start()
    try:
        yield store
    finally:
        await store.close()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 (what it waits for has no event)
            await asyncio.sleep(0.01)


@dataclass
class Load:
    """Exchanges of one unit each, some at a time, that use what they took."""

    store: GuardedStore
    limit: int = 10**6
    admitted: dict[OnUnavailable, int] = field(
        default_factory=lambda: dict.fromkeys(OnUnavailable, 0)
    )
    refused: dict[OnUnavailable, int] = field(
        default_factory=lambda: dict.fromkeys(OnUnavailable, 0)
    )
    slowest_s: float = 0.0

    def charge(self, act: OnUnavailable):
        return lifetime(act.value, 2, self.limit, on_unavailable=act)

    async def run(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            for act in OnUnavailable:
                for _ in range(4):
                    group.create_task(self._client(act, stop))

    async def _client(self, act: OnUnavailable, stop: asyncio.Event) -> None:
        while not stop.is_set():
            wanted = plan(self.charge(act))
            began_s = time.perf_counter()
            readings = await self.store.take(wanted)
            self.slowest_s = max(self.slowest_s, time.perf_counter() - began_s)
            (self.admitted if readings.taken else self.refused)[act] += 1
            await asyncio.sleep(0.005)
            self.store.settle(wanted, readings, (Correction(wanted.charges[0], -1),))


async def under_load(store: GuardedStore, fault: Callable[[], Awaitable[None]]) -> Load:
    """Some load, a fault in the middle of it, and some more once the store is back."""
    load, stop = Load(store), asyncio.Event()
    running = asyncio.create_task(load.run(stop))
    try:
        await until(lambda: load.admitted[OnUnavailable.DENY] > 20)
        await fault()
        await until(lambda: not store.breaker.open)
        enough = load.admitted[OnUnavailable.DENY] + 20
        await until(lambda: load.admitted[OnUnavailable.DENY] > enough)
    finally:
        stop.set()
        await running
    await until(lambda: not len(store.outbox) and not len(store.outage.deferred))
    return load


async def counted(store: GuardedStore, load: Load, act: OnUnavailable) -> int:
    readings = await store.take(plan(load.charge(act), take=False))
    assert readings.available
    return readings.readings[0].before


@one_engine
async def test_a_paused_server_delays_nobody_for_long_and_counts_exactly_afterwards(
    store_own_server: Server,
):
    async with guarded(store_own_server.port) as store:

        async def paused() -> None:
            store_own_server.pause()
            try:
                await until(lambda: store.breaker.open)
                await until(lambda: store.not_asked > 100)
            finally:
                store_own_server.resume()

        load = await under_load(store, paused)
        assert load.slowest_s < TIMEOUT_S + SLACK_S
        assert load.refused[OnUnavailable.DENY] > 0
        assert load.refused[OnUnavailable.ALLOW] == 0
        for act in OnUnavailable:
            assert await counted(store, load, act) == load.admitted[act]


@one_engine
async def test_a_server_whose_replies_are_lost_counts_exactly_afterwards(store_relay: FaultRelay):
    async with guarded(store_relay.port) as store:

        async def unheard() -> None:
            store_relay.lose_replies(cut=False)
            await until(lambda: store.breaker.open)
            await until(lambda: store.not_asked > 100)
            store_relay.lose_nothing()
            store_relay.cut()

        load = await under_load(store, unheard)
        for act in OnUnavailable:
            assert await counted(store, load, act) == load.admitted[act]


@one_engine
async def test_a_slow_server_is_left_alone_until_it_is_fast_again(store_relay: FaultRelay):
    async with guarded(store_relay.port) as store:

        async def slow() -> None:
            store_relay.reply_delay_s = 4 * TIMEOUT_S
            await until(lambda: store.breaker.open)
            await until(lambda: store.not_asked > 200)
            store_relay.reply_delay_s = 0

        load = await under_load(store, slow)
        assert load.slowest_s < TIMEOUT_S + SLACK_S
        for act in OnUnavailable:
            assert await counted(store, load, act) == load.admitted[act]


@one_engine
async def test_a_server_that_was_killed_begins_with_what_was_used_meanwhile(
    store_own_server: Server,
):
    async with guarded(store_own_server.port) as store:

        async def killed() -> None:
            await asyncio.to_thread(store_own_server.kill)
            await until(lambda: store.breaker.open)
            await until(lambda: store.not_asked > 100)
            await asyncio.to_thread(store_own_server.restart)

        load = await under_load(store, killed)
        assert load.refused[OnUnavailable.ALLOW] == 0
        for act in OnUnavailable:
            assert 0 < await counted(store, load, act) <= load.admitted[act]


@one_engine
async def test_two_processes_know_of_each_other(store_own_server: Server):
    port = store_own_server.port
    async with guarded(port) as one, guarded(port) as other:
        await one.watch.look()
        assert (one.replicas.known, other.replicas.known) == (2, 2)
