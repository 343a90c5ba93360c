"""Counts made good from records: what a store forgot, the log knows."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.decision import Decision
from proxy.model.facts import Facts
from proxy.model.plan import Correction
from proxy.model.usage import Outcome
from proxy.model.verdict import Durability, Mode, Verdict
from proxy.pipeline.records import completion_record, decision_record
from proxy.pipeline.recount import recount
from proxy.store.memory import MemoryStore
from proxy.store.restored import Counted, Opened, Restored
from proxy.store.tokens import Tokens, place_of
from tests.store.plans import T0_S, S, bucket, charge, lease, lifetime, plan, rolling

TOKENS = Tokens(b"k" * 32)
KINDS = [charge, lifetime, rolling, bucket]


@dataclass(frozen=True)
class Entry:
    type: str
    id: str
    at_ns: int
    fields: dict[str, Any]


@dataclass
class Arrived:
    id: str
    at_ns: int
    client_ip: str | None = None


@dataclass
class Said:
    """What a record needs of a weighed exchange."""

    plan: Any
    facts: Facts = field(default_factory=dict)

    @property
    def arrival(self):
        return Arrived(self.plan.id, self.plan.at_ns)


def decided(wanted, readings) -> Entry:
    allowed = Decision(Verdict.ALLOW, (), (), None, (), Durability.ASYNC, "digest", 0)
    record = decision_record(
        Said(wanted), readings, allowed, lambda _, value: value, frozenset(), TOKENS.mark
    )
    return Entry(record.type, record.exchange, record.at_ns, record.fields)


def completed(wanted, *corrections) -> Entry:
    record = completion_record(Said(wanted), Outcome(200, True, None), corrections, wanted.at_ns)
    return Entry(record.type, record.exchange, record.at_ns, record.fields)


def counts(restored: Restored, *charges, at_s=0.0):
    store = MemoryStore(restored)
    readings = store.take(plan(*charges, at_s=at_s, take=False)).readings
    return [reading.before for reading in readings]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_decision_took_and_a_completion_corrected_is_counted(kind):
    one, store, restored = kind(amount=5, limit=20), MemoryStore(), Restored(TOKENS)
    wanted = plan(one)
    records = [decided(wanted, store.take(wanted)), completed(wanted, Correction(one, -3))]
    assert recount(restored, records) == 2
    assert counts(restored, one) == [2]


def test_of_charges_alike_in_rule_and_unit_each_gets_its_own_correction():
    first, second = charge("first", 5, 20), charge("second", 5, 20)
    store, restored, wanted = MemoryStore(), Restored(TOKENS), plan(first, second)
    recount(
        restored, [decided(wanted, store.take(wanted)), completed(wanted, Correction(second, -3))]
    )
    assert counts(restored, first, second) == [5, 2]


def test_what_was_refused_or_only_looked_at_is_not_counted():
    one, store, restored = charge(limit=1), MemoryStore(), Restored(TOKENS)
    records = [decided(wanted, store.take(wanted)) for wanted in (plan(one), plan(one))]
    assert recount(restored, records) == 1
    assert counts(restored, one) == [1]


def test_a_charge_that_was_granted_less_counts_what_it_was_granted():
    one, store, restored = charge(amount=5, limit=7, least=1), MemoryStore(), Restored(TOKENS)
    recount(restored, [decided(w, store.take(w)) for w in (plan(one), plan(one))])
    assert counts(restored, one) == [7]


def test_an_exchange_that_nobody_heard_of_again_keeps_what_it_reserved():
    one, store, restored = charge(amount=2), MemoryStore(), Restored(TOKENS)
    wanted = plan(one)
    recount(restored, [decided(wanted, store.take(wanted))])
    assert counts(restored, one) == [2]


@pytest.mark.parametrize(("ended", "left"), [(False, 4), (True, 8)])
def test_a_reservation_that_was_open_is_charged_its_floor_unless_the_log_knows_better(ended, left):
    one, restored, wanted = charge(amount=9, limit=20), Restored(TOKENS), plan(charge(limit=20))
    place = TOKENS.place(one, T0_S * S)
    restored.set_fixed(one.ends_ns, place.token, 9)
    restored.opened["x"] = Opened("x", (Counted("r", "tokens", place, 9),), (-5,))
    end = Entry("completion", "x", wanted.at_ns, {"corrections": [["r", "tokens", -1]]})
    recount(restored, [end] if ended else [])
    assert counts(restored, one) == [left]


@pytest.mark.parametrize(
    "one",
    [
        charge(),
        charge(starts_ns=(T0_S - 7) * S, ends_ns=(T0_S + 53) * S),
        charge(window_s=31 * 86_400, ends_ns=(T0_S + 86_400) * S),
        charge(window_s=0, starts_ns=0, ends_ns=2**63 - 1),
        rolling(),
        bucket(rate=7),
    ],
)
def test_a_mark_names_the_place_that_a_charge_was_counted_at(one):
    at_ns = (T0_S + 11) * S
    found, meant = place_of(TOKENS.mark(one), one.window_s, at_ns), TOKENS.place(one, at_ns)
    assert found is not None
    assert meant is not None
    assert (found.token, found.algorithm, found.at_ns) == (meant.token, meant.algorithm, at_ns)
    assert found.ends_ns == meant.ends_ns
    if one.rate:
        assert found.rate == meant.rate


def test_a_lease_has_no_mark():
    assert TOKENS.mark(lease()) == ""
    assert place_of("", 0, 0) is None


def test_a_mark_tells_no_name():
    assert "acc" not in TOKENS.mark(charge("account.id=acc"))
    assert len(TOKENS.mark(charge())) == 12


steps = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 4), st.integers(-4, 4)),
    max_size=25,
)


@given(steps=steps, cut=st.integers(0, 25), mode=st.sampled_from((Mode.ENFORCE, Mode.SHADOW)))
def test_counts_recounted_from_any_point_are_those_that_the_process_had(steps, cut, mode):
    store, early, records = MemoryStore(), MemoryStore(), []
    restored = Restored(TOKENS)
    for number, (who, kind, amount, delta) in enumerate(steps):
        one = KINDS[kind](f"c{who}", amount, 8, mode=mode, binding=mode is Mode.ENFORCE)
        wanted = plan(one, at_s=number)
        readings = store.take(wanted)
        records.append(decided(wanted, readings))
        if readings.taken:
            store.correct(wanted, [Correction(one, delta)])
            records.append(completed(wanted, Correction(one, delta)))
        if number < cut:  # this much is known: its records are not read
            early = store
            records.clear()
            _copy(early, restored)
    recount(restored, records)
    looks = [kind(f"c{who}", 1, 8) for kind in KINDS for who in range(3)]
    had = [r.before for r in store.take(plan(*looks, at_s=26, take=False)).readings]
    assert counts(restored, *looks, at_s=26) == had


def _copy(store: MemoryStore, restored: Restored) -> None:
    for ends_ns, window in store.fixed.items():
        for part in window:
            for counter, count in part.items():
                restored.set_fixed(ends_ns, TOKENS.of(counter), count)
    for table in store.buckets.counts.tables():
        for buckets in table:
            for counter, full_us in buckets.items():
                restored.buckets[TOKENS.of(counter)[0]][TOKENS.of(counter)] = full_us
    for spans in store.rolling.counts.tables():
        for held in spans:
            for counter, span in held.items():
                for part, count in span.parts.items():
                    restored.set_rolling(TOKENS.of(counter), span.length_ns, part, count)
