"""The picture: readable, and of a bounded size, for ten accounts and for very many."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping

import msgspec
import pytest

from proxy.investigate.found import Found
from proxy.investigate.groups import MOST_GROUPS, MOST_TRAITS, grouped
from proxy.investigate.picture import picture
from proxy.model.cluster import Cluster, Evidence
from tests.investigate.made import names

MOST_BYTES = 60_000


def found(
    accounts: tuple[str, ...], traits: Mapping[str, tuple[str, ...]], *, told: bool = True
) -> Found:
    evidence = tuple(
        Evidence("prompt" if number % 2 else "client", trait, len(who), 50.0, "")
        for number, (trait, who) in enumerate(traits.items())
    )
    members = tuple((name, 1.0) for name in accounts)
    return Found(
        Cluster("c-1", accounts=len(accounts)), members, evidence, shows=traits if told else {}
    )


def mixed(count: int, traits: int = 10) -> Found:
    """Account n shows trait t where n has bit t: as many mixes as can be."""
    accounts = names(0, count)
    shows = {
        f"t{bit}": tuple(name for n, name in enumerate(accounts) if n >> bit & 1)
        for bit in range(traits)
    }
    return found(accounts, shows)


def texts(drawn: str) -> list[str]:
    return [str(one.text) for one in ET.fromstring(drawn).iter() if one.tag.endswith("text")]


def test_accounts_that_show_the_same_are_one_bar():
    accounts = names(0, 1000)
    drawn = grouped(found(accounts, {"system": accounts, "ja4": accounts[:300]}))
    assert [(group.accounts, group.shows) for group in drawn.groups] == [
        (700, ((0, 700),)),
        (300, ((0, 300), (1, 300))),
    ]


def test_few_accounts_are_drawn_one_by_one():
    said = texts(picture(mixed(10)))
    assert {f"acct-{n:04d}" for n in range(10)} <= set(said)


@pytest.mark.parametrize("count", [0, 1, 25_000])
def test_a_picture_of_any_size_is_bounded_and_counts_everybody(count: int):
    one = mixed(count)
    drawn = picture(one)
    assert len(drawn) < MOST_BYTES
    assert f"Cluster c-1: {count:,} accounts" in texts(drawn)[0]
    groups = grouped(one).groups
    assert sum(group.accounts for group in groups) == count
    assert len(groups) <= max(MOST_GROUPS, 12) + 1


def test_rarer_mixes_are_drawn_together_and_said_so():
    drawn = picture(mixed(25_000))
    assert any("other mixes of traits" in said for said in texts(drawn))
    assert "Pale: rarer mixes of traits, drawn together." in drawn


def test_without_knowing_who_shows_what_the_counts_are_drawn():
    accounts = names(0, 400)
    drawn = picture(found(accounts, {"system": accounts, "ja4": accounts[:300]}, told=False))
    assert "300 of 400 (75%), against 1 in 67 of everyone" in texts(drawn)
    assert "only the counts are drawn" in drawn


def test_the_weakest_of_many_traits_are_left_out_and_counted():
    accounts = names(0, 200)
    many = {f"t{number}": accounts[: number + 1] for number in range(MOST_TRAITS + 3)}
    drawn = picture(found(accounts, many))
    assert "3 weaker traits are left out." in drawn
    assert "t0" not in texts(drawn)


def test_names_cannot_write_markup_or_control_characters():
    rude = ("<script>alert(1)</script>", "b\x00\x1b&")
    drawn = picture(found(rude, {"ja4": rude[:1]}))
    root = ET.fromstring(drawn)
    assert not [one for one in root.iter() if one.tag.endswith("script")]
    assert "b??&" in texts(drawn)
    named = msgspec.structs.replace(found(rude, {"j\x1ba4": rude}), cluster=Cluster("c\x00-1"))
    assert "Cluster c?-1: 2 accounts" in texts(picture(named))[0]


def test_it_loads_nothing_and_is_told_in_words():
    drawn = picture(mixed(50))
    assert drawn.count("http") == 1  # the name space
    assert 'role="img"' in drawn
    described = ET.fromstring(drawn).find("{*}desc")
    assert described is not None
    assert "client: t0, 25 of 50 accounts" in str(described.text)
