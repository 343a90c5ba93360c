import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.detect import sharing
from proxy.detect.sharing import SharingIndex, TemplateSharing
from proxy.model.sighting import Sighting
from proxy.model.trait import Trait
from tests.detect.conftest import template, token_of

S = 1_000_000_000
STEP_S, SHORT_S, LONG_S = 5, 10, 60


def detector(delay_s: float = 0, **options: int) -> TemplateSharing:
    return TemplateSharing(frozenset({SHORT_S, LONG_S}), STEP_S, delay_s, **options)


def test_accounts_of_one_template_are_counted_in_each_window_once_the_step_is_over(seen):
    sharing_ = detector()
    for at_s, account in ((1, "a"), (2, "b"), (3, "a"), (52, "c"), (53, "d"), (54, "c")):
        sharing_.observe(seen(at_s, account))

    assert sharing_.advance(54 * S).template_accounts(template("aa")) == {SHORT_S: 0, LONG_S: 2}
    assert sharing_.advance(55 * S).template_accounts(template("aa")) == {SHORT_S: 2, LONG_S: 4}


def test_accounts_leave_each_window_in_their_own_time(seen):
    sharing_ = detector()
    for account in "abc":
        sharing_.observe(seen(1, account))
    sharing_.observe(seen(21, "c"))

    counts = {
        at_s: sharing_.advance(at_s * S).template_accounts(template("aa"))
        for at_s in (5, 15, 25, 65)
    }

    assert counts == {
        5: {SHORT_S: 3, LONG_S: 3},
        15: {SHORT_S: 0, LONG_S: 3},
        25: {SHORT_S: 1, LONG_S: 3},
        65: {SHORT_S: 0, LONG_S: 0},
    }


def test_a_template_that_one_account_uses_alone_is_in_no_index(seen):
    sharing_ = detector()
    for at_s in range(5):
        sharing_.observe(seen(at_s, "a"))

    index = sharing_.advance(5 * S)

    assert index.template_accounts(template("aa")) == {SHORT_S: 0, LONG_S: 0}
    assert index.version == 0


def test_traits_other_than_the_template_are_not_counted(seen):
    sharing_ = detector()
    for account in "ab":
        sharing_.observe(seen(1, account))

    assert sharing_.advance(5 * S).template_accounts(token_of(Trait.SYSTEM, "ff")) == {
        SHORT_S: 0,
        LONG_S: 0,
    }


def test_what_a_step_states_takes_effect_after_the_delay(seen):
    sharing_ = detector(delay_s=7)
    for account in "ab":
        sharing_.observe(seen(1, account))

    assert sharing_.advance(12 * S - 1).template_accounts(template("aa"))[LONG_S] == 0
    assert sharing_.advance(12 * S).template_accounts(template("aa"))[LONG_S] == 2


def test_a_sighting_of_a_later_step_does_not_count_in_an_earlier_one(seen):
    sharing_ = detector(delay_s=4)
    for at_s, account in ((1, "a"), (2, "b"), (6, "c"), (8, "d")):
        sharing_.advance(at_s * S)
        sharing_.observe(seen(at_s, account))

    assert sharing_.advance(9 * S).template_accounts(template("aa"))[LONG_S] == 2
    assert sharing_.advance(14 * S).template_accounts(template("aa"))[LONG_S] == 4


def test_a_template_of_many_accounts_is_counted_like_any_other(seen):
    sharing_ = detector(delay_s=4)
    for number in range(8 * sharing.COUNTED_AT_ONCE):
        at_s = number // 40
        sharing_.advance(at_s * S)
        sharing_.observe(seen(at_s, f"acc-{number}"))
        again = detector(delay_s=4)
        again.load(json.loads(json.dumps(sharing_.save())))

    wanted = {SHORT_S: 56, LONG_S: 256}
    assert sharing_.advance(14 * S).template_accounts(template("aa")) == wanted | {SHORT_S: 256}
    assert again.advance(14 * S).template_accounts(template("aa")) == wanted | {SHORT_S: 256}
    assert sharing_.advance(19 * S).template_accounts(template("aa")) == wanted
    assert again.advance(19 * S).template_accounts(template("aa")) == wanted


