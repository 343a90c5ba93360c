from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.model.plan import Charge, Correction
from proxy.model.verdict import Algorithm
from proxy.store.generations import FREED_AT_ONCE
from proxy.store.memory import MemoryStore
from proxy.store.restored import GRACE_NS
from tests.store.plans import T0_S, S, bucket, charge, lifetime, plan, rolling

GRACE_S = GRACE_NS // S


def minute(number: int, counter: str = "c", amount: int = 1, limit: int = 3) -> Charge:
    """A charge of the minute of that number after T0_S."""
    starts_ns = (T0_S + 60 * number) * S
    return charge(counter, amount, limit, starts_ns=starts_ns, ends_ns=starts_ns + 60 * S)


def before(store: MemoryStore, one: Charge, at_s: float = 0) -> int:
    return store.take(plan(one, at_s=at_s, take=False)).readings[0].before


def test_a_limit_admits_exactly_as_many_as_it_says():
    store = MemoryStore()
    assert [store.take(plan(charge())).taken for _ in range(5)] == [True] * 3 + [False] * 2


def test_readings_are_the_counts_before_and_the_end_of_the_window():
    store = MemoryStore()
    store.take(plan(minute(1), at_s=61))
    (reading,) = store.take(plan(minute(1), at_s=62)).readings
    assert (reading.before, reading.resets_at_ns) == (1, (T0_S + 120) * S)


def test_all_binding_charges_are_taken_or_none():
    store = MemoryStore()
    tight, wide = charge("tight", limit=1), charge("wide", limit=9)
    store.take(plan(tight, wide))
    assert not store.take(plan(tight, wide)).taken
    assert [r.before for r in store.take(plan(tight, wide, take=False)).readings] == [1, 1]


def test_a_charge_that_does_not_bind_counts_past_its_limit():
    store, one = MemoryStore(), charge(binding=False)
    assert all(store.take(plan(one)).taken for _ in range(6))
    assert before(store, one) == 6


def test_a_charge_that_can_do_with_less_is_granted_what_is_left():
    store, one = MemoryStore(), charge(amount=5, limit=7, least=2)
    assert [store.take(plan(one)).taken for _ in range(3)] == [True, True, False]
    assert before(store, one) == 7


def test_a_plan_that_only_looks_counts_nothing():
    store = MemoryStore()
    assert not store.take(plan(charge(), take=False)).taken
    assert before(store, charge()) == 0


def test_a_correction_changes_the_window_it_was_taken_in():
    store = MemoryStore()
    taken = plan(minute(0, amount=3), at_s=59)
    store.take(taken)
    store.take(plan(minute(1), at_s=61))
    store.correct(taken, [Correction(minute(0), -2)])
    assert (before(store, minute(0)), before(store, minute(1))) == (1, 1)


def test_a_correction_of_a_window_long_gone_changes_nothing():
    store = MemoryStore()
    taken = plan(minute(0, amount=3))
    store.take(taken)
    store.take(plan(minute(10), at_s=600))
    store.correct(taken, [Correction(minute(0), -3)])
    assert before(store, minute(10), at_s=600) == 1


def test_a_count_never_falls_below_nothing():
    store = MemoryStore()
    taken = plan(charge())
    store.take(taken)
    store.correct(taken, [Correction(charge(), -50)])
    assert before(store, charge()) == 0


def test_a_count_that_is_not_there_yet_begins_at_the_largest_it_inherits():
    store = MemoryStore()
    store.take(plan(charge("small"), charge("large", amount=2)))
    heir = charge("heir", inherits=("small", "large", "none"))
    assert (before(store, heir), store.take(plan(heir)).taken) == (2, True)
    assert (before(store, heir), before(store, charge("large"))) == (3, 2)


def test_windows_are_let_go_a_while_after_their_end_and_budgets_never():
    store = MemoryStore()
    store.take(plan(lifetime("life")))
    for number in range(50):
        store.take(plan(minute(number, f"c{number}"), at_s=60 * number))
    assert store.counters() == 1 + 1 + 1 + GRACE_S // 60 - 1
    assert before(store, lifetime("life"), at_s=10**6) == 1


def test_what_is_let_go_is_freed_a_little_at_each_call():
    store, many = MemoryStore(), 20 * FREED_AT_ONCE
    for number in range(many):
        store.take(plan(minute(0, f"c{number}")))
    later_s, held = GRACE_S + 60, []
    parts = [part for part in store.fixed[(T0_S + 60) * S] if part]
    for _ in range(40):
        store.take(plan(minute(later_s // 60), at_s=later_s, take=False))
        held.append(sum(map(len, parts)))
    steps = [a - b for a, b in zip([many, *held], held, strict=False)]
    assert max(steps) <= FREED_AT_ONCE
    assert held[-1] == 0


def test_rolling_windows_and_buckets_that_nobody_uses_are_let_go():
    store = MemoryStore()
    for number in range(100):
        store.take(plan(rolling(f"r{number}"), bucket(f"b{number}"), at_s=number))
    for at_s in range(1000, 1300, 5):
        store.take(plan(rolling("r"), bucket("b"), at_s=at_s))
    assert store.counters() <= 4  # young, and as they were a generation ago


steps = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 300)))


@settings(max_examples=60)
@given(steps=steps, limit=st.integers(1, 8), kind=st.sampled_from(Algorithm))
def test_no_order_of_calls_admits_more_than_the_limit_in_a_window(
    steps: list[tuple[int, int, int]], limit: int, kind: Algorithm
):
    store = MemoryStore()
    admitted: list[tuple[int, int, int]] = []
    for subject, amount, at_s in sorted(steps, key=lambda step: step[2]):
        wanted = minute(at_s // 60, f"c{subject}", amount, limit)
        if kind is Algorithm.ROLLING:
            wanted = rolling(f"c{subject}", amount, limit)
        readings = store.take(plan(wanted, at_s=at_s))
        assert readings.taken == wanted.fits(readings.readings[0].before)
        if readings.taken:
            admitted.append((subject, amount, at_s))
    for subject, _, at_s in admitted:
        start_s = at_s if kind is Algorithm.ROLLING else at_s // 60 * 60
        within = [n for who, n, s in admitted if who == subject and start_s <= s < start_s + 60]
        assert sum(within) <= limit
