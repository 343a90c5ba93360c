"""A cluster's life: members at any moment, and what is told together."""

import pytest

from proxy.investigate.life import moments, spark, steps
from proxy.model.cluster import ClusterState, EventKind
from tests.investigate.made import EVENTS, HOUR, NS, OPENED, event, names


def test_members_are_counted_once_however_often_they_are_told():
    again = (*EVENTS[:2], EVENTS[1], event(3, EventKind.GROW, names(80, 95)))
    assert [step.accounts for step in steps("c-7f3a", again)] == [12, 90, 95]


def test_a_merged_cluster_ends_and_its_accounts_go_on_in_the_other():
    assert [step.accounts for step in steps("c-7f3a", EVENTS)] == [12, 90, 200, 300, 341, 340]
    opened = event(0, EventKind.OPEN, names(200, 300), "c-2b11")
    assert [step.accounts for step in steps("c-2b11", [opened, *EVENTS])] == [100, 0]


def test_growth_within_a_day_is_one_moment_unless_each_is_asked_for():
    told = moments("c-7f3a", EVENTS)
    assert [(one.kind, one.times, one.came) for one in told][:2] == [
        (EventKind.OPEN, 1, 12),
        (EventKind.GROW, 2, 188),
    ]
    assert len(moments("c-7f3a", EVENTS, each=True)) == len(EVENTS)


def test_growth_in_another_state_or_a_day_later_is_a_moment_of_its_own():
    grown = [
        event(0, EventKind.GROW, names(0, 1)),
        event(25, EventKind.GROW, names(1, 2)),
        event(26, EventKind.GROW, names(2, 3), state=ClusterState.CONFIRMED),
    ]
    assert [one.times for one in moments("c-7f3a", grown)] == [1, 1, 1]


@pytest.mark.parametrize("width", [1, 7, 48])
def test_the_line_of_members_has_its_width_and_ends_at_what_there_is_now(width: int):
    told = steps("c-7f3a", EVENTS)
    drawn = spark(told, (OPENED + 40 * HOUR) * NS, width)
    assert len(drawn) == width
    assert drawn[-1] == "█"


def test_a_life_of_one_moment_or_of_none_is_drawn_too():
    assert spark(steps("c-7f3a", EVENTS[:1]), 0) == "█"
    assert spark([], OPENED * NS) == ""
