"""What a reservation leaves behind when its process dies, its reply is lost or it is told twice."""

import pytest
from redis import Redis

from bench.servers.server import Server
from proxy.model.plan import Correction, Plan
from proxy.model.verdict import Unit
from proxy.store.redis.connect import Reach
from tests.store.plans import T0_S, S, bucket, charge, lease, lifetime, plan, redis_store, rolling

LEASE_S = 60
TOKENS = [charge, lifetime, rolling, bucket]
WIDE = {"limit": 10_000, "window_s": 600, "ends_ns": (T0_S + 600) * S}


@pytest.fixture
async def store(store_server: Server):
    async with redis_store(Reach(address=store_server.address), lease_s=LEASE_S) as store:
        yield store


def tokens(kind, **more):
    """5,000 tokens: 1,000 of input, and up to 4,000 of output."""
    fields = WIDE | {"rate": 100} | more
    if kind in (lifetime, rolling, bucket):
        del fields["ends_ns"]
    if kind is not bucket:
        del fields["rate"]
    return kind("tokens", 5000, base=1000, per_output=1_000_000, **fields)


def spending(*charges, **more) -> Plan:
    return plan(*charges, output_tokens=4000, input_tokens=1000, **more)


async def used(store, one, at_s: float) -> int:
    return (await store.take(plan(one, at_s=at_s, take=False))).readings[0].before


def corrected(one, delta: int) -> tuple[Correction, ...]:
    return (Correction(one, delta),)


# One interval between renewals is 20 s, in which a model writes up to 2,000 tokens. Of a bucket
# 600 s of 100 in 600 s have come back by then.
@pytest.mark.parametrize(("kind", "floor"), [*zip(TOKENS, [3000, 3000, 3000, 2990], strict=True)])
async def test_what_a_dead_process_held_comes_down_to_its_floor_after_a_lease(store, kind, floor):
    wanted = spending(tokens(kind), lease())
    assert (await store.take(wanted)).taken
    assert await used(store, tokens(kind), 59.99) == (4991 if kind is bucket else 5000)
    assert await used(store, lease(), 59.99) == 1
    assert await used(store, tokens(kind), 60.001) == floor
    assert await used(store, lease(), 60.001) == 0


async def test_requests_and_input_are_charged_in_full_by_a_dead_process(store):
    whole = [charge("requests", 1, 9), charge("bytes", 700, 999), charge("least", 30, 99, base=30)]
    await store.take(spending(*whole))
    looked = await store.take(plan(*whole, at_s=61, take=False))
    assert [reading.before for reading in looked.readings] == [1, 700, 30]


async def test_another_exchange_frees_what_a_dead_process_held(store):
    dead = spending(tokens(charge, limit=6000))
    assert (await store.take(dead)).taken
    assert not (await store.take(spending(tokens(charge, limit=6000), at_s=59))).taken
    again = tokens(charge, limit=8000)
    assert (await store.take(spending(again, at_s=60))).readings[0].before == 3000


@pytest.mark.parametrize("kind", TOKENS)
async def test_a_settlement_that_comes_after_the_lease_is_exact(store, kind):
    wanted = spending(tokens(kind))
    readings = await store.take(wanted)
    await used(store, tokens(kind), 61)
    for _ in range(2):
        await store.settle(wanted, readings, corrected(wanted.charges[0], -500))
    left = await used(store, tokens(kind), 61)
    assert left == (4490 if kind is bucket else 4500)


async def test_a_renewal_moves_the_end_and_the_floor(store_server: Server):
    now_s = [0.0]
    reach = Reach(address=store_server.address)
    clock = {"now_ns": lambda: int((T0_S + now_s[0]) * S)}
    async with redis_store(reach, lease_s=LEASE_S, **clock) as store:
        wanted = spending(tokens(charge), lease())
        readings = await store.take(wanted)
        now_s[0] = 20
        for _ in range(2):
            await store.renew(wanted, readings, corrected(wanted.charges[0], -600))
        assert [await used(store, one, 79) for one in wanted.charges] == [5000, 1]
        assert [await used(store, one, 81) for one in wanted.charges] == [4400, 0]


async def test_a_renewal_after_the_lease_holds_all_that_was_taken_again(store_server: Server):
    now_s = [0.0]
    reach = Reach(address=store_server.address)
    clock = {"now_ns": lambda: int((T0_S + now_s[0]) * S)}
    async with redis_store(reach, lease_s=LEASE_S, **clock) as store:
        wanted = spending(tokens(charge), lease())
        readings = await store.take(wanted)
        now_s[0] = 100
        assert [await used(store, one, 100) for one in wanted.charges] == [3000, 0]
        await store.renew(wanted, readings, corrected(wanted.charges[0], -100))
        assert [await used(store, one, 100) for one in wanted.charges] == [5000, 1]
        await store.settle(wanted, readings, corrected(wanted.charges[0], -5000))
        assert [await used(store, one, 100) for one in wanted.charges] == [0, 0]


