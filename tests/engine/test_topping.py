import pytest
from msgspec.structs import replace

from proxy.engine.settle import released, unheard
from proxy.engine.topping import LEAST_STEP, more
from proxy.model.plan import PER_MILLION, Charge, Plan
from proxy.model.usage import Outcome
from proxy.model.verdict import Algorithm, Mode, Unit
from proxy.store.memory import MemoryStore

S = 1_000_000_000
OUTPUT = Charge(
    "r",
    "output",
    Unit.OUTPUT_TOKENS,
    100,
    1000,
    60,
    Mode.ENFORCE,
    binding=True,
    per_output=PER_MILLION,
)
HARD = replace(OUTPUT, counter="hard", hard=True)
REQUESTS = replace(OUTPUT, counter="requests", unit=Unit.REQUESTS, amount=1, per_output=0)


def plan_of(*charges: Charge, output_tokens: int = 100) -> Plan:
    return Plan(S, charges, id="x", output_tokens=output_tokens)


def test_only_what_output_uses_is_topped_up():
    wanted = more(plan_of(OUTPUT, REQUESTS), 3, 2 * S)
    assert (wanted.plan.id, wanted.plan.at_ns, wanted.tokens) == ("x+3", 2 * S, LEAST_STEP)
    assert [(c.counter, c.amount, c.base) for c in wanted.plan.charges] == [("output", 256, 0)]


def test_half_of_a_large_reservation_is_added_at_once():
    assert more(plan_of(OUTPUT, output_tokens=4000), 1, S).tokens == 2000


def test_a_hard_limit_gives_what_is_left_of_it_and_then_nothing():
    store, plan = MemoryStore(), plan_of(HARD)
    store.take(plan)
    given = []
    for number in range(1, 6):
        wanted = more(plan, number, S)
        readings = store.take(wanted.plan)
        given.append(wanted.tokens_of(readings) if readings.taken else None)
    assert given == [256, 256, 256, 132, None]


def test_any_other_limit_is_counted_beyond_and_all_of_it_is_given_back():
    store, plan = MemoryStore(), plan_of(OUTPUT)
    store.take(plan)
    for number in range(1, 6):
        wanted = more(plan, number, S)
        readings = store.take(wanted.plan)
        assert readings.taken
        assert wanted.tokens_of(readings) == 256
        if number == 5:
            assert readings.readings[0].before == 100 + 4 * 256
            store.correct(wanted.plan, released(wanted.plan, readings))
    assert store.take(plan_of(OUTPUT)).readings[0].before == 100 + 4 * 256


def test_a_hard_limit_decides_where_another_has_no_room_left():
    store = MemoryStore()
    plan = plan_of(HARD, replace(OUTPUT, limit=100))
    store.take(plan)
    readings = store.take(more(plan, 1, S).plan)
    assert readings.taken


def test_a_bucket_that_has_refilled_since_the_request_came_tops_up():
    bucket = replace(HARD, algorithm=Algorithm.GCRA, amount=900, rate=1000)
    store, plan = MemoryStore(), plan_of(bucket)
    store.take(plan)
    early, late = more(plan, 1, S), more(plan, 1, 61 * S)
    assert early.tokens_of(store.take(early.plan)) == 100
    assert late.tokens_of(store.take(late.plan)) == LEAST_STEP


@pytest.mark.parametrize(("waited_s", "made"), [(0.001, 1), (0.25, 25), (60.0, 100)])
def test_an_answer_that_nobody_waited_for_is_charged_by_time_and_no_more_than_reserved(
    waited_s, made
):
    outcome = unheard(plan_of(OUTPUT), Outcome(0, complete=False, usage=None), waited_s)
    assert outcome.delivered_output_tokens == made
