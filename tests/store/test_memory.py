from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.model.plan import Charge, Correction, Plan
from proxy.model.verdict import Mode, Unit
from proxy.store.memory import MemoryStore

S = 1_000_000_000


def charge(counter: str = "c", amount: int = 1, limit: int = 3, **more: object) -> Charge:
    fields = {"window_s": 60, "mode": Mode.ENFORCE, "binding": True} | more
    return Charge("r", counter, Unit.REQUESTS, amount, limit, **fields)  # type: ignore[arg-type]  # any field


def plan(*charges: Charge, at_s: float = 0, take: bool = True) -> Plan:
    return Plan(at_ns=int(at_s * S), charges=charges, take=take)


def test_a_limit_admits_exactly_as_many_as_it_says():
    store = MemoryStore()
    assert [store.take(plan(charge())).taken for _ in range(5)] == [True] * 3 + [False] * 2


def test_readings_are_the_counts_before_and_the_end_of_the_window():
    store = MemoryStore()
    store.take(plan(charge(), at_s=61))
    (reading,) = store.take(plan(charge(), at_s=62)).readings
    assert (reading.before, reading.resets_at_ns) == (1, 120 * S)


def test_a_new_window_starts_from_nothing():
    store = MemoryStore()
    store.take(plan(charge(amount=3), at_s=59))
    assert store.take(plan(charge(), at_s=60)).readings[0].before == 0


def test_all_binding_charges_are_taken_or_none():
    store = MemoryStore()
    tight, wide = charge("tight", limit=1), charge("wide", limit=9)
    store.take(plan(tight, wide))
    assert not store.take(plan(tight, wide)).taken
    assert [r.before for r in store.take(plan(tight, wide, take=False)).readings] == [1, 1]


def test_a_shadow_charge_counts_past_its_limit_and_never_refuses():
    store = MemoryStore()
    for _ in range(5):
        assert store.take(plan(charge(binding=False))).taken
    assert store.take(plan(charge(binding=False))).readings[0].before == 5


def test_a_plan_that_only_looks_counts_nothing():
    store = MemoryStore()
    assert not store.take(plan(charge(), take=False)).taken
    assert store.take(plan(charge())).readings[0].before == 0


def test_a_correction_changes_the_window_it_was_taken_in():
    store = MemoryStore()
    store.take(plan(charge(amount=3), at_s=59))
    store.take(plan(charge(amount=1), at_s=61))
    store.correct([Correction("c", 60, 59 * S, -2)])
    assert store.take(plan(charge(), at_s=61, take=False)).readings[0].before == 1
    assert store.take(plan(charge(), at_s=59, take=False)).readings[0].before == 1


def test_a_correction_of_a_window_long_gone_changes_nothing():
    store = MemoryStore()
    store.take(plan(charge(amount=3), at_s=0))
    store.take(plan(charge(), at_s=600))
    store.correct([Correction("c", 60, 0, -3)])
    assert store.take(plan(charge(), at_s=600, take=False)).readings[0].before == 1


def test_a_count_never_falls_below_nothing():
    store = MemoryStore()
    store.take(plan(charge()))
    store.correct([Correction("c", 60, 0, -50)])
    assert store.take(plan(charge())).readings[0].before == 0


def test_a_clock_that_steps_back_still_counts_and_never_opens_a_fresh_window():
    store = MemoryStore()
    store.take(plan(charge(amount=3), at_s=540))
    store.take(plan(charge(amount=3), at_s=600))
    assert not store.take(plan(charge(), at_s=0)).taken


def test_only_two_windows_are_held_however_many_have_passed():
    store = MemoryStore()
    for minute in range(50):
        store.take(plan(charge(f"c{minute}"), at_s=60 * minute))
    assert store.counters() == {60: 2}


@settings(max_examples=60)
@given(
    steps=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(0, 300))),
    limit=st.integers(1, 8),
)
def test_no_order_of_calls_admits_more_than_the_limit_in_a_window(
    steps: list[tuple[int, int, int]], limit: int
):
    store = MemoryStore()
    admitted: dict[tuple[int, int], int] = {}
    for subject, amount, at_s in sorted(steps, key=lambda step: step[2]):
        wanted = charge(f"c{subject}", amount, limit)
        readings = store.take(plan(wanted, at_s=at_s))
        assert readings.taken == wanted.fits(readings.readings[0].before)
        if readings.taken:
            window = (subject, at_s // 60)
            admitted[window] = admitted.get(window, 0) + amount
    assert all(total <= limit for total in admitted.values())
