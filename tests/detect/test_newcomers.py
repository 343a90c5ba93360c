"""The index knows a cluster's accounts, and a new head of it by what it shows at once."""

import msgspec
import pytest

from proxy.detect.index import DetectedIndex
from proxy.gateway.detecting.chunks import packed, unpacked
from proxy.model.sighting import Described
from proxy.model.trait import SKETCHED, Trait
from tests.detect.conftest import token_of
from tests.detect.world import (
    DAY,
    START,
    Actor,
    campaign,
    honest,
    names,
    planted,
)


def first_tokens(actor: Actor) -> tuple[int, ...]:
    """What the first exchange of an account shows before the decision."""
    return tuple(one[0] for one in actor.faces[0][1].pools if one[0] & 63 not in SKETCHED)


@pytest.fixture(scope="module")
def index() -> DetectedIndex:
    return planted().index


def with_card_of(actor: Actor, other: Actor) -> Described:
    links = (other.described.links[0], *actor.described.links[1:])
    return msgspec.structs.replace(actor.described, links=links)


def test_every_account_of_a_cluster_is_looked_up_with_its_weight(index: DetectedIndex):
    (cluster,) = planted().clusters
    for name, weight in cluster.members:
        (membership,) = index.of(Described(name), ())
        assert membership.cluster.id == cluster.cluster.id
        assert membership.cluster.score == cluster.cluster.score
        assert membership.weight == weight


def test_an_account_of_a_cluster_matches_with_what_the_cluster_asks_and_not_with_else(
    index: DetectedIndex,
):
    actor, stranger = planted().actors[-1], honest()[3]

    (at_work,) = index.of(actor.described, first_tokens(actor))
    (besides,) = index.of(actor.described, first_tokens(stranger))

    assert at_work.match
    assert not besides.match


def test_a_newcomer_with_the_template_and_a_known_card_is_in_at_its_first_exchange(
    index: DetectedIndex,
):
    newcomer = campaign("farm", 1, first=77)[0]

    (membership,) = index.of(with_card_of(newcomer, campaign("farm")[5]), first_tokens(newcomer))

    assert membership.cluster.id == planted().clusters[0].cluster.id
    assert membership.match
    assert 0 < membership.weight < 1


def test_a_newcomer_with_the_template_alone_is_not_in_without_a_second_strand(
    index: DetectedIndex,
):
    """A customer who came upon the prompt: what else joins him is nothing."""
    customer = honest(1, seed=6, prefix="new")[0]
    work = [one for one in first_tokens(campaign("farm")[0]) if one & 63 >= Trait.SYSTEM]

    assert index.of(customer.described, work) == ()


def test_a_known_card_alone_is_not_enough_either(index: DetectedIndex):
    """The victim of a stolen card, or its owner."""
    customer = honest(1, seed=6, prefix="new")[0]
    described = with_card_of(customer, campaign("farm")[0])

    assert index.of(described, first_tokens(customer)) == ()


def test_all_unrelated_accounts_are_in_nothing_whatever_they_send(index: DetectedIndex):
    assert [one.name for one in honest() if index.of(one.described, first_tokens(one))] == []


def test_unrelated_accounts_that_were_never_seen_are_in_nothing(index: DetectedIndex):
    strangers = honest(400, seed=8, prefix="s")

    assert [one.name for one in strangers if index.of(one.described, first_tokens(one))] == []


def test_an_established_customer_whose_prompts_are_imitated_is_not_taken_for_a_newcomer():
    """He was there before, in no cluster; only what he asks is the cluster's."""
    world = planted()
    framed = world.actors[0]
    work = [one for one in first_tokens(campaign("farm")[0]) if one & 63 >= Trait.SYSTEM]

    assert world.index.of(framed.described, work) == ()


def test_most_of_a_new_batch_on_known_cards_is_in_before_any_step_saw_it(index: DetectedIndex):
    batch = campaign("farm", 40, seed=2)  # other people's homes, the same cards
    strangers = [msgspec.structs.replace(one.described, account=f"new {one.name}") for one in batch]

    known = [
        who.account
        for who, actor in zip(strangers, batch, strict=True)
        if index.of(who, first_tokens(actor))
    ]

    assert len(known) == len(batch)


def test_a_packed_index_gives_the_same_answers(index: DetectedIndex):
    again = unpacked(packed(index), DetectedIndex)

    assert again.version == index.version
    assert again.ordinary == index.ordinary
    for actor in (*honest()[:50], *campaign("farm"), *campaign("farm", 10, first=50)):
        for tokens in ((), first_tokens(actor), first_tokens(campaign("farm")[0])):
            assert again.of(actor.described, tokens) == index.of(actor.described, tokens)
    assert packed(again) == packed(index)


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\x80"])
def test_what_is_no_packed_index_is_refused(data: bytes):
    with pytest.raises(ValueError, match="index"):
        unpacked(data, DetectedIndex)


def test_neither_names_of_links_nor_values_are_in_a_packed_index(index: DetectedIndex):
    written = packed(index)

    assert b"farm 0" not in written
    assert b"signup_ip" not in written.replace(b"share signup_ip", b"")


def test_sureness_grows_over_the_steps_and_the_index_says_which_step_it_is_of():
    world = planted()
    before = world.index.version
    world.go_on(days=1)

    step, look = (int(part) for part in world.index.version.split("."))
    assert (step, look) > tuple(int(part) for part in before.split("."))


@pytest.mark.parametrize("tokens", [(), (0,), (2**64 - 1,), (0, 0, 0), tuple(range(64))])
def test_odd_fingerprints_say_nothing(index: DetectedIndex, tokens: tuple[int, ...]):
    assert index.of(Described("nobody"), tokens) == ()


def test_a_replacement_is_in_from_its_first_exchange_and_in_the_cluster_after_the_next_step():
    world = planted()
    newcomer = campaign("farm", 1, first=77, from_s=START + 2 * DAY)[0]
    described = with_card_of(newcomer, campaign("farm")[5])
    (at_once,) = world.index.of(described, first_tokens(newcomer))

    world.go_on(days=1, more=[Actor(described, newcomer.faces, 12.0, newcomer.from_s)])
    (later,) = world.index.of(described, first_tokens(newcomer))

    assert later.cluster.id == at_once.cluster.id
    assert later.weight >= at_once.weight
    assert later.cluster.accounts == 41
    assert names(world.actors[700:]) == {one for one, _ in world.clusters[0].members}


def test_a_trait_of_no_code_that_is_known_says_nothing(index: DetectedIndex):
    odd = token_of(Trait.SYSTEM, "work farm") & ~63 | 60

    assert index.of(Described("nobody"), (odd,)) == ()
