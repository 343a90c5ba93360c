"""Slots on different nodes: one wave, all or none, and nodes that fail or hand slots on."""

import asyncio

import pytest
from redis.crc import key_slot
from structlog.testing import capture_logs

from bench.servers.cluster import Cluster
from bench.servers.engines import VALKEY
from bench.servers.server import Server
from proxy.model.plan import Plan
from proxy.store.errors import StoreUnavailable
from proxy.store.redis.connect import Reach
from proxy.store.redis.names import Names
from proxy.store.redis.store import RedisStore
from tests.store.plans import KEY, charge, eventually, lease, plan, redis_store

pytestmark = pytest.mark.parametrize("store_engine", [VALKEY], indirect=True)

NAMES = Names(KEY, "gauger")
SLOTS = [f"slot {n}" for n in range(12)]  # more than enough to lie on all three nodes


@pytest.fixture
async def store(store_cluster: Cluster):
    async with redis_store(reach(store_cluster)) as store:
        yield store


def reach(cluster: Cluster) -> Reach:
    return Reach(address=cluster.nodes[0].address, cluster=True)


def everywhere(limit: int = 100, **more) -> Plan:
    return plan(*[charge(slot, 1, limit, slot=slot) for slot in SLOTS], **more)


async def befores(store: RedisStore, wanted: Plan) -> list[int]:
    looked = await store.take(plan(*wanted.charges, take=False))
    assert looked.available
    return [reading.before for reading in looked.readings]


async def counts(store: RedisStore, wanted: Plan, wants: list[int]) -> None:
    async def holds() -> bool:
        return await befores(store, wanted) == wants

    await eventually(holds)


async def test_slots_on_all_nodes_are_taken_and_settled(store, store_cluster: Cluster):
    wanted = plan(*everywhere().charges, lease("l", slot=SLOTS[3]))
    readings = await store.take(wanted)
    assert readings.taken
    assert await befores(store, wanted) == [1] * 13
    assert all(node.client().dbsize() for node in store_cluster.nodes)
    await store.renew(wanted, readings, ())
    await store.settle(wanted, readings, ())
    assert await befores(store, wanted) == [1] * 12 + [0]


async def test_one_refusal_releases_what_the_others_took(store):
    tight = plan(*everywhere().charges, charge("tight", 1, 0, slot="elsewhere"))
    readings = await store.take(tight)
    assert (readings.taken, readings.available) == (False, True)
    await counts(store, tight, [0] * 13)


async def test_two_hundred_at_once_over_all_nodes_never_pass_a_limit(store):
    taken = await asyncio.gather(*[store.take(everywhere()) for _ in range(200)])
    admitted = sum(readings.taken for readings in taken)
    # Some may be refused falsely: by what another had taken and then released.
    assert 0 < admitted <= 100
    await counts(store, everywhere(), [admitted] * len(SLOTS))


async def test_a_count_begins_with_that_of_a_parent_on_another_node(store):
    parents = [f"r|t|cluster={n}&model=m|day" for n in range(4)]
    for n, parent in enumerate(parents):
        await store.take(plan(charge(parent, n, 9, slot=f"cluster={n}")))
    child = charge("r|t|cluster=new&model=m|day", 1, 9, slot="cluster=new", inherits=(*parents,))
    assert [(await store.take(plan(child))).readings[0].before for _ in range(3)] == [3, 4, 5]


async def test_a_node_that_is_gone_leaves_the_others_at_work(store_own_cluster: Cluster):
    cluster = store_own_cluster
    for node in cluster.nodes:
        with node.client() as client:
            client.config_set("cluster-require-full-coverage", "no")
    async with redis_store(reach(cluster), timeout_s=1) as store:
        assert (await store.take(everywhere())).taken
        gone = cluster.nodes[0]
        there = [cluster.node_of(NAMES.slot(slot)) is not gone for slot in SLOTS]
        await asyncio.to_thread(gone.kill)
        wanted = everywhere()
        readings = await store.take(wanted)
        assert [reading.known for reading in readings.readings] == there
        assert (readings.taken, readings.available) == (True, False)
        assert 0 < sum(there) < len(SLOTS)
        await asyncio.to_thread(gone.restart)
        await asyncio.to_thread(cluster.wait_ok)

        async def is_back() -> bool:
            return (await store.take(everywhere(take=False))).available

        await eventually(is_back)


async def test_a_slot_that_was_handed_on_is_followed_to_its_new_node(store_own_cluster: Cluster):
    async with redis_store(reach(store_own_cluster)) as store:
        one = plan(charge("c", slot="wanders", limit=99))
        key = NAMES.slot("wanders")
        owner = store_own_cluster.node_of(key)
        for node in [*[one for one in store_own_cluster.nodes if one is not owner], owner]:
            await asyncio.to_thread(store_own_cluster.move, key, node)
            assert (await store.take(plan(*one.charges, take=False))).available


async def test_a_slot_that_is_being_handed_on_is_unavailable_where_keys_are_split(
    store_own_cluster: Cluster,
):
    cluster = store_own_cluster
    async with redis_store(reach(cluster)) as store:
        key = NAMES.everything  # where single keys lie, and here a slot's too
        here = cluster.node_of(key)
        there = next(node for node in cluster.nodes if node is not here)
        slot = int(here.ask("KEYSLOT", key))
        there.ask("SETSLOT", slot, "IMPORTING", here.id)
        here.ask("SETSLOT", slot, "MIGRATING", there.id)
        # One key is asked for where it goes; a cluster takes no more than one there.
        assert [await store.heartbeat("p", n, 9) for n in (1, 2)] == [1, 1]
        with there.client() as client:
            assert client.dbsize() == 1
        wanders = next(s for s in map(str, range(10**6)) if _slot(s) == slot)
        assert not (await store.take(plan(charge("c", slot=wanders)))).available
        for node in (there, here):
            node.ask("SETSLOT", slot, "NODE", there.id)
        assert (await store.take(plan(charge("c", slot=wanders)))).taken
        assert await store.heartbeat("q", 3, 9) == 2


def _slot(slot: str) -> int:
    return int(key_slot(NAMES.slot(slot).encode()))


async def test_any_node_answers_a_ping_only_if_all_do(store_own_cluster: Cluster):
    async with redis_store(reach(store_own_cluster)) as store:
        await store.ping()
        store_own_cluster.nodes[2].pause()
        with pytest.raises(StoreUnavailable, match="no answer in time"):
            await store.ping(0.3)
        store_own_cluster.nodes[2].resume()
        await store.ping()


async def test_a_node_of_a_cluster_that_is_taken_for_a_server_of_its_own_is_told(
    store_cluster: Cluster,
):
    async with redis_store(Reach(address=store_cluster.nodes[0].address)) as store:
        with capture_logs() as logs:
            assert not (await store.take(everywhere())).available
    assert "set store.redis.cluster: true" in logs[0]["problem"]


async def test_a_server_of_its_own_that_is_taken_for_a_cluster_is_told(store_server: Server):
    with pytest.raises(StoreUnavailable, match="no node of the cluster"):
        async with redis_store(Reach(address=store_server.address, cluster=True)):
            pass
