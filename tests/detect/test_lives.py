"""The life of a cluster: its name stays, and its events tell who was in it when."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

import msgspec

from proxy.model.cluster import ClusterEvent, ClusterState, EventKind
from tests.detect.world import (
    DAY,
    HOUR,
    START,
    Actor,
    Run,
    S,
    campaign,
    honest,
    members,
    names,
    planted,
    run,
)


def retold(events: Iterable[ClusterEvent]) -> dict[str, set[str]]:
    """Who is in which cluster, from the events alone."""
    held: dict[str, set[str]] = defaultdict(set)
    for event in events:
        accounts = set(event.accounts)
        match event.kind:
            case EventKind.OPEN:
                assert event.cluster not in held
                held[event.cluster] = accounts
            case EventKind.GROW:
                assert not held[event.cluster] & accounts, "told twice"
                held[event.cluster] |= accounts
            case EventKind.SHRINK:
                assert accounts <= held[event.cluster], "was not in"
                held[event.cluster] -= accounts
            case EventKind.MERGE:
                assert accounts == held.pop(event.cluster)
                assert event.into in held
                held[event.into] |= accounts
            case EventKind.SPLIT:
                held[event.cluster] -= accounts
                held[event.into or ""] |= accounts
            case EventKind.CLOSE:
                del held[event.cluster]
            case EventKind.STATE:
                assert not accounts
    return dict(held)


def stated(world: Run) -> dict[str, set[str]]:
    return {one.cluster.id: members(one) for one in world.clusters}


def growing(days: int) -> list[Actor]:
    """Eight new accounts every six hours, four to a card."""
    return [
        actor
        for number in range(days * 4)
        for actor in campaign("farm", 8, first=8 * number, from_s=START + number * 6 * HOUR)
    ]


def test_a_cluster_opens_with_all_its_accounts_and_the_moment():
    world = planted()
    (cluster,) = world.clusters
    first = world.detector.events()[0]

    assert (first.kind, first.cluster) == (EventKind.OPEN, cluster.cluster.id)
    assert first.at_ns == cluster.opened_ns
    assert set(first.accounts) <= names(campaign("farm"))
    assert START * S < first.at_ns <= world.to_s * S


def test_events_from_the_start_give_the_members_at_the_end():
    world = run(honest(), growing(3), days=3)
    events = world.detector.events()

    assert retold(events) == stated(world)
    assert len(set().union(*stated(world).values()) & names(growing(3))) > 60
    assert {one.kind for one in events} >= {EventKind.OPEN, EventKind.GROW}
    assert [one.at_ns for one in events] == sorted(one.at_ns for one in events)


def test_a_name_stays_while_accounts_come():
    world = planted()
    (before,) = world.clusters
    newcomers = campaign("farm", 12, cards_of=52, first=40, from_s=START + 2 * DAY)

    world.go_on(days=2, more=newcomers)

    assert before.cluster.id in {one.cluster.id for one in world.clusters}
    again = next(one for one in world.clusters if one.cluster.id == before.cluster.id)
    assert again.opened_ns == before.opened_ns
    assert members(again) >= members(before)


def test_a_cluster_that_accounts_join_is_growing_and_later_open_again():
    world = planted()
    newcomers = [
        actor
        for number in range(10)
        for actor in _on_known_cards(number, from_s=START + 2 * DAY + 7 * HOUR)
    ]
    world.go_on(days=1, more=newcomers)
    (cluster,) = world.clusters
    assert cluster.cluster.state is ClusterState.GROWING
    assert members(cluster) == names(world.actors[700:])

    world.go_on(days=2)

    assert world.clusters[0].cluster.state is ClusterState.OPEN


def _on_known_cards(number: int, from_s: int) -> list[Actor]:
    """One more account on the card of four that the campaign has already."""
    (actor,) = campaign("farm", 1, first=100 + number, from_s=from_s)
    card = campaign("farm")[number * 4].described.links[0]
    links = (card, *actor.described.links[1:])
    return [replace(actor, described=msgspec.structs.replace(actor.described, links=links))]


def test_a_cluster_without_traffic_for_days_is_quiet_and_wakes_under_its_old_name():
    farm = campaign("farm")
    sleeping = [replace(actor, to_s=START + 2 * DAY) for actor in farm]
    world = run(honest(), sleeping)
    (before,) = world.clusters

    world.go_on(days=4)

    (asleep,) = world.clusters
    assert asleep.cluster.state is ClusterState.QUIET
    assert asleep.cluster.id == before.cluster.id
    assert members(asleep) == names(farm)
    assert asleep.seen_ns <= (START + 2 * DAY) * S

    world.go_on(days=1, more=[replace(actor, from_s=world.to_s) for actor in farm])

    (awake,) = world.clusters
    assert awake.cluster.id == before.cluster.id
    assert awake.cluster.state in {ClusterState.OPEN, ClusterState.GROWING}


def test_two_clusters_that_turn_out_to_be_one_are_merged_and_the_parent_is_named():
    """At first two hands, as it seems; then both show one template and one set of cards."""
    left, right = campaign("left", 24), campaign("right", 20)
    world = run(honest(), [replace(one, to_s=START + 2 * DAY) for one in (*left, *right)])
    assert len(world.clusters) == 2
    world.detector.events()
    before = stated(world)

    one_hand = [
        _with_face_of(one, campaign("both", 1)[0], from_s=world.to_s) for one in (*left, *right)
    ]
    world.go_on(days=3, more=one_hand)

    (cluster,) = world.clusters
    events = world.detector.events()
    (merge,) = [one for one in events if one.kind is EventKind.MERGE]
    assert members(cluster) == names(one_hand)
    assert cluster.cluster.parents == (merge.cluster,)
    assert merge.into == cluster.cluster.id
    assert {merge.cluster, merge.into} == set(before)
    opened = [
        ClusterEvent(0, EventKind.OPEN, name, 1.0, ClusterState.OPEN, tuple(accounts))
        for name, accounts in before.items()
    ]
    assert retold([*opened, *events]) == stated(world)


def _with_face_of(actor: Actor, other: Actor, from_s: int) -> Actor:
    return replace(actor, faces=other.faces, from_s=from_s, per_day=40)
