"""What one hand does is found, and nobody else is in it."""

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from proxy.model.trait import Trait
from tests.detect.world import (
    DAY,
    START,
    Actor,
    campaign,
    honest,
    members,
    names,
    planted,
    pool,
    run,
)


def found(actors: Sequence[Actor], clusters) -> list[set[str]]:
    """The clusters that have any of these accounts, by their accounts."""
    return [members(one) for one in clusters if members(one) & names(actors)]


def test_a_template_and_shared_cards_give_a_campaign_away_and_nobody_else_is_in_its_cluster():
    (cluster,) = planted().sure

    assert members(cluster) == names(campaign("farm"))
    assert {one.family for one in cluster.evidence} >= {"prompt", "relationship"}
    assert all(weight > 0.5 for _, weight in cluster.members)


def test_evidence_says_how_many_of_the_cluster_share_a_trait_and_how_many_of_everyone():
    (cluster,) = planted().sure
    card = next(one for one in cluster.evidence if one.trait == "payment")

    assert card.accounts == 40
    assert card.lift > 100
    assert card.why.startswith("40 of 40 share payment (10 values), against none of ")


def test_unrelated_accounts_with_what_people_share_by_accident_are_in_no_sure_cluster():
    later = run(honest(1_000, seed=2)).go_on(days=1)

    assert later.sure == []


def test_a_campaign_is_found_although_its_accounts_are_old_enough_to_count_as_everyone():
    campaigners = campaign("farm", age_d=150)

    assert found(campaigners, run(honest(), campaigners).sure) == [names(campaigners)]


def test_a_campaign_that_sleeps_for_a_month_and_then_wakes_is_found():
    campaigners = campaign("farm", age_d=31, from_s=START + 2 * DAY)

    assert found(campaigners, run(honest(), campaigners, days=4).sure) == [names(campaigners)]


def test_one_exchange_in_twenty_on_the_template_is_enough():
    campaigners = campaign("farm", share=0.05, per_day=24)

    (cluster,) = found(campaigners, run(honest(), campaigners, days=6).sure)

    assert cluster <= names(campaigners)
    assert len(cluster) >= 0.99 * len(campaigners)


def test_accounts_that_rotate_their_addresses_are_found_by_what_does_not_change():
    campaigners = [
        Actor(
            one.described,
            tuple(
                (
                    share,
                    face.but(
                        pool(Trait.ADDRESS, *(f"{one.name} {n}" for n in range(50))),
                        pool(Trait.NETWORK, *(f"{one.name} {n}" for n in range(50))),
                    ),
                )
                for share, face in one.faces
            ),
            per_day=one.per_day,
        )
        for one in campaign("farm")
    ]

    assert found(campaigners, run(honest(), campaigners).sure) == [names(campaigners)]


def test_paraphrases_are_joined_by_what_they_share_with_some_of_the_others():
    """Six templates: each joins a sixth of the accounts, cards join across them."""
    campaigners = [
        actor
        for variant in range(6)
        for actor in campaign("farm", 10, cards_of=10, first=variant * 10, template=f"v{variant}")
    ]
    cards = campaign("farm", 60, cards_of=4)
    campaigners = [
        Actor(by_card.described, actor.faces, per_day=actor.per_day)
        for actor, by_card in zip(campaigners, cards, strict=True)
    ]

    sure = found(campaigners, run(honest(), campaigners).sure)

    assert set().union(*sure) == names(campaigners)


def test_two_campaigns_at_once_are_two_clusters():
    farm, mill = campaign("farm"), campaign("mill", 30)

    sure = found([*farm, *mill], run(honest(), farm, mill).sure)

    assert sorted(sure, key=len) == [names(mill), names(farm)]


@pytest.mark.parametrize("count", [12, 150])
def test_campaigns_of_any_size_are_found(count: int):
    campaigners = campaign("farm", count)

    assert found(campaigners, run(honest(), campaigners).sure) == [names(campaigners)]


def test_replacements_on_cards_of_their_own_are_found_as_the_first_ones_were():
    world = planted()
    replacements = campaign("farm", 16, first=40, from_s=START + 2 * DAY)

    world.go_on(days=1, more=replacements)

    sure = found(world.actors[700:], world.sure)
    assert set().union(*sure) == names(campaign("farm", 56))


def test_four_replacements_on_one_card_join_the_cluster_whose_template_they_bring():
    """Too few to be found by themselves; and none of the cluster has that card."""
    world = planted()
    replacements = campaign("farm", 4, first=40, from_s=START + 2 * DAY)

    world.go_on(days=1, more=replacements)

    assert found(replacements, world.sure) == [names(campaign("farm", 44))]


def test_who_shares_a_sign_up_address_with_one_of_them_is_not_one_of_them():
    """A flat that was let before, a cafe: he has their directory entry in part, not their work."""
    campaigners = campaign("farm")
    theirs = [one for one in campaigners[7].described.links if one[0] == "signup_ip"]
    unlucky = honest(1, seed=5, prefix="unlucky")[0]
    links = (*(one for one in unlucky.described.links if one[0] != "signup_ip"), *theirs)
    unlucky = replace(unlucky, described=msgspec.structs.replace(unlucky.described, links=links))

    assert found(campaigners, run(honest(), campaigners, [unlucky]).sure) == [names(campaigners)]


def test_a_hand_that_runs_half_of_all_accounts_is_found_too():
    campaigners = campaign("farm", 700, cards_of=20)

    assert found(campaigners, run(honest(), campaigners).sure) == [names(campaigners)]


def test_a_few_accounts_are_never_a_sure_cluster():
    """Families and firms share a card and a prompt more often than small campaigns do."""
    world = run(honest(), campaign("shop", 6, cards_of=6))

    assert world.sure == []
