"""A cluster shares its keys out, moves them, and goes when it should."""

import os

import pytest
from redis import exceptions
from redis.asyncio.cluster import RedisCluster

from bench.servers.cluster import SLOTS, Cluster
from bench.servers.relay import FaultRelay
from bench.servers.server import wait_until

KEYS = [f"{{{number}}}:count" for number in range(30)]


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_client_finds_each_key_on_one_of_three_masters(store_cluster: Cluster):
    async with RedisCluster.from_url(store_cluster.url, decode_responses=True) as client:
        for key in KEYS:
            assert await client.incr(key) == 1
    sizes = []
    for node in store_cluster.nodes:
        with node.client() as direct:
            sizes.append(direct.dbsize())
    assert sum(sizes) == len(KEYS)
    assert all(sizes)


def test_each_test_finds_the_cluster_empty(store_cluster: Cluster):
    node = store_cluster.node_of("a")
    with node.client() as client:
        client.set("a", "1")
        store_cluster.flush()
        assert client.dbsize() == 0


def test_all_nodes_agree_on_equal_shares(store_cluster: Cluster):
    for number, slot in enumerate((0, SLOTS // 2, SLOTS - 1)):
        owners = {node.owner(slot) for node in store_cluster.nodes}
        assert owners == {store_cluster.nodes[number].id}


async def test_a_relay_before_one_node_is_where_clients_are_sent(store_cluster: Cluster):
    node = store_cluster.node_of("a")
    async with FaultRelay(node.port) as relay:
        store_cluster.announce(node, relay.port)
        try:
            async with RedisCluster.from_url(store_cluster.url) as client:
                await client.set("a", "1")
        finally:
            store_cluster.announce(node, 0)
        assert relay.accepted


def test_a_moved_slot_answers_with_its_new_owner(store_cluster: Cluster):
    cluster = store_cluster
    before = cluster.node_of("a")
    after = cluster.nodes[cluster.nodes.index(before) - 1]
    cluster.move("a", after)
    assert cluster.node_of("a") is after
    with before.client() as client, pytest.raises(exceptions.ResponseError, match=str(after.port)):
        client.set("a", "1")
    with after.client() as client:
        assert client.set("a", "1")
    cluster.flush()
    cluster.move("a", before)
    assert cluster.node_of("a") is before


def test_a_dead_master_takes_its_slots_along_until_it_is_back(store_own_cluster: Cluster):
    cluster = store_own_cluster
    dead = cluster.nodes[1]
    key = next(key for key in KEYS if cluster.node_of(key) is cluster.nodes[0])
    dead.kill()
    with dead.client() as client, pytest.raises(exceptions.ConnectionError):
        client.ping()
    with cluster.nodes[0].client() as client:
        wait_until(lambda: cluster.nodes[0].ask("INFO")["cluster_state"] == "fail", "the others")
        with pytest.raises(exceptions.ClusterDownError):
            client.get(key)
    dead.restart()
    cluster.wait_ok()


def test_a_cluster_that_does_not_come_up_leaves_no_process(store_engine, monkeypatch):
    pids = []

    def never(cluster: Cluster) -> None:
        pids.extend(node.process.pid for node in cluster.nodes)
        raise TimeoutError

    monkeypatch.setattr(Cluster, "wait_ok", never)
    with pytest.raises(TimeoutError), Cluster(store_engine):
        pass
    assert len(set(pids)) == 3
    assert not any(map(lives, pids))
