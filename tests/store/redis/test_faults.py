"""What the store says while a server fails, and that nothing is counted twice afterwards."""

import asyncio
import time

import pytest

from bench.servers.relay import FaultRelay
from bench.servers.server import Server
from proxy.model.plan import UNKNOWN, Plan
from proxy.store.errors import StoreUnavailable
from proxy.store.redis.connect import Reach
from proxy.store.redis.store import RedisStore
from tests.store.plans import charge, eventually, lease, plan, redis_store

TIMEOUT_S = 0.2


@pytest.fixture
def undelivered() -> list[Plan]:
    return []


@pytest.fixture
async def store(store_relay: FaultRelay, undelivered: list[Plan]):
    reach = Reach(address=("127.0.0.1", store_relay.port))
    async with redis_store(reach, timeout_s=TIMEOUT_S, undelivered=undelivered.append) as store:
        yield store


async def counted(store: RedisStore) -> list[int]:
    looked = await store.take(plan(charge(limit=99), lease("l", 99), take=False))
    return [reading.before for reading in looked.readings]


async def counts(store: RedisStore, wants: list[int]) -> None:
    async def holds() -> bool:
        return await counted(store) == wants

    await eventually(holds)


def wanted() -> Plan:
    return plan(charge(limit=99), lease("l", 99))


async def test_a_server_that_knows_no_scripts_is_told_them(store, store_server: Server):
    for times in range(1, 4):
        readings = await asyncio.gather(*[store.take(wanted()) for _ in range(10)])
        assert all(one.available for one in readings)
        with store_server.client() as client:
            client.script_flush()
        assert await counted(store) == [10 * times] * 2


async def test_a_lost_reply_is_told_as_unknown_and_given_back(store, store_relay: FaultRelay):
    await store.take(wanted())
    store_relay.lose_replies(1)
    readings = await store.take(wanted())
    assert (readings.taken, readings.available) == (False, False)
    assert readings.readings == (UNKNOWN, UNKNOWN)
    await counts(store, [1, 1])


async def test_a_lost_reply_to_a_settlement_is_told_and_settling_again_counts_once(
    store, store_relay: FaultRelay
):
    one = wanted()
    readings = await store.take(one)
    await store.settle(wanted(), readings, ())  # both scripts are known now
    store_relay.lose_replies(1)
    with pytest.raises(StoreUnavailable) as told:
        await store.settle(one, readings, ())
    assert told.value.sent
    await store.settle(one, readings, ())
    assert await counted(store) == [1, 0]


@pytest.mark.parametrize("cut", [True, False])
async def test_a_lost_request_is_told_as_unknown_within_the_timeout(
    store, store_relay: FaultRelay, cut: bool
):
    await store.take(wanted())
    store_relay.lose_requests(1, cut=cut)
    began = time.monotonic()
    readings = await store.take(wanted())
    assert not readings.available
    assert time.monotonic() - began < TIMEOUT_S + 1
    await counts(store, [1, 1])


async def test_a_take_that_arrives_late_does_not_count_once_it_was_given_up(
    store, store_relay: FaultRelay
):
    await store.take(wanted())
    store_relay.stall()
    assert not (await store.take(wanted())).available
    store_relay.flow()
    await store.ping()
    await counts(store, [1, 1])


async def test_a_take_whose_caller_goes_away_is_given_back(store, store_relay: FaultRelay):
    await store.take(wanted())
    store_relay.reply_delay_s = 0.1
    taking = asyncio.ensure_future(store.take(wanted()))
    await asyncio.sleep(0.02)
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    store_relay.reply_delay_s = 0
    await counts(store, [1, 1])


async def test_what_could_not_be_given_back_is_handed_on(
    store, store_relay: FaultRelay, undelivered: list[Plan]
):
    await store.take(wanted())
    store_relay.lose_replies()
    one = wanted()
    assert not (await store.take(one)).available

    async def handed_on() -> bool:
        return undelivered == [one]

    await eventually(handed_on)


async def test_a_server_that_is_gone_is_told_at_once_and_found_again(
    store_own_server: Server, undelivered: list[Plan]
):
    reach = Reach(address=store_own_server.address)
    async with redis_store(reach, undelivered=undelivered.append) as store:
        assert (await store.take(wanted())).available
        await asyncio.to_thread(store_own_server.kill)
        for _ in range(3):
            assert not (await store.take(wanted())).available
        with pytest.raises(StoreUnavailable):
            await store.ping()
        await asyncio.to_thread(store_own_server.restart)
        assert (await store.take(wanted())).available
        assert not undelivered  # nothing of it was ever sent


async def test_a_server_that_does_not_answer_costs_no_more_than_the_timeout(
    store_own_server: Server,
):
    async with redis_store(Reach(address=store_own_server.address), timeout_s=TIMEOUT_S) as store:
        await store.take(wanted())
        store_own_server.pause()
        began = time.monotonic()
        readings = await asyncio.gather(*[store.take(wanted()) for _ in range(50)])
        took_s = time.monotonic() - began
        store_own_server.resume()
        assert not any(one.available for one in readings)
        assert took_s < 1
        await counts(store, [1, 1])


async def test_a_server_out_of_memory_is_unavailable_and_counts_nothing(store_own_server: Server):
    async with redis_store(Reach(address=store_own_server.address)) as store:
        await store.take(wanted())
        with store_own_server.client() as client:
            client.config_set("maxmemory", 1)
            assert not (await store.take(plan(charge(limit=99)))).available
            client.config_set("maxmemory", 0)
        await counts(store, [1, 1])


async def test_a_closed_store_answers_that_it_is_unavailable(store_server: Server):
    async with redis_store(Reach(address=store_server.address)) as store:
        one = await store.take(wanted())
        assert one.taken
    assert not (await store.take(wanted())).available
