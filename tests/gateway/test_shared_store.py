"""Two gateways on one Redis: one limit for both, and what becomes of it when Redis goes away."""

import asyncio

import pytest

from bench.servers.engines import VALKEY
from tests.gateway.conftest import opened

pytestmark = pytest.mark.asyncio(loop_scope="session")

POLICY = """
quotas:
  - {id: closed, match: {tiers: [free]}, mode: enforce, limit: {requests: 10}, window: 1w,
     on_unavailable: deny}
  - {id: shared, match: {tiers: [counted]}, mode: enforce, limit: {requests: 10}, window: 1w,
     on_unavailable: local}
  - {id: open, match: {tiers: [spent]}, mode: enforce, limit: {requests: 10}, window: 1w}
"""


METRICS = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"

# One engine is enough here: the store's own tests have every other.
one_engine = pytest.mark.parametrize("store_engine", [VALKEY], indirect=True)


def redis(server):
    return {
        "store": {"redis": {"url": server.url, "timeout_ms": 200, "max_replicas": 2}},
        "secrets": {"fingerprint_key": "ab" * 32},
    }


async def statuses(gates, key, times):
    """Of so many requests of one key, by turns over the gateways."""
    asked = [gates[n % len(gates)] for n in range(times)]
    answers = await asyncio.gather(*(gate.ask(gate.post(key=key)) for gate in asked))
    return sorted(answer.status for answer in answers)


@one_engine
async def test_two_gateways_admit_what_one_would(tmp_path, upstream, store_server):
    given = {"policy": POLICY, **redis(store_server)}
    async with (
        opened(tmp_path / "a", upstream, **given) as one,
        opened(tmp_path / "b", upstream, **given) as other,
    ):
        key = one.key("counted")
        assert await statuses([one, other], key, 30) == [200] * 10 + [429] * 20
        one.hang_up()
        other.hang_up()


@one_engine
async def test_without_redis_each_rule_does_what_it_says_and_the_record_says_so(
    tmp_path, upstream, store_own_server, eventually
):
    given = {"policy": POLICY, **redis(store_own_server)}
    async with opened(tmp_path / "a", upstream, **given) as gate:
        await asyncio.to_thread(store_own_server.kill)
        assert await statuses([gate], gate.key("free"), 3) == [503] * 3
        record = (await gate.records("decision"))[-1].fields
        assert record["store"] == "unavailable"
        assert await statuses([gate], gate.key("counted"), 12) == [200] * 5 + [429] * 7
        assert (await gate.records("decision"))[-1].fields["charges"][0][7] == 2
        assert await statuses([gate], gate.key("spent"), 12) == [200] * 12
        assert "does not answer" in gate.server.gateway.store.problem
        told = (await gate.ask(METRICS, admin=True)).body.decode()
        assert "gauger_store_unavailable 1.0" in told
        assert "gauger_counts_failed 1.0" in told
        await asyncio.to_thread(store_own_server.restart)
        await eventually(lambda: gate.server.gateway.store.problem is None)
        assert gate.server.gateway.store.status()["state"] == "answering"
        told = (await gate.ask(METRICS, admin=True)).body.decode()
        assert "gauger_counts_failed 0.0" in told
        assert await statuses([gate], gate.key("free"), 3) == [200] * 3
        gate.hang_up()