def test_a_sighting_that_arrives_within_the_delay_counts_in_its_own_step(seen):
    sharing_ = detector(delay_s=4)
    sharing_.observe(seen(1, "a"))
    sharing_.advance(8 * S)
    sharing_.observe(seen(2, "b"))

    assert sharing_.advance(9 * S).template_accounts(template("aa"))[LONG_S] == 2


def test_a_sighting_that_arrives_after_its_step_counts_from_the_next_with_its_own_time(seen):
    sharing_ = detector()
    sharing_.observe(seen(6, "a"))
    sharing_.advance(20 * S)
    sharing_.observe(seen(7, "b"))

    assert sharing_.advance(20 * S).template_accounts(template("aa"))[LONG_S] == 0
    assert sharing_.advance(25 * S).template_accounts(template("aa")) == {SHORT_S: 0, LONG_S: 2}
    assert sharing_.advance(70 * S).template_accounts(template("aa"))[LONG_S] == 0


def test_the_index_is_the_same_object_until_a_step_changes_it(seen):
    sharing_ = detector()
    for account in "ab":
        sharing_.observe(seen(1, account))
    first = sharing_.advance(5 * S)

    assert sharing_.advance(9 * S) is first
    assert sharing_.advance(10 * S) is first
    assert sharing_.advance(15 * S).version == 3


def test_an_index_once_handed_out_never_changes(seen):
    sharing_ = detector()
    sharing_.observe(seen(1, "a"))
    sharing_.observe(seen(1, "b"))
    held = sharing_.advance(5 * S)
    sharing_.observe(seen(6, "c"))
    sharing_.advance(10 * S)
    sharing_.advance(1_000 * S)

    assert held.template_accounts(template("aa")) == {SHORT_S: 2, LONG_S: 2}


def test_a_clock_that_goes_back_takes_nothing_back(seen):
    sharing_ = detector()
    for account in "ab":
        sharing_.observe(seen(1, account))
    index = sharing_.advance(50 * S)

    assert sharing_.advance(1 * S) is index


def test_windows_are_rounded_up_to_whole_steps(seen):
    sharing_ = TemplateSharing(frozenset({7}), STEP_S, 0)
    for account in "ab":
        sharing_.observe(seen(1, account))

    assert sharing_.advance(10 * S).template_accounts(template("aa")) == {7: 2}
    assert sharing_.advance(15 * S).template_accounts(template("aa")) == {7: 0}


def test_without_windows_nothing_is_held(seen):
    sharing_ = TemplateSharing(frozenset(), STEP_S, 0)
    sharing_.observe(seen(1, "a"))

    assert sharing_.advance(100 * S).template_accounts(template("aa")) == {}
    assert sharing_.pairs == 0


@pytest.mark.parametrize(
    ("windows", "step_s", "delay_s", "pairs"),
    [({0}, 5, 0, 10_000), ({5}, 0, 0, 10_000), ({5}, 5, -1, 10_000), ({5}, 5, 0, 10)],
)
def test_settings_that_cannot_work_are_refused(windows, step_s, delay_s, pairs):
    with pytest.raises(ValueError, match=r"window|max_pairs"):
        TemplateSharing(frozenset(windows), step_s, delay_s, max_pairs=pairs)


def test_a_flood_of_single_accounts_does_not_push_out_a_shared_template(seen):
    sharing_ = detector(max_pairs=sharing.MIN_PAIRS)
    for number in range(30):
        sharing_.observe(seen(1, f"head-{number}", "cc"))
    for number in range(4 * sharing.MIN_PAIRS):
        at_s = 2 + number // 1_000
        sharing_.advance(at_s * S)
        sharing_.observe(seen(at_s, f"one-off-{number}", f"{number:016x}"))

    index = sharing_.advance(40 * S)

    assert index.template_accounts(template("cc"))[LONG_S] == 30
    assert sharing_.pairs <= sharing.MIN_PAIRS


