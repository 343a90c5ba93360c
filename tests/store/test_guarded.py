"""A guarded store over a shared one of our own, with a clock that stands still."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.model.plan import Correction, Plan, Readings
from proxy.model.verdict import OnUnavailable
from proxy.store.breaker import Tolerance
from proxy.store.guarded import GuardedStore
from tests.store.fake_shared import Clock, FakeShared, State, guarded, told
from tests.store.plans import bucket, charge, lease, lifetime, plan, rolling

DENY, ALLOW, LOCAL = OnUnavailable.DENY, OnUnavailable.ALLOW, OnUnavailable.LOCAL


class World:
    """A store, what it guards, and its clock."""

    def __init__(self, **more: object) -> None:
        self.clock, self.shared = Clock(), FakeShared()
        self.store: GuardedStore = guarded(self.shared, self.clock, **more)

    def lost(self, state: State = State.GONE) -> None:
        self.shared.state = state
        if self.store.breaker.trip(self.clock.s):
            self.store.outbox.hold()

    async def back(self) -> None:
        self.shared.back()
        assert await self.store.watch.probe()
        await told(self.store)


@asynccontextmanager
async def world(**more: object):
    one = World(**more)
    await one.store.start()
    try:
        yield one
    finally:
        await one.store.close()


def corrected(wanted: Plan, readings: Readings, used: int) -> tuple[Correction, ...]:
    """Corrections to what was used of each charge."""
    return tuple(
        Correction(one, used - one.taken(reading.before, reading.share))
        for one, reading in readings.of(wanted)
    )


async def spend(store: GuardedStore, *charges, used: int = 1, at_s: float = 0) -> bool:
    """Take and settle."""
    wanted = plan(*charges, at_s=at_s)
    readings = await store.take(wanted)
    store.settle(wanted, readings, corrected(wanted, readings, used))
    return readings.taken


async def test_while_the_store_answers_its_answers_are_passed_on():
    async with world() as w:
        results = [await spend(w.store, charge(limit=2)) for _ in range(3)]
        await told(w.store)
        assert results == [True, True, False]
        assert w.shared.used(charge()) == 2
        assert w.shared.reservations() == 0


async def test_a_charge_that_denies_refuses_what_is_not_known():
    async with world() as w:
        w.lost()
        readings = await w.store.take(plan(charge(on_unavailable=DENY)))
        assert (readings.taken, readings.available) == (False, False)
        assert [reading.known for reading in readings.readings] == [False]


async def test_a_charge_that_denies_and_binds_nothing_refuses_nothing():
    async with world() as w:
        w.lost()
        wanted = plan(charge(on_unavailable=DENY, binding=False), charge("d", on_unavailable=ALLOW))
        assert (await w.store.take(wanted)).taken


async def test_a_charge_that_allows_lets_through_uncounted_and_says_so():
    async with world() as w:
        w.lost()
        for _ in range(9):
            readings = await w.store.take(plan(charge(limit=3, on_unavailable=ALLOW)))
            assert (readings.taken, readings.available) == (True, False)
            assert not readings.readings[0].known


async def test_a_local_charge_is_counted_against_the_share_of_its_limit():
    async with world(max_replicas=4) as w:
        w.lost()
        one = charge(limit=11, on_unavailable=LOCAL)
        read = [await w.store.take(plan(one)) for _ in range(4)]
        assert [readings.taken for readings in read] == [True, True, False, False]
        assert [readings.readings[0].before for readings in read] == [0, 1, 2, 2]
        assert {readings.readings[0].share for readings in read} == {4}
        assert not any(readings.available for readings in read)


async def test_with_one_replica_the_whole_limit_is_the_share():
    async with world(max_replicas=1) as w:
        w.lost()
        one = charge(limit=2, on_unavailable=LOCAL)
        read = [await w.store.take(plan(one)) for _ in range(3)]
        assert [readings.taken for readings in read] == [True, True, False]
        assert [(r.readings[0].share, r.available) for r in read] == [(1, False)] * 3


async def test_a_limit_smaller_than_the_number_of_replicas_gives_nobody_anything():
    async with world(max_replicas=4) as w:
        w.lost()
        assert not (await w.store.take(plan(charge(limit=3, on_unavailable=LOCAL)))).taken


@pytest.mark.parametrize("kind", [charge, lifetime, rolling, bucket])
async def test_the_share_begins_at_what_was_known_to_be_used(kind):
    async with world(max_replicas=2) as w:
        one = kind(limit=20, on_unavailable=LOCAL)
        for _ in range(15):
            await spend(w.store, one)
        w.lost()
        admitted = [await spend(w.store, one) for _ in range(9)]
        assert admitted.count(True) == 2  # of 5 that were left, rounded down


async def test_the_share_begins_at_true_usage_not_at_what_was_reserved():
    async with world() as w:
        one = charge(amount=10, limit=20, on_unavailable=LOCAL)
        await spend(w.store, one, used=2)
        w.lost()
        assert (await w.store.take(plan(one))).readings[0].before == 2


async def test_what_was_known_of_a_window_that_has_ended_is_nothing():
    async with world() as w:
        one = charge(limit=3, on_unavailable=LOCAL)
        await spend(w.store, one, used=3)
        w.lost()
        later = charge(
            limit=3, on_unavailable=LOCAL, starts_ns=one.ends_ns, ends_ns=one.ends_ns + 60 * 10**9
        )
        assert await spend(w.store, later, at_s=61)


async def test_a_bucket_has_refilled_since_it_was_last_read():
    async with world() as w:
        one = bucket(limit=6, on_unavailable=LOCAL)  # six a minute
        for _ in range(6):
            await spend(w.store, one)
        w.lost()
        assert not await spend(w.store, one, at_s=5)
        assert await spend(w.store, one, at_s=10.1)


async def test_leases_of_exchanges_under_way_count_against_the_share():
    async with world(max_replicas=2) as w:
        one = lease(limit=4, on_unavailable=LOCAL)
        first = plan(one)
        readings = await w.store.take(first)
        w.lost()
        assert (await w.store.take(plan(one))).taken
        assert not (await w.store.take(plan(one))).taken
        w.store.settle(first, readings, (Correction(one, -1),))
        assert (await w.store.take(plan(one))).taken


async def test_a_plan_is_taken_in_whole_or_not_at_all_also_here():
    async with world() as w:
        w.lost()
        tight = charge("tight", limit=1, on_unavailable=LOCAL)
        wide = charge("wide", limit=9, on_unavailable=LOCAL)
        await w.store.take(plan(tight, wide))
        refused = await w.store.take(plan(tight, wide))
        assert not refused.taken
        assert [reading.before for reading in refused.readings] == [1, 1]
        assert [r.before for r in (await w.store.take(plan(wide))).readings] == [1]


async def test_a_plan_that_only_looks_counts_nothing_here_either():
    async with world() as w:
        w.lost()
        one = charge(limit=1, on_unavailable=LOCAL)
        assert not (await w.store.take(plan(one, take=False))).taken
        assert (await w.store.take(plan(one))).taken


async def test_what_the_store_took_is_given_back_where_a_share_refuses():
    async with world() as w:
        w.shared.lost_slots = {"far"}
        near = charge("near", limit=9, slot="near")
        far = charge("far", limit=0, slot="far", on_unavailable=LOCAL)
        readings = await w.store.take(plan(near, far))
        await told(w.store)
        assert not readings.taken
        assert w.shared.used(near) == 0
        assert w.shared.reservations() == 0


async def test_what_the_store_took_is_given_back_where_an_unknown_charge_denies():
    async with world() as w:
        w.shared.lost_slots = {"far"}
        near = charge("near", slot="near")
        readings = await w.store.take(plan(near, charge("f", slot="far", on_unavailable=DENY)))
        await told(w.store)
        assert (readings.taken, w.shared.used(near)) == (False, 0)


async def test_a_part_that_does_not_answer_stops_nobody_from_asking_the_others():
    async with world() as w:
        w.shared.lost_slots = {"far"}
        near, far = charge("near", limit=99, slot="near"), charge("far", limit=99, slot="far")
        for second in range(20):
            w.clock.s = second
            assert await spend(w.store, near, far)
        assert not w.store.breaker.open
        w.shared.lost_slots = set()


async def test_both_parts_of_a_divided_plan_are_settled_to_true_usage():
    async with world() as w:
        w.shared.lost_slots = {"far"}
        near = charge("near", 10, 99, slot="near")
        far = charge("far", 10, 99, slot="far", on_unavailable=LOCAL)
        wanted = plan(near, far)
        readings = await w.store.take(wanted)
        w.shared.lost_slots = set()
        w.store.settle(wanted, readings, corrected(wanted, readings, 4))
        await w.store.watch.look()
        await told(w.store)
        assert (w.shared.used(near), w.shared.used(far)) == (4, 4)
        assert w.shared.reservations() == 0


@pytest.mark.parametrize("state", [State.GONE, State.MUTE])
@pytest.mark.parametrize("act", [LOCAL, ALLOW])
@pytest.mark.parametrize("kind", [charge, lifetime, rolling, bucket])
async def test_after_an_outage_exactly_what_was_used_is_charged(state, act, kind):
    async with world() as w:
        one = kind(amount=5, limit=1000, on_unavailable=act)
        for _ in range(3):
            await spend(w.store, one, used=5)
        before, under_way = plan(one), plan(one)
        readings = await w.store.take(before)
        w.shared.state = state  # the breaker has yet to find out
        for _ in range(9):
            await spend(w.store, one, used=2)
            w.clock.s += 0.02
        assert w.store.breaker.open
        w.store.settle(before, readings, corrected(before, readings, 3))
        read = await w.store.take(under_way)
        w.clock.s = 0  # so that buckets do not refill
        await w.back()
        assert w.shared.used(one) == 3 * 5 + 9 * 2 + 3 + 5
        w.store.settle(under_way, read, corrected(under_way, read, 1))
        await told(w.store)
        assert w.shared.used(one) == 3 * 5 + 9 * 2 + 3 + 1
        assert w.shared.reservations() == 0


async def test_what_one_call_missed_is_told_although_the_store_is_there():
    async with world() as w:
        one = charge(amount=5, limit=99, on_unavailable=LOCAL)
        w.shared.state = State.MUTE
        wanted = plan(one)
        readings = await w.store.take(wanted)
        w.shared.back()
        await w.store.watch.look()
        await told(w.store)
        assert w.shared.used(one) == 5
        w.store.settle(wanted, readings, corrected(wanted, readings, 2))
        await told(w.store)
        assert w.shared.used(one) == 2
        assert w.shared.reservations() == 0


async def test_what_is_told_by_two_at_once_is_counted_once():
    async with world() as w:
        one = charge(amount=5, limit=99, on_unavailable=LOCAL)
        w.lost()
        await w.store.take(plan(one))
        await spend(w.store, one, used=2)
        w.shared.back()
        w.store.outbox.flow()
        now_ns = w.clock.wall_ns()
        await asyncio.gather(w.store.outage.tell(now_ns), w.store.outage.tell(now_ns))
        await told(w.store)
        assert w.shared.used(one) == 7


async def test_an_exchange_refused_in_doubt_is_not_charged():
    async with world() as w:
        one = charge(on_unavailable=DENY, limit=99)
        w.shared.state = State.MUTE
        for _ in range(3):
            assert not (await w.store.take(plan(one))).taken
        await w.back()
        assert w.shared.used(one) == 0
        assert w.shared.reservations() == 0


async def test_an_exchange_under_way_holds_its_lease_in_the_store_once_it_is_back():
    async with world() as w:
        one = lease(limit=2, on_unavailable=LOCAL)
        w.lost()
        wanted = plan(one)
        readings = await w.store.take(wanted)
        await w.back()
        assert w.shared.used(one) == 1
        w.store.settle(wanted, readings, (Correction(one, -1),))
        await told(w.store)
        assert w.shared.used(one) == 0


async def test_the_store_knows_all_before_anybody_asks_it_again():
    async with world() as w:
        one = charge(limit=3, on_unavailable=LOCAL)
        w.lost()
        await spend(w.store, one)
        await w.store.take(plan(one))
        w.shared.back()
        assert await w.store.watch.probe()
        assert w.shared.used(one) == 2


async def test_a_store_that_goes_while_it_is_told_is_told_again():
    async with world() as w:
        one = charge(limit=9, on_unavailable=LOCAL)
        w.lost()
        await spend(w.store, one)
        w.shared.state = State.MUTE
        assert not await w.store.outage.tell(w.clock.wall_ns())
        assert w.store.breaker.open
        await w.back()
        assert w.shared.used(one) == 1
        assert w.shared.reservations() == 0


async def test_a_second_outage_begins_at_what_the_first_has_told():
    async with world() as w:
        one = charge(limit=3, on_unavailable=LOCAL)
        w.lost()
        await spend(w.store, one)
        await w.back()
        await spend(w.store, one)
        w.lost()
        assert [await spend(w.store, one) for _ in range(2)] == [True, False]


async def test_while_the_breaker_is_open_nobody_asks():
    async with world() as w:
        w.lost()
        for _ in range(5):
            await w.store.take(plan(charge(on_unavailable=ALLOW)))
        assert w.shared.asked == 0
        assert w.store.status()["not_asked"] == 5


async def test_a_probe_that_fails_leaves_it_open():
    async with world() as w:
        w.lost()
        assert not await w.store.watch.probe()
        assert w.store.breaker.open


async def test_a_store_that_is_slow_but_alive_is_not_asked_again():
    async with world() as w:
        w.lost()
        w.shared.back()
        beat = w.shared.heartbeat

        async def slowly(*of):
            w.clock.s += 0.05
            return await beat(*of)

        w.shared.heartbeat = slowly
        assert not await w.store.watch.probe()
        assert w.store.breaker.open


async def test_a_late_loop_of_our_own_does_not_open_the_breaker():
    async with world(tolerance=Tolerance(consecutive=1, span_s=0, probe_s=3600)) as w:
        take = w.shared.take

        async def late(wanted):
            w.clock.s += 0.2  # the time-out came far too late
            return await take(wanted)

        w.shared.take = late
        w.shared.state = State.MUTE
        await w.store.take(plan(charge()))
        assert (w.store.breaker.open, w.store.late) == (False, 1)
        w.lost()


async def test_a_suspected_store_is_asked_and_left_where_it_does_not_answer():
    async with world() as w:
        w.shared.state = State.MUTE
        await w.store.watch.look()
        assert w.store.breaker.open


async def test_a_store_that_is_gone_at_the_start_costs_no_exchange_anything(tmp_path: Path):
    one = World(state_dir=tmp_path, max_replicas=5)
    one.shared.state = State.GONE
    await one.store.start()
    try:
        await one.store.take(plan(charge(limit=10, on_unavailable=LOCAL)))
        assert one.shared.asked == 0
        assert one.store.status()["replicas"] == 5
    finally:
        await one.store.close()


async def test_a_renewal_goes_before_the_settlement_and_only_the_last_is_sent():
    async with world() as w:
        wanted = plan(charge())
        readings = await w.store.take(wanted)
        for _ in range(5):
            w.store.renew(wanted, readings, ())
        other = plan(charge("other"))
        other_readings = await w.store.take(other)
        await told(w.store)
        w.store.renew(wanted, readings, ())
        w.store.settle(wanted, readings, ())
        w.store.settle(other, other_readings, ())
        await told(w.store)
        first, last = f"renew {wanted.id}", f"end {wanted.id}"
        assert [line for line in w.shared.told if wanted.id in line] in (
            [first, last],
            [first, first, last],
        )


async def test_settlements_of_before_the_outage_are_told_after_it():
    async with world() as w:
        one = charge(amount=10, limit=99)
        wanted = plan(one)
        readings = await w.store.take(wanted)
        w.lost()
        w.store.settle(wanted, readings, corrected(wanted, readings, 4))
        assert w.store.status()["untold_reservations"] == 1
        await w.back()
        assert w.shared.used(one) == 4


async def test_a_call_that_is_cancelled_is_given_back():
    async with world() as w:
        one = charge()
        asked = asyncio.Event()

        async def waits(wanted):
            w.shared._take(wanted)
            asked.set()
            await asyncio.Event().wait()

        w.shared.take = waits
        call = asyncio.create_task(w.store.take(plan(one)))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await told(w.store)
        assert w.shared.used(one) == 0


async def test_opening_and_closing_are_logged_once_each(capsys):
    async with world() as w:
        w.shared.state = State.GONE
        for _ in range(20):
            w.clock.s += 0.02
            await w.store.take(plan(charge(on_unavailable=ALLOW)))
        await w.back()
    lines = capsys.readouterr().out
    assert lines.count("does not answer") == 1
    assert lines.count("answers again") == 1


async def test_closing_says_how_much_was_not_told(capsys):
    async with world() as w:
        w.lost()
        await spend(w.store, charge("a", on_unavailable=ALLOW))
        await w.store.take(plan(charge("b", on_unavailable=ALLOW)))
    assert "was not told everything" in capsys.readouterr().out


async def test_closing_tells_what_it_can():
    async with world() as w:
        await spend(w.store, charge())
    assert w.shared.reservations() == 0
