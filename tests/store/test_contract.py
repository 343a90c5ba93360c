"""What every store answers: the embedded one, a server of each engine, and a cluster."""

import asyncio
from contextlib import ExitStack
from functools import cache

import pytest

from bench.servers.cluster import Cluster
from bench.servers.engines import ENGINES
from bench.servers.server import Server
from proxy.model.plan import Correction, Plan, Readings
from proxy.store.leases import AGAIN_NS
from proxy.store.redis.connect import Reach
from tests.store.plans import (
    T0_S,
    Memory,
    S,
    bucket,
    charge,
    eventually,
    lease,
    lifetime,
    plan,
    redis_store,
    rolling,
)

KINDS = [charge, lifetime, rolling, bucket, lease]


@pytest.fixture(scope="module")
def started():
    """Servers by engine, each started when it is first asked for."""
    with ExitStack() as stack:
        yield cache(
            lambda which: stack.enter_context(Cluster() if which == "cluster" else Server(which))
        )


@pytest.fixture(params=["memory", *ENGINES, "cluster"], ids=str)
async def store(request: pytest.FixtureRequest, started):
    if request.param == "memory":
        yield Memory()
        return
    server = started(request.param)
    server.flush()
    if request.param == "cluster":
        reach = Reach(address=server.nodes[0].address, cluster=True)
    else:
        reach = Reach(address=server.address)
    async with redis_store(reach) as connected:
        yield connected


async def befores(store, *charges, at_s: float = 0) -> list[int]:
    looked = await store.take(plan(*charges, at_s=at_s, take=False))
    assert not looked.taken
    return [reading.before for reading in looked.readings]


async def end(store, wanted: Plan, readings: Readings, *deltas: int) -> None:
    corrections = [Correction(c, d) for c, d in zip(wanted.charges, deltas, strict=True)]
    await store.settle(wanted, readings, tuple(corrections))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_limit_admits_exactly_as_many_as_it_says(store, kind):
    taken = [await store.take(plan(kind())) for _ in range(5)]
    assert [readings.taken for readings in taken] == [True] * 3 + [False] * 2
    assert [r.readings[0].before for r in taken] == [0, 1, 2, 3, 3]
    assert all(readings.available for readings in taken)


async def test_a_reading_says_when_the_limit_is_whole_again(store):
    wanted = plan(charge("f"), lifetime("l"), rolling("r"), bucket("b"), lease("c"), at_s=30.5)
    await store.take(wanted)
    readings = (await store.take(plan(*wanted.charges, at_s=40))).readings
    resets = [reading.resets_at_ns - T0_S * S for reading in readings]
    assert resets == [
        60 * S,
        2**63 - 1 - T0_S * S,
        91 * S,  # the part of second 30 has left the window
        int(40.5 * S),  # one of six a minute comes back in ten seconds
        40 * S + AGAIN_NS,
    ]


async def test_a_refused_charge_is_told_when_it_fits(store):
    for at_s in (0, 10, 20):
        await store.take(plan(rolling("r"), bucket("b", rate=3), at_s=at_s))
    asked = plan(rolling("r", 2), bucket("b", 2, rate=3), at_s=21)
    refused = await store.take(asked)
    assert not refused.taken
    assert [r.fits_at_ns - T0_S * S for r in refused.readings] == [71 * S, 40 * S]


async def test_a_fixed_window_ends_for_everybody_at_once(store):
    await store.take(plan(charge(amount=3), at_s=59))
    following = charge(starts_ns=(T0_S + 60) * S, ends_ns=(T0_S + 120) * S)
    assert await befores(store, following, at_s=60) == [0]
    assert await befores(store, charge(), at_s=59) == [3]


async def test_calendar_windows_of_one_counter_are_told_apart_by_their_end(store):
    day = 86_400
    march = charge("m", 2, 9, window_s=31 * day, ends_ns=(T0_S + 5 * day) * S)
    april = charge("m", 2, 9, window_s=30 * day, ends_ns=(T0_S + 35 * day) * S)
    await store.take(plan(march))
    assert await befores(store, march, april) == [2, 0]


async def test_a_rolling_window_lets_go_part_by_part(store):
    for at_s in (0, 30):
        await store.take(plan(rolling(limit=9), at_s=at_s))
    assert [(await befores(store, rolling(), at_s=s))[0] for s in (60.9, 61, 90.9, 91)] == [
        2,
        1,
        1,
        0,
    ]


async def test_a_bucket_fills_steadily(store):
    await store.take(plan(bucket(amount=3)))
    assert [(await befores(store, bucket(), at_s=s))[0] for s in (0, 9.999, 10, 29.9, 30)] == [
        3,
        3,
        2,
        1,
        0,
    ]


async def test_leases_are_held_until_they_are_given_back(store):
    wanted = plan(lease())
    readings = await store.take(wanted)
    assert await befores(store, lease(), at_s=30) == [1]
    await end(store, wanted, readings, -1)
    assert await befores(store, lease(), at_s=30) == [0]