async def test_a_plan_that_was_held_is_settled_exactly_days_after_its_lease(store_server: Server):
    """As a batch is, whose results are fetched later: renewed with an empty floor, then lapsed."""
    now_s = [0.0]
    reach, day_s = Reach(address=store_server.address), 86_400
    month = {"window_s": 30 * day_s, "ends_ns": (T0_S + 30 * day_s) * S}
    clock = {"now_ns": lambda: int((T0_S + now_s[0]) * S)}
    async with redis_store(reach, lease_s=LEASE_S, **clock) as store:
        wanted = spending(tokens(charge, **month), tokens(lifetime, slot="two"))
        readings = await store.take(wanted)
        await store.renew(wanted, readings, ())
        now_s[0] = 3 * day_s
        assert [await used(store, one, 3 * day_s) for one in wanted.charges] == [5000, 5000]
        with store_server.client() as client:
            (kept,) = [key for key in client.scan_iter() if ":held:" in key]
            assert client.ttl(kept) > 30 * day_s
            assert not [key for key in client.scan_iter() if key.endswith(":open")]
        for _ in range(2):
            await store.settle(
                wanted, readings, tuple(Correction(one, -1234) for one in wanted.charges)
            )
        assert [await used(store, one, 3 * day_s) for one in wanted.charges] == [3766, 3766]


async def test_a_plan_is_taken_and_settled_once_however_often_it_is_told(store):
    wanted = spending(tokens(charge), lease())
    first, second = await store.take(wanted), await store.take(wanted)
    assert first == second
    assert await used(store, wanted.charges[0], 1) == 5000
    for _ in range(3):
        await store.settle(wanted, first, corrected(wanted.charges[0], -4000))
    assert [await used(store, one, 1) for one in wanted.charges] == [1000, 0]
    await store.renew(wanted, first, ())
    assert [await used(store, one, 1) for one in wanted.charges] == [1000, 0]


async def test_a_take_that_arrives_after_its_settlement_does_not_count(store):
    wanted = spending(tokens(charge), lease())
    await store.settle(wanted, (await store.take(plan(*wanted.charges, take=False))), ())
    late = await store.take(wanted)
    assert (late.taken, late.available) == (False, True)
    assert [await used(store, one, 1) for one in wanted.charges] == [0, 0]


async def test_a_take_that_arrives_after_its_lease_has_lapsed_does_not_count_again(store):
    wanted = spending(tokens(charge))
    await store.take(wanted)
    assert await used(store, wanted.charges[0], 61) == 3000
    late = await store.take(wanted)
    assert (late.taken, late.available) == (False, True)


async def test_what_is_settled_is_what_was_taken_also_where_the_answer_was_not_heard(store):
    before = spending(tokens(charge, limit=7000))
    await store.take(before)
    clamped = spending(tokens(charge, limit=7000, least=1200))
    heard = await store.take(clamped)
    assert clamped.charges[0].taken(heard.readings[0].before) == 2000
    # Nothing was heard: 5,000 are taken to have been counted, of which 1,500 were used.
    unheard = type(heard)(available=False)
    await store.settle(clamped, unheard, corrected(clamped.charges[0], -3500))
    assert await used(store, clamped.charges[0], 1) == 6500


async def test_a_settlement_after_a_flush_revives_nothing(store, store_server: Server):
    wanted = spending(*[tokens(kind) for kind in TOKENS], lease())
    readings = await store.take(wanted)
    store_server.flush()
    await store.renew(wanted, readings, ())
    await store.settle(wanted, readings, tuple(Correction(c, 70) for c in wanted.charges))
    looked = await store.take(plan(*wanted.charges, at_s=1, take=False))
    assert [reading.before for reading in looked.readings] == [0] * 5


async def test_a_settlement_after_the_window_has_gone_revives_nothing(store, store_server: Server):
    wanted = spending(charge(amount=2))
    readings = await store.take(wanted)
    with store_server.client() as client:
        (key,) = [k for k in client.scan_iter() if ":open" not in k and ":held:" not in k]
        assert 60_000 < client.pttl(key) <= 180_000
        client.delete(key)
        await store.settle(wanted, readings, corrected(wanted.charges[0], 5))
        assert not client.exists(key)


async def test_all_keys_have_an_end_but_those_of_lifetime_budgets(store, store_server: Server):
    await store.take(spending(charge("f"), rolling("r"), bucket("b"), lease("c"), lifetime("l")))
    with store_server.client() as client:
        endless = [key for key in client.scan_iter() if client.ttl(key) < 0]
        assert len(client.keys()) == 7
        assert len(endless) == 1


async def test_nothing_is_left_of_an_exchange_that_has_ended_but_its_counts(
    store, store_server: Server
):
    wanted = spending(charge(), lease())
    await store.settle(wanted, await store.take(wanted), ())
    with store_server.client() as client:
        assert len(client.keys()) == 1


async def test_keys_and_values_tell_nobody_who(store, store_server: Server):
    secret = "acme-industries"
    one = charge(f"r|requests|account.id={secret}|fixed", slot=f"account.id={secret}")
    await store.take(spending(one, lease(f"r|{secret}", slot=secret)))
    with Redis(*store_server.address) as client:
        keys = client.keys()
        assert len(keys) == 4
        assert all(key.startswith(b"{gauger:") for key in keys)
        assert not any(secret.encode() in key + client.dump(key) for key in keys)


async def test_units_without_output_have_no_lesser_floor(store):
    batch = charge("batch", 40, 99, base=40)
    assert batch.unit is Unit.TOKENS
    await store.take(spending(batch))
    assert await used(store, batch, 61) == 40


async def test_processes_that_live_are_counted(store):
    assert [await store.heartbeat(f"p{n % 2}", T0_S * 1000 + n, 5000) for n in range(3)] == [
        1,
        2,
        2,
    ]
    assert await store.heartbeat("p9", T0_S * 1000 + 6000, 5000) == 1
