"""200 clients at once on one limit of 100: 100 are let in, whoever counts."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from bench.servers.engines import VALKEY
from tests.gateway.conftest import opened

pytestmark = pytest.mark.asyncio(loop_scope="session")

CLIENTS, LIMIT = 200, 100
POLICY = """
quotas:
  - {id: one, match: {tiers: [counted]}, mode: enforce, window: 1w, limit: {requests: 100},
     on_unavailable: deny}
  - {id: apart, match: {tiers: [spent]}, mode: enforce, window: 1w, limit: {requests: 100},
     on_unavailable: deny}
  - {id: apart-model, match: {tiers: [spent]}, mode: enforce, window: 1w, limit: {requests: 100},
     per: model, on_unavailable: deny}
"""


async def rushed(gates, key):
    """How many clients got which answer, of those who ask all gateways at once."""
    asked = [gates[n % len(gates)].ask(gates[0].post(key=key)) for n in range(CLIENTS)]
    return Counter(answer.status for answer in await asyncio.gather(*asked))


@pytest.mark.parametrize("tier", ["counted", "spent"])
async def test_one_process_lets_in_as_many_as_the_limit(open_gate, upstream, tier):
    gate = await open_gate(policy=POLICY)
    assert await rushed([gate], gate.key(tier)) == {200: LIMIT, 429: CLIENTS - LIMIT}
    assert len(upstream.requests) == LIMIT


def sharing(url, **more):
    """The settings of gateways that count in one server."""
    redis = {"url": url, "timeout_ms": 1000, "max_replicas": 2, **more}
    return {
        "policy": POLICY,
        "store": {"redis": redis},
        "secrets": {"fingerprint_key": "0f" * 32, "pseudonym_key": "f0" * 32},
    }


@pytest.mark.parametrize("store_engine", [VALKEY], indirect=True, ids=str)
@pytest.mark.parametrize("tier", ["counted", "spent"])
async def test_two_gateways_on_one_server_let_in_no_more_together(
    store_server, tmp_path, upstream, tier
):
    async with AsyncExitStack() as stack:
        gates = [
            await stack.enter_async_context(
                opened(tmp_path / name, upstream, **sharing(store_server.url))
            )
            for name in ("one", "other")
        ]
        got = await rushed(gates, gates[0].key(tier))
    assert got[200] <= LIMIT
    assert got.total() == CLIENTS
    assert got[200] == LIMIT or tier == "spent"  # in two slots somebody may give back too late
    assert len(upstream.requests) == got[200]
    assert set(got) <= {200, 429}