async def test_a_charge_that_may_be_clamped_takes_what_is_left(store):
    for kind in (charge, rolling, bucket):
        name = kind.__name__
        await store.take(plan(kind(name, 7, 10)))
        clamped = plan(kind(name, 5, 10, least=2))
        readings = await store.take(clamped)
        assert readings.taken
        assert await befores(store, kind(name, limit=10)) == [10]
        assert not (await store.take(plan(kind(name, 5, 10, least=2)))).taken
        # What is settled is what was taken, which is 3.
        await end(store, clamped, readings, -3)
        assert await befores(store, kind(name, limit=10)) == [7]


async def test_what_uses_nothing_fits_a_limit_that_is_passed(store):
    for kind in (charge, rolling, bucket):
        await store.take(plan(kind(kind.__name__, 9, binding=False)))
        assert (await store.take(plan(kind(kind.__name__, 0)))).taken


@pytest.mark.parametrize("kind", KINDS)
async def test_a_charge_that_does_not_bind_counts_past_its_limit(store, kind):
    for _ in range(5):
        assert (await store.take(plan(kind(binding=False)))).taken
    assert await befores(store, kind()) == [5]


@pytest.mark.parametrize("kind", KINDS)
async def test_all_binding_charges_are_taken_or_none(store, kind):
    tight, wide = kind("tight", limit=1, slot="one"), kind("wide", limit=9, slot="two")
    assert (await store.take(plan(tight, wide))).taken
    assert not (await store.take(plan(tight, wide))).taken
    assert not (await store.take(plan(wide, tight))).taken

    async def one_is_counted() -> bool:
        return await befores(store, tight, wide) == [1, 1]

    await eventually(one_is_counted)


async def test_a_plan_that_only_looks_counts_nothing(store):
    charges = [kind(kind.__name__) for kind in KINDS]
    assert await befores(store, *charges) == [0] * 5
    assert await befores(store, *charges) == [0] * 5


async def test_a_plan_without_charges_is_taken(store):
    assert (await store.take(plan())).taken
    assert not (await store.take(plan(take=False))).taken


@pytest.mark.parametrize(
    ("kind", "wants"), [(charge, [9, 0]), (lifetime, [9, 0]), (rolling, [9, 0]), (bucket, [9, 0])]
)
async def test_a_correction_changes_what_was_taken_and_never_below_nothing(store, kind, wants):
    more = plan(kind(amount=4, limit=99, **({"rate": 60} if kind is bucket else {})))
    readings = await store.take(more)
    await end(store, more, readings, 5)
    assert await befores(store, *more.charges) == wants[:1]
    less = plan(*more.charges)
    readings = await store.take(less)
    await end(store, less, readings, -50)
    assert await befores(store, *more.charges) == wants[1:]


async def test_a_rolling_count_is_corrected_where_it_was_taken(store):
    early, late = plan(rolling(amount=2, limit=9)), plan(rolling(amount=2, limit=9), at_s=30)
    read = await store.take(early)
    await store.take(late)
    await end(store, early, read, -1)
    assert await befores(store, rolling(), at_s=31) == [3]
    assert await befores(store, rolling(), at_s=61) == [2]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_new_count_begins_at_the_largest_of_its_parents(store, kind):
    names = [f"r|tokens|cluster={cluster}|fixed" for cluster in ("one", "two", "child")]
    slots = ["cluster=one", "cluster=two", "cluster=child"]
    for name, slot, times in zip(names, slots, (1, 2), strict=False):
        for _ in range(times):
            await store.take(plan(kind(name, limit=9, slot=slot)))
    child = kind(names[2], limit=9, slot=slots[2], inherits=tuple(names[:2]))
    assert await befores(store, child) == [2]
    assert (await store.take(plan(child))).taken
    # A lease is held by who took it; any other count goes on from its parents'.
    assert await befores(store, child) == [1 if kind is lease else 3]
    await store.take(plan(kind(names[1], limit=9, slot=slots[1])))
    assert await befores(store, child) == [1 if kind is lease else 3]
    orphan = kind("other", slot="x", inherits=("r|none",))
    assert await befores(store, orphan) == [0]


async def test_counts_are_exact_to_two_to_the_fifty_third(store):
    most = 2**53
    for kind in (charge, lifetime):
        name = kind.__name__
        assert (await store.take(plan(kind(name, most - 1, most)))).taken
        assert (await store.take(plan(kind(name, 1, most)))).taken
        assert not (await store.take(plan(kind(name, 1, most)))).taken
        assert await befores(store, kind(name)) == [most]


@pytest.mark.parametrize("kind", [charge, rolling, bucket, lease])
async def test_two_hundred_at_once_on_a_limit_of_a_hundred_are_a_hundred(store, kind):
    wanted = [plan(kind(limit=100), kind("wide", limit=1000, slot="two")) for _ in range(200)]
    taken = await asyncio.gather(*[store.take(one) for one in wanted])
    assert sum(readings.taken for readings in taken) == 100

    async def as_many_are_counted() -> bool:  # a cluster gives back beside the answer
        return await befores(store, kind(), kind("wide", slot="two")) == [100, 100]

    await eventually(as_many_are_counted)