def test_pairs_stay_bounded_when_every_template_is_shared_and_the_largest_are_kept(seen):
    sharing_ = detector(max_pairs=sharing.MIN_PAIRS)
    for number in range(30):
        sharing_.observe(seen(1, f"head-{number}", "cc"))
    for number in range(3 * sharing.MIN_PAIRS):
        sharing_.observe(seen(2, f"acc-{number}", f"{number // 2:016x}"))

    index = sharing_.advance(5 * S)

    assert sharing_.pairs <= sharing.MIN_PAIRS
    assert index.template_accounts(template("cc"))[LONG_S] == 30
    assert sum(len(shard) for shard in index.shards) < sharing.MIN_PAIRS / 2


def test_accounts_waiting_for_a_later_step_are_bounded(seen):
    sharing_ = detector(max_pairs=sharing.MIN_PAIRS)
    for number in range(2 * sharing.MIN_PAIRS):
        sharing_.observe(seen(100, f"acc-{number}"))

    assert sharing_.pairs == sharing.MIN_PAIRS


def test_the_count_of_one_template_saturates_and_keeps_the_accounts_seen_last(seen, monkeypatch):
    monkeypatch.setattr(sharing, "MAX_ACCOUNTS", 10)
    sharing_ = detector()
    for number in range(25):
        sharing_.observe(seen(number, f"acc-{number}"))
        sharing_.advance(number * S)

    assert sharing_.advance(25 * S).template_accounts(template("aa")) == {SHORT_S: 10, LONG_S: 10}
    assert sharing_.pairs == 10


def test_a_state_goes_through_json_and_goes_on_as_if_nothing_had_happened(seen):
    live = detector(delay_s=3)
    sightings = [seen(at_s, f"acc-{at_s % 7}", f"t{at_s % 3}") for at_s in range(100)]
    for sighting in sightings[:60]:
        live.advance(sighting.at_ns)
        live.observe(sighting)
    again = detector(delay_s=3)
    again.load(json.loads(json.dumps(live.save())))

    for sighting in sightings[60:]:
        assert counts(again.advance(sighting.at_ns)) == counts(live.advance(sighting.at_ns))
        live.observe(sighting)
        again.observe(sighting)
    assert counts(again.advance(200 * S)) == counts(live.advance(200 * S))
    assert again.advance(200 * S).version == live.advance(200 * S).version


def test_sightings_that_a_saved_state_holds_do_not_count_again(seen):
    first = detector()
    old = [seen(1, "a", position=0), seen(2, "b", position=1)]
    for sighting in old:
        first.observe(sighting)
    again = detector()
    again.load(first.save())
    for sighting in (*old, seen(3, "c", position=2), seen(4, "never", position=1)):
        again.observe(sighting)

    assert again.advance(5 * S).template_accounts(template("aa"))[LONG_S] == 3
    assert again.position == 2


def test_a_state_saved_with_other_windows_counts_in_the_new_ones_from_the_next_step(seen):
    first = detector()
    for account in "ab":
        first.observe(seen(1, account))
    first.advance(5 * S)
    again = TemplateSharing(frozenset({20}), STEP_S, 0)
    again.load(first.save())

    assert again.advance(10 * S).template_accounts(template("aa")) == {20: 2}
    assert again.advance(25 * S).template_accounts(template("aa")) == {20: 0}


@pytest.mark.parametrize("state", [{}, [], {"format": 99}, None])
def test_a_state_that_is_none_of_ours_is_refused(state):
    with pytest.raises(ValueError, match=r"."):
        detector().load(state)


def test_a_state_of_another_step_is_refused():
    other = TemplateSharing(frozenset({SHORT_S}), STEP_S + 1, 0)
    with pytest.raises(ValueError, match="detector step"):
        detector().load(other.save())


def test_an_idle_year_is_passed_over_at_once(seen):
    sharing_ = detector()
    for account in "ab":
        sharing_.observe(seen(1, account))

    assert sharing_.advance(31_536_000 * S).template_accounts(template("aa"))[LONG_S] == 0
    assert sharing_.save()["due"] == []


