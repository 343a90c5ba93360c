import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.model.usage import Usage
from proxy.pipeline.learned import Learned

MESSAGES = "messages"


def used(input_tokens, output_tokens=0):
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens)


def taught(ratios=(), outputs=(), *, asked=0, learned=None):
    learned = learned or Learned()
    for ratio in ratios:
        learned.observe("m", MESSAGES, 1000, asked, used(round(1000 * ratio)))
    for output in outputs:
        learned.observe("m", MESSAGES, 0, asked, used(0, output))
    return learned


def test_nothing_is_corrected_and_no_output_expected_before_there_are_enough_samples():
    learned = taught([1.5] * 19, [100] * 19)
    assert learned.input_factor("m", MESSAGES) == 1.0
    assert learned.output_p95("m", MESSAGES) is None
    taught([1.5], [100], learned=learned)
    assert learned.input_factor("m", MESSAGES) == pytest.approx(1.5, rel=0.02)
    assert learned.output_p95("m", MESSAGES) == pytest.approx(100, rel=0.1)


def test_each_model_on_each_surface_is_learned_by_itself():
    learned = taught([2.0] * 20)
    assert learned.input_factor("m", "responses") == 1.0
    assert learned.input_factor("other", MESSAGES) == 1.0


def test_the_factor_is_the_median_and_a_few_odd_prompts_do_not_move_it():
    odd = [1.2] * 60 + [40.0] * 20 + [0.01] * 15
    random.Random(2).shuffle(odd)
    assert taught(odd).input_factor("m", MESSAGES) == pytest.approx(1.2, rel=0.03)


@pytest.mark.parametrize(("ratio", "factor"), [(0.1, 0.5), (0.4, 0.5), (3.5, 3.0), (1000.0, 3.0)])
def test_the_factor_stays_within_half_and_three(ratio, factor):
    assert taught([ratio] * 40).input_factor("m", MESSAGES) == factor


def test_a_change_of_the_model_is_learned_within_its_memory():
    learned = taught([1.0] * 3000)
    taught([1.4] * 1000, learned=learned)
    assert learned.input_factor("m", MESSAGES) == pytest.approx(1.4, rel=0.02)


def test_prompts_too_short_to_tell_anything_teach_nothing():
    learned = Learned()
    for _ in range(100):
        learned.observe("m", MESSAGES, 8, 0, used(80))
    assert learned.input_factor("m", MESSAGES) == 1.0


@given(st.lists(st.integers(1, 100_000), min_size=20, max_size=20))
@settings(max_examples=50)
def test_the_expected_output_is_one_that_95_in_a_hundred_stay_below(outputs):
    expected = taught(outputs=outputs).output_p95("m", MESSAGES)
    nineteenth = sorted(outputs)[18]
    assert nineteenth <= expected + 1
    assert expected <= 1.1 * sorted(outputs)[19] + 1


def test_answers_that_ran_into_a_small_bound_do_not_lower_what_is_expected():
    learned = taught(outputs=[1000] * 40)
    taught(outputs=[1] * 500, asked=1, learned=learned)
    assert learned.output_p95("m", MESSAGES) >= 1000


def test_answers_that_outgrow_their_reservation_raise_what_is_expected():
    learned = taught(outputs=[100] * 40)
    reserved = learned.output_p95("m", MESSAGES)
    taught(outputs=[800] * 60, asked=reserved, learned=learned)
    assert learned.output_p95("m", MESSAGES) >= 800


def test_the_model_longest_unheard_of_is_forgotten_first():
    learned = Learned(most_models=3)
    for _ in range(20):
        for name in ("a", "b", "c"):
            learned.observe(name, MESSAGES, 1000, 0, used(2000))
    learned.observe("a", MESSAGES, 1000, 0, used(2000))
    for number in range(2):
        learned.observe(f"new-{number}", MESSAGES, 1000, 0, used(2000))
    assert learned.input_factor("a", MESSAGES) == pytest.approx(2, rel=0.02)
    assert learned.input_factor("b", MESSAGES) == learned.input_factor("c", MESSAGES) == 1.0
    assert len(learned.save()["models"]) == 3


def some_traffic(learned, seed, count):
    draw = random.Random(seed)
    for _ in range(count):
        estimate = draw.randrange(1, 5000)
        usage = used(round(estimate * draw.lognormvariate(0.2, 0.3)), draw.randrange(1, 3000))
        learned.observe(draw.choice("abc"), MESSAGES, estimate, draw.choice((0, 500)), usage)
    return learned


def stated(learned):
    factors = [learned.input_factor(m, MESSAGES) for m in "abc"]
    return [*factors, *(learned.output_p95(m, MESSAGES) for m in "abc")]


def test_the_same_exchanges_give_the_same_state():
    assert some_traffic(Learned(), 1, 400).save() == some_traffic(Learned(), 1, 400).save()


def test_a_restart_in_between_changes_nothing():
    through = some_traffic(some_traffic(Learned(), 1, 300), 2, 300)
    resumed = Learned()
    resumed.load(json.loads(json.dumps(some_traffic(Learned(), 1, 300).save())))
    some_traffic(resumed, 2, 300)
    assert stated(resumed) == pytest.approx(stated(through))


def test_a_smaller_memory_keeps_the_models_heard_of_last():
    learned = Learned()
    for name in "abcd":
        learned.observe(name, MESSAGES, 1000, 0, used(1000))
    small = Learned(most_models=2)
    small.load(learned.save())
    assert [entry["model"] for entry in small.save()["models"]] == ["c", "d"]


HISTOGRAM = {"seen": 1, "counts": {"3": 1.0}}
MODEL = {
    "model": "m",
    "surface": "s",
    "factor": 1.0,
    "output_p95": None,
    "input": HISTOGRAM,
    "output": HISTOGRAM,
}


@pytest.mark.parametrize(
    "saved",
    [
        {},
        {"version": 0, "models": []},
        {"version": 1, "models": 5},
        {"version": 1, "models": [5]},
        {"version": 1, "models": [MODEL | {"model": None}]},
        {"version": 1, "models": [MODEL | {"factor": "x"}]},
        {"version": 1, "models": [MODEL | {"output_p95": 1.5}]},
        {"version": 1, "models": [MODEL | {"input": 7}]},
        {"version": 1, "models": [MODEL | {"input": {"seen": 1, "counts": {"999": 1.0}}}]},
        {"version": 1, "models": [MODEL | {"output": {"seen": 1, "counts": {"1": -1.0}}}]},
        {"version": 1, "models": [MODEL | {"output": {"seen": 1, "counts": {"1": float("nan")}}}]},
    ],
)
def test_a_state_that_is_none_is_refused_and_changes_nothing(saved):
    learned = taught([2.0] * 20)
    with pytest.raises(ValueError, match="not a state of learned models of version 1"):
        learned.load(saved)
    assert learned.input_factor("m", MESSAGES) == pytest.approx(2, rel=0.02)


def test_a_saved_state_is_small_and_holds_no_more_models_than_it_may():
    learned = Learned(most_models=10)
    for number in range(50):
        for size in range(1, 200):
            usage = used(size * 10, size * 50)
            learned.observe(f"m-{number}", MESSAGES, size * 9, 0, usage)
    assert len(json.dumps(learned.save())) < 10 * 12_000
