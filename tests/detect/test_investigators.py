"""What investigators say holds, over later steps, growth and a restart."""

from collections.abc import Callable

import pytest

from proxy.detect.detector import Detector
from proxy.model.cluster import ClusterState, EventKind
from proxy.model.finding import Action
from proxy.model.sighting import Described
from tests.detect.test_newcomers import first_tokens
from tests.detect.world import (
    DAY,
    KEY,
    OPTIONS,
    START,
    Run,
    S,
    campaign,
    honest,
    members,
    names,
    planted,
)

FARM = names(campaign("farm"))


def go_on(world: Run) -> Run:
    return world.go_on(days=0.5)


def restart(world: Run) -> Run:
    detector = Detector(KEY, OPTIONS)
    detector.load(world.detector.save())
    world.detector = detector
    return world.go_on(days=0.5)


LATER = pytest.mark.parametrize("later", [go_on, restart])
Later = Callable[[Run], Run]


def only(world: Run) -> str:
    (cluster,) = world.clusters
    return cluster.cluster.id


@LATER
def test_a_confirmed_cluster_is_sure_and_stays_it(later: Later):
    world = planted()
    id_ = only(world)
    world.detector.decide(id_, Action.CONFIRM)

    later(world)

    (cluster,) = world.clusters
    assert (cluster.cluster.state, cluster.cluster.score) == (ClusterState.CONFIRMED, 1.0)
    (membership,) = world.index.of(Described("farm-0000"), ())
    assert membership.cluster.state is ClusterState.CONFIRMED


@LATER
def test_accounts_of_a_dismissed_cluster_are_in_none_and_in_no_new_one_while_it_grows(
    later: Later,
):
    world = planted()
    id_ = only(world)
    world.detector.decide(id_, Action.DISMISS)

    later(world)
    more = campaign("farm", 20, cards_of=60, first=40, from_s=world.to_s)
    world.go_on(days=1.5, more=more)

    assert [one.cluster.state for one in world.clusters] == [ClusterState.DISMISSED]
    assert only(world) == id_
    for actor in world.actors[700:]:
        assert world.index.of(actor.described, first_tokens(actor)) == ()


def test_a_newcomer_with_a_dismissed_clusters_traits_is_in_nothing():
    world = planted()
    world.detector.decide(only(world), Action.DISMISS)
    go_on(world)
    newcomer = campaign("farm", 1, first=77)[0]

    assert world.index.of(newcomer.described, first_tokens(newcomer)) == ()


def test_another_campaign_is_found_beside_a_dismissed_one():
    world = planted()
    world.detector.decide(only(world), Action.DISMISS)
    mill = campaign("mill", from_s=START + 2 * DAY)

    world.go_on(days=2, more=mill)

    assert names(mill) in [members(one) for one in world.clusters]
    assert world.index.of(mill[0].described, first_tokens(mill[0]))


@LATER
def test_a_dismissed_cluster_that_is_reopened_is_open_under_its_name(later: Later):
    world = planted()
    id_ = only(world)
    world.detector.decide(id_, Action.DISMISS)
    later(world)
    world.detector.decide(id_, Action.REOPEN)

    later(world)

    (cluster,) = world.clusters
    assert cluster.cluster.id == id_
    assert cluster.cluster.state in {ClusterState.OPEN, ClusterState.GROWING}
    assert members(cluster) == FARM
    assert world.index.of(Described("farm-0000"), ())


@LATER
def test_an_account_that_was_added_stays_in(later: Later):
    world = planted()
    world.detector.decide(only(world), Action.ADD, ["h0007"])

    later(world)

    assert members(world.clusters[0]) == FARM | {"h0007"}
    assert world.index.of(Described("h0007"), ())[0].weight == 1.0
    later(world)
    assert "h0007" in members(world.clusters[0])


@LATER
def test_an_account_that_was_removed_stays_out_whatever_it_shows(later: Later):
    world = planted()
    actor = campaign("farm")[8]
    world.detector.decide(only(world), Action.REMOVE, [actor.name])

    later(world)
    later(world)

    assert [members(one) for one in world.clusters] == [FARM - {actor.name}]
    assert world.index.of(actor.described, first_tokens(actor)) == ()


@LATER
def test_removed_and_then_added_it_is_in_added_and_then_removed_it_is_out(later: Later):
    world = planted()
    id_ = only(world)
    world.detector.decide(id_, Action.REMOVE, ["farm-0001"])
    world.detector.decide(id_, Action.ADD, ["farm-0001"])
    world.detector.decide(id_, Action.ADD, ["h0001"])
    world.detector.decide(id_, Action.REMOVE, ["h0001"])

    later(world)

    assert members(world.clusters[0]) == FARM


def test_every_decision_is_told_as_an_event():
    world = planted()
    id_ = only(world)
    world.detector.events()

    for action, accounts in (
        (Action.CONFIRM, ()),
        (Action.ADD, ("h0001", "farm-0001")),
        (Action.REMOVE, ("h0001", "h0002")),
        (Action.DISMISS, ()),
        (Action.REOPEN, ()),
    ):
        world.detector.decide(id_, action, accounts)

    told = [(one.kind, one.accounts, one.state) for one in world.detector.events()]
    assert told == [
        (EventKind.STATE, (), ClusterState.CONFIRMED),
        (EventKind.GROW, ("h0001",), ClusterState.CONFIRMED),
        (EventKind.SHRINK, ("h0001",), ClusterState.CONFIRMED),
        (EventKind.STATE, (), ClusterState.DISMISSED),
        (EventKind.STATE, (), ClusterState.OPEN),
    ]


def test_a_decision_counts_at_once():
    world = planted()
    world.detector.decide(only(world), Action.DISMISS)

    index = world.detector.advance((world.to_s + 5) * S)

    assert index.of(Described("farm-0000"), ()) == ()
    assert world.index.of(Described("farm-0000"), ()) != (), "what was handed out stays as it is"


def test_a_cluster_that_is_not_known_is_refused():
    world = planted()

    with pytest.raises(KeyError):
        world.detector.decide("c-nothing", Action.CONFIRM)


def test_accounts_of_a_dismissed_cluster_are_ordinary_accounts_again():
    """Their use counts in what an ordinary account uses."""
    world = planted()
    before = world.index.ordinary
    world.detector.decide(only(world), Action.DISMISS)

    go_on(world)

    assert world.index.ordinary.keys() == before.keys() == {"requests"}


def test_nobody_unrelated_comes_in_through_what_an_investigator_added():
    """One honest account added by mistake does not draw its kind in."""
    world = planted()
    world.detector.decide(only(world), Action.ADD, ["h0003"])

    world.go_on(days=2)

    assert members(world.clusters[0]) - FARM == {"h0003"}
    assert honest()[3].name == "h0003"
