import pytest

from proxy.model.plan import Correction, Readings
from proxy.store.deferred import BATCH, Deferred
from proxy.store.memory import MemoryStore
from tests.store.plans import T0_S, S, bucket, charge, lease, lifetime, plan, rolling


def at(s: float) -> int:
    return T0_S * S + int(s * S)


def tell(deferred: Deferred, memory: MemoryStore, at_s: float) -> list[Readings]:
    """Charge all that is owed, as the guarded store does."""
    read = []
    while (batch := deferred.next_batch(at(at_s))) is not None:
        readings = memory.take(batch.plan)
        memory.correct(batch.plan, batch.corrections(readings))
        deferred.told(batch)
        read.append(readings)
    return read


def used(memory: MemoryStore, one, at_s: float) -> int:
    return memory.take(plan(one, at_s=at_s, take=False)).readings[0].before


def test_uses_of_one_counter_are_one_sum():
    deferred, memory = Deferred("me"), MemoryStore()
    for amount in (2, 3, 4):
        deferred.add(charge(), amount, at(1))
    assert len(deferred) == 1
    tell(deferred, memory, 2)
    assert used(memory, charge(), 2) == 9
    assert not len(deferred)


def test_a_sum_counts_past_the_limit():
    deferred, memory = Deferred("me"), MemoryStore()
    deferred.add(charge(limit=3), 50, at(1))
    (readings,) = tell(deferred, memory, 2)
    assert readings.taken
    assert used(memory, charge(), 2) == 50


def test_windows_that_have_ended_are_not_charged():
    deferred, memory = Deferred("me"), MemoryStore()
    deferred.add(charge("minute"), 5, at(1))
    deferred.add(lifetime("ever"), 5, at(1))
    tell(deferred, memory, 61)
    assert used(memory, charge("minute"), 59) == 0
    assert used(memory, lifetime("ever"), 61) == 5


def test_rolling_uses_leave_the_window_as_if_they_had_been_told_at_once():
    deferred, memory, told = Deferred("me"), MemoryStore(), MemoryStore()
    for s in (0, 0.5, 20, 40):
        deferred.add(rolling(), 1, at(s))
        told.take(plan(rolling(limit=99), at_s=s))
    tell(deferred, memory, 50)
    for s in (50, 61.5, 70, 82, 102):
        assert used(memory, rolling(), s) == used(told, rolling(), s)


@pytest.mark.parametrize("uses_s", [(0, 1, 2), (0, 30), (29, 29, 29), (0,)])
def test_a_bucket_is_as_full_as_if_each_use_had_been_told_at_once(uses_s):
    deferred, memory, told = Deferred("me"), MemoryStore(), MemoryStore()
    one = bucket(amount=1, limit=9)
    for s in uses_s:
        deferred.add(one, 1, at(s))
        told.take(plan(one, at_s=s))
    tell(deferred, memory, 31)
    assert used(memory, one, 31) == used(told, one, 31)


def test_a_bucket_in_use_before_the_outage_is_not_given_the_same_refill_twice():
    deferred, memory, told = Deferred("me"), MemoryStore(), MemoryStore()
    one = bucket(amount=1, limit=9)
    for store in (memory, told):
        store.take(plan(bucket(amount=6, limit=9), at_s=0))
    for s in (1, 2, 20):
        deferred.add(one, 1, at(s))
        told.take(plan(one, at_s=s))
    tell(deferred, memory, 31)
    assert used(memory, one, 31) == used(told, one, 31)


def test_what_is_corrected_is_never_more_than_what_was_told():
    deferred = Deferred("me")
    deferred.add(bucket(), 2, at(0))
    batch = deferred.next_batch(at(60))
    assert batch is not None
    (correction,) = batch.corrections(MemoryStore().take(batch.plan))
    assert correction == Correction(batch.plan.charges[0], -2)


def test_what_is_known_of_when_a_window_ends_changes_no_sum():
    deferred, memory = Deferred("me"), MemoryStore()
    deferred.add(lifetime(window_s=0), 2, at(0), full_ns=at(600))
    tell(deferred, memory, 1)
    assert used(memory, lifetime(), 1) == 2


def test_leases_and_nothing_are_not_owed():
    deferred = Deferred("me")
    deferred.add(lease(), 1, at(0))
    deferred.add(charge(), 0, at(0))
    assert not len(deferred)


def test_a_batch_comes_again_under_a_new_id_until_it_was_told():
    deferred = Deferred("me")
    deferred.add(charge(), 1, at(0))
    first, second = deferred.next_batch(at(1)), deferred.next_batch(at(1))
    assert first is not None
    assert second is not None
    assert first.plan.id != second.plan.id
    assert first.plan.charges == second.plan.charges
    assert len(deferred) == 1
    deferred.told(second)
    assert deferred.next_batch(at(1)) is None


def test_beyond_the_bound_the_oldest_sum_is_dropped_and_counted():
    deferred, memory = Deferred("me", held=2), MemoryStore()
    for name in "abc":
        deferred.add(charge(name), 1, at(0))
    assert (len(deferred), deferred.dropped) == (2, 1)
    tell(deferred, memory, 1)
    assert [used(memory, charge(name), 1) for name in "abc"] == [0, 1, 1]


def test_many_counters_are_told_in_batches():
    deferred, memory = Deferred("me"), MemoryStore()
    for number in range(2 * BATCH + 1):
        deferred.add(charge(str(number)), 1, at(0))
    read = tell(deferred, memory, 1)
    assert [len(readings.readings) for readings in read] == [BATCH, BATCH, 1]
