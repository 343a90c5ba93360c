"""What an ordinary account uses in a day is learned from those that are in no cluster."""

import pytest
from msgspec.structs import replace

from proxy.detect.detector import Detector
from proxy.detect.options import DetectorOptions
from proxy.model.finding import Action
from proxy.model.sighting import Described, Sighting
from proxy.model.trait import Trait
from tests.detect.conftest import token_of
from tests.detect.world import DAY, HOUR, KEY, START, S, planted

STEP_S = 6 * HOUR
Day = dict[str, int]


def learned(days: list[Day], requests: int = 1, served: bool = True, after_s: int = 0) -> Day:
    """What is learned of days on which accounts sent so many requests each."""
    detector = Detector(KEY, DetectorOptions(step_s=STEP_S, first_slots=1 << 10))
    position = 0
    for day, uses in enumerate(days):
        at_s = START + day * DAY + HOUR
        for account, count in uses.items():
            for _ in range(count):
                token = token_of(Trait.SYSTEM, account)
                sighting = Sighting(
                    position, at_s * S, account, (token,), served=served, requests=requests
                )
                detector.observe(Described(account), sighting)
                position += 1
        detector.advance((at_s + STEP_S) * S)
    end_s = START + (len(days) - 1) * DAY + HOUR + STEP_S + after_s
    return dict(detector.advance(end_s * S).ordinary)


def uses(*counts: int) -> Day:
    return {f"a{number}": count for number, count in enumerate(counts)}


def test_it_is_the_use_that_ninety_nine_in_a_hundred_stay_at_or_under():
    assert learned([uses(*range(1, 101))]) == {"requests": 99}
    assert learned([uses(*[3] * 197, 50, 60, 70)]) == {"requests": 50}


def test_one_account_that_uses_very_much_does_not_raise_it():
    assert learned([uses(*[4] * 149, 5_000)]) == {"requests": 4}


def test_nothing_is_said_of_fewer_than_a_hundred_accounts():
    assert learned([uses(*[5] * 99)]) == {}
    assert learned([uses(*[5] * 100)]) == {"requests": 5}


def test_the_larger_of_yesterday_and_today_so_far_counts():
    busy, slow = uses(*[9] * 120), uses(*[2] * 120)

    assert learned([busy, slow]) == {"requests": 9}
    assert learned([slow, busy]) == {"requests": 9}


def test_the_day_before_yesterday_is_forgotten():
    busy, slow = uses(*[9] * 120), uses(*[2] * 120)

    assert learned([busy, slow, slow]) == {"requests": 2}


def test_an_account_that_sent_yesterday_only_counts_with_yesterdays_use():
    assert learned([uses(*[7] * 120), {"late": 1}]) == {"requests": 7}


def test_what_was_refused_is_no_use():
    assert learned([uses(*[5] * 120)], served=False) == {}


def test_the_lines_of_a_batch_count_each():
    assert learned([uses(*[2] * 120)], requests=50) == {"requests": 100}


def test_accounts_of_clusters_are_left_out_and_those_of_dismissed_ones_are_not():
    """The campaign of 40 sends more than anybody else."""
    world = planted()
    for actor in world.actors[700:]:
        object.__setattr__(actor, "per_day", 500.0)
        aged = replace(actor.described, created_at=0.0)  # the young have no say in any case
        object.__setattr__(actor, "described", aged)
    world.go_on(days=1)
    without = world.index.ordinary["requests"]

    world.detector.decide(world.clusters[0].cluster.id, Action.DISMISS)
    world.go_on(days=0.25)

    assert without < 100
    assert world.index.ordinary["requests"] > 300


@pytest.mark.parametrize("count", [0, 1])
def test_a_detector_that_saw_next_to_nothing_says_nothing(count: int):
    assert learned([uses(*[1] * count)]) == {}
