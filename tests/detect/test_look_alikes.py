"""What looks like one hand and is many: no rule that asks for sureness touches it."""

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from proxy.model.trait import Trait
from tests.detect.conftest import token_of
from tests.detect.world import (
    HOUR,
    START,
    Actor,
    Pool,
    campaign,
    honest,
    link,
    members,
    names,
    pool,
    run,
)


def show(actors: Sequence[Actor], *pools: Pool, links: dict[str, str] | None = None) -> list[Actor]:
    """The same accounts with other traits and links in place of their own."""
    mine = links or {}
    return [
        replace(
            actor,
            described=msgspec.structs.replace(
                actor.described,
                links=tuple(
                    link(name, mine[name]) if name in mine else (name, token)
                    for name, token in actor.described.links
                ),
            ),
            faces=tuple((share, face.but(*pools)) for share, face in actor.faces),
        )
        for actor in actors
    ]


def touched(actors: Sequence[Actor], *others: Sequence[Actor], days: float = 2.0) -> set[str]:
    """Which of these accounts are in a cluster that somebody would act on."""
    world = run(honest(), actors, *others, days=days)
    return {one for cluster in world.sure for one in members(cluster)} & names(actors)


WORK = (
    pool(Trait.SYSTEM, "work"),
    pool(Trait.TEMPLATE, "work"),
    pool(Trait.OPENING, "work"),
    pool(Trait.CLOSING, "work"),
)
PROGRAM = (
    pool(Trait.HEADERS, "program"),
    pool(Trait.AGENT, "program"),
    pool(Trait.JA4, "program"),
    pool(Trait.SYSTEM, "program"),
    pool(Trait.TOOLS, "program"),
    pool(Trait.PARAMETERS, "program"),
)


def crowd(count: int, name: str) -> Sequence[Actor]:
    return honest(count, seed=3, prefix=name)


def test_one_family_alone_is_never_acted_on_however_strong():
    """Everything differs but the prompts: reported at most."""
    alone = campaign("farm", cards_of=0)

    assert touched(alone, days=4) == set()


def test_users_of_one_program_with_its_prompt_its_headers_and_its_parameters_are_unrelated():
    assert touched(show(crowd(150, "p"), *PROGRAM)) == set()


def test_readers_of_a_tutorial_who_use_its_program_too_are_unrelated():
    assert touched(show(crowd(60, "t"), *PROGRAM, *WORK)) == set()


def test_customers_behind_a_carriers_few_addresses_are_unrelated():
    nat = (
        pool(Trait.ADDRESS, "nat 1", "nat 2"),
        pool(Trait.NETWORK, "nat 1", "nat 2"),
        pool(Trait.ASN, "nat"),
    )

    assert touched(show(crowd(150, "n"), *nat)) == set()


def test_an_office_shares_address_mail_domain_and_where_it_signed_up_and_is_no_campaign():
    office = show(
        crowd(40, "o"),
        pool(Trait.ADDRESS, "office"),
        pool(Trait.NETWORK, "office"),
        links={"email_domain": "office", "signup_ip": "office", "signup_ip/24": "office"},
    )

    assert touched(office, days=4) == set()


def test_a_class_that_shares_address_card_and_exercise_for_a_lesson_is_no_campaign():
    lesson = show(
        crowd(60, "c"),
        pool(Trait.ADDRESS, "school"),
        pool(Trait.NETWORK, "school"),
        *WORK,
        links={"payment": "school", "signup_ip": "school", "signup_ip/24": "school"},
    )
    begins = START + 30 * HOUR
    lesson = [
        replace(one, per_day=12 * 10.0, from_s=begins, to_s=begins + 2 * HOUR) for one in lesson
    ]

    assert touched(lesson, days=3) == set()


def test_accounts_of_a_declared_organization_hide_from_nobody_and_count_once():
    """The same traits as a campaign's, under one name."""
    firm = [
        replace(
            one,
            described=msgspec.structs.replace(
                one.described, organization=token_of(Trait.AGENT, "f")
            ),
        )
        for one in campaign("firm", 60)
    ]

    world = run(honest(), firm)

    assert not {one for cluster in world.clusters for one in members(cluster)} & names(firm)


def test_one_organization_does_not_make_a_campaign_of_its_neighbours():
    """Sixty accounts of a firm, three strangers with the same prompt and card holder's bank."""
    firm = [
        replace(
            one,
            described=msgspec.structs.replace(
                one.described, organization=token_of(Trait.AGENT, "f")
            ),
        )
        for one in campaign("firm", 60)
    ]
    strangers = campaign("firm", 3, first=60)

    world = run(honest(), firm, strangers)

    assert world.sure == []


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_a_busy_day_on_which_everybody_calls_from_one_cloud_joins_nobody(seed: int):
    cloud = (pool(Trait.ASN, "cloud"), pool(Trait.NETWORK, *(f"cloud {n}" for n in range(6))))
    guests = show(honest(80, seed=seed, prefix="g"), *cloud)

    assert touched(guests) == set()


def test_an_unrelated_customer_whose_prompts_are_imitated_is_not_in_the_imitators_cluster():
    """Framed: established, paying by himself, from his own place. Only what he asks is copied."""
    campaigners = campaign("farm", template="imitated")
    framed = show(
        [replace(one, per_day=40) for one in crowd(1, "framed")],
        pool(Trait.SYSTEM, "work imitated"),
        pool(Trait.TEMPLATE, "work imitated"),
        pool(Trait.OPENING, "work imitated"),
        pool(Trait.CLOSING, "work imitated"),
    )
    framed = [
        replace(
            framed[0],
            described=msgspec.structs.replace(
                framed[0].described, created_at=START - 400 * 86_400.0, verified=True
            ),
        )
    ]

    assert touched(framed, campaigners, days=3) == set()
