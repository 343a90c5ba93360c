"""The memory store and a server give the same answers, whatever is taken and settled when."""

import asyncio
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from bench.servers.server import Server
from proxy.model.plan import Charge, Correction, Plan, Readings
from proxy.store.redis.connect import Reach, route
from proxy.store.redis.store import RedisStore
from tests.store.plans import (
    KEY,
    T0_S,
    Memory,
    S,
    bucket,
    charge,
    lease,
    lifetime,
    plan,
    rolling,
)

# Shrinking takes minutes here, and the steps of a failure are told anyway.
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate, Phase.target)
KINDS = {"fixed": charge, "life": lifetime, "rolling": rolling, "bucket": bucket, "lease": lease}
PARENTS = ("one", "two")


def counter_of(kind: str, cluster: str) -> str:
    return f"r|tokens|cluster={cluster}&model=m|{kind}"


@st.composite
def charges(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Up to four charges, each of another counter, in some slots; no child beside its parents."""
    subjects = st.tuples(st.sampled_from(sorted(KINDS)), st.sampled_from([*PARENTS, "child"]))
    drawn = []
    chosen = draw(st.lists(subjects, min_size=1, max_size=4, unique=True))
    children = {kind for kind, cluster in chosen if cluster == "child"}
    for kind, cluster in [one for one in chosen if one[1] == "child" or one[0] not in children]:
        amount = draw(st.integers(0, 5))
        more = {"limit": draw(st.integers(1, 9)), "binding": draw(st.booleans())}
        if kind != "lease":
            more["amount"] = amount
            more["least"] = draw(st.integers(-1, amount))
        if kind == "bucket":
            more["rate"] = draw(st.sampled_from([6, 7, 13]))
        if cluster == "child":
            more["inherits"] = tuple(counter_of(kind, parent) for parent in PARENTS)
        drawn.append({"kind": kind, "cluster": cluster} | more)
    return drawn


class SameAnswers(RuleBasedStateMachine):
    """Takes, settlements and steps of time, done to both."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        server.flush()
        self.runner = asyncio.Runner()
        self.memory = Memory()
        self.redis = self.runner.run(self._connected(server))
        self.at_s = 0.0
        self.open: list[tuple[Plan, Readings]] = []
        # The memory store lets full buckets go by the longest of them; here none shall go.
        self._both(plan(bucket("long", limit=10**6, rate=1)))

    async def _connected(self, server: Server) -> RedisStore:
        reach = Reach(address=server.address)
        store = RedisStore(route(reach), KEY, timeout_s=5, lease_s=10**6, now_ns=lambda: T0_S * S)
        await store.ping()
        return store

    def teardown(self) -> None:
        self.runner.run(self.redis.close())
        self.runner.close()

    def _charge(self, kind: str, cluster: str, **more: Any) -> Charge:
        if kind == "fixed":
            begins = T0_S + int(self.at_s) // 60 * 60
            more |= {"starts_ns": begins * S, "ends_ns": (begins + 60) * S}
        return KINDS[kind](counter_of(kind, cluster), slot=f"cluster={cluster}", **more)

    def _both(self, wanted: Plan) -> Readings:
        one = self.runner.run(self.memory.take(wanted))
        other = self.runner.run(self.redis.take(wanted))
        assert other == one
        return one

    @rule(step_s=st.sampled_from([0, 0.0004, 0.5, 1, 7.25, 29]))
    def time_goes_on(self, step_s: float) -> None:
        self.at_s += step_s

    @rule(drawn=charges(), take=st.booleans())
    def take(self, drawn: list[dict[str, Any]], take: bool) -> None:
        wanted = plan(*[self._charge(**one) for one in drawn], at_s=self.at_s, take=take)
        readings = self._both(wanted)
        if readings.taken:
            again = self.runner.run(self.redis.take(wanted))
            assert again.taken
            assert [r.before for r in again.readings] == [r.before for r in readings.readings]
            self.open.append((wanted, readings))

    @rule(which=st.integers(0, 9), deltas=st.lists(st.integers(-6, 6), min_size=4, max_size=4))
    def settle(self, which: int, deltas: list[int]) -> None:
        if not self.open:
            return
        wanted, readings = self.open.pop(which % len(self.open))
        corrections = tuple(
            Correction(one, delta) for one, delta in zip(wanted.charges, deltas, strict=False)
        )
        for store in (self.memory, self.redis, self.redis):  # twice is as once
            self.runner.run(store.settle(wanted, readings, corrections))


def test_both_stores_answer_alike(store_server: Server):
    run_state_machine_as_test(
        lambda: SameAnswers(store_server),
        settings=settings(
            max_examples=60, stateful_step_count=25, deadline=None, phases=NO_SHRINKING
        ),
    )


@pytest.mark.parametrize("amount", [10**9, 2**40, 10**12 + 7])
async def test_large_amounts_come_back_to_a_bucket_at_the_same_microsecond(
    store_server: Server, amount: int
):
    memory, reach = Memory(), Reach(address=store_server.address)
    store = RedisStore(route(reach), KEY, timeout_s=5, now_ns=lambda: T0_S * S)
    month = {"limit": 2**50, "rate": 10**9 + 7, "window_s": 2_678_400}
    for at_s in (0, 0.123457, 17):
        wanted = plan(bucket(amount=amount, **month), at_s=at_s)
        assert await store.take(wanted) == await memory.take(wanted)
    await store.close()