ARRIVALS = st.lists(
    st.tuples(st.integers(0, 150), st.sampled_from("abcdefgh"), st.sampled_from(["x", "y"])),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(arrivals=ARRIVALS, end_s=st.integers(0, 300), delay_s=st.sampled_from([0, 3, 12]))
def test_counts_are_those_of_the_plain_definition(arrivals, end_s, delay_s):
    sharing_ = detector(delay_s)
    observe_all(sharing_, arrivals)
    step_s = (end_s - delay_s) // STEP_S * STEP_S

    index = sharing_.advance(end_s * S)

    for token in "xy":
        wanted = {
            window_s: len(
                {a for at_s, a, t in arrivals if t == token and step_s - window_s <= at_s < step_s}
            )
            for window_s in (SHORT_S, LONG_S)
        }
        assert index.template_accounts(template(token)) == (
            wanted if wanted[LONG_S] > 1 else zeros()
        )


@settings(max_examples=60, deadline=None)
@given(
    arrivals=ARRIVALS, moments=st.lists(st.integers(0, 300)), delay_s=st.sampled_from([0, 3, 12])
)
def test_one_advance_over_many_steps_gives_what_stepping_through_them_gives(
    arrivals, moments, delay_s
):
    arrivals = sorted(arrivals)
    at_once, stepped = detector(delay_s), detector(delay_s)
    observe_all(at_once, arrivals)
    times = sorted([*moments, *(at_s for at_s, _, _ in arrivals)])
    positions = enumerate(arrivals)
    pending = next(positions, None)
    for start_s, end_s in pairwise([*times, 300]):
        stepped.advance(start_s * S)
        while pending and pending[1][0] <= start_s:
            observe_all(stepped, [pending[1]], pending[0])
            pending = next(positions, None)
        stepped.advance(end_s * S)

    assert counts(at_once.advance(300 * S)) == counts(stepped.advance(300 * S))
    assert at_once.advance(300 * S).version == stepped.advance(300 * S).version


@settings(max_examples=40, deadline=None)
@given(arrivals=ARRIVALS, seed=st.randoms(use_true_random=False), moments=st.integers(1, 40))
def test_the_order_of_arrival_inside_the_delay_changes_nothing(arrivals, seed, moments):
    shuffled = list(arrivals)
    seed.shuffle(shuffled)
    one, other = detector(200), detector(200)
    observe_all(one, arrivals)
    for start in range(0, len(shuffled), moments):
        other.advance((start + 1) * S)
        observe_all(other, shuffled[start : start + moments], start)

    assert [counts(one.advance(at_s * S)) for at_s in range(200, 420, 5)] == [
        counts(other.advance(at_s * S)) for at_s in range(200, 420, 5)
    ]


@settings(max_examples=40, deadline=None)
@given(arrivals=ARRIVALS, cut=st.integers(0, 60), delay_s=st.sampled_from([0, 3, 12]))
def test_a_restart_at_any_moment_changes_no_later_index(arrivals, cut, delay_s):
    arrivals = sorted(arrivals)
    live, restarted = detector(delay_s), detector(delay_s)
    for position, arrival in enumerate(arrivals):
        if position == cut:
            state = json.loads(json.dumps(restarted.save()))
            restarted = detector(delay_s)
            restarted.load(state)
        for each in (live, restarted):
            each.advance(arrival[0] * S)
            observe_all(each, [arrival], position)
        assert counts(live.advance(arrival[0] * S)) == counts(restarted.advance(arrival[0] * S))

    assert counts(live.advance(170 * S)) == counts(restarted.advance(170 * S))


def observe_all(sharing_: TemplateSharing, arrivals: list[tuple[int, str, str]], start: int = 0):
    for position, (at_s, account, token) in enumerate(arrivals, start):
        tokens = (template(token),)
        sharing_.observe(Sighting(position, at_s * S, account, tokens, served=True))


def counts(index: SharingIndex) -> dict[int, tuple[int, ...]]:
    return {token: found for shard in index.shards for token, found in shard.items()}


def zeros() -> dict[int, int]:
    return {SHORT_S: 0, LONG_S: 0}
