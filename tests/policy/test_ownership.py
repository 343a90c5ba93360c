import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.facts.owners import MAX_DEPTH, MAX_OWNERS, ways_to
from proxy.model.account import Owner
from proxy.policy.ownership import OwnersError, controlled_share, owned_share

XX = {"KP"}


def ways(*owners: Owner) -> tuple[str, ...]:
    flat = ways_to(owners)
    assert flat is not None
    return flat


def chain(*shares: float) -> Owner:
    """An owner in SG of an owner in SG …, the last of them in KP."""
    *first, last = shares
    owner = Owner("last", last, "KP")
    for share in reversed(first):
        owner = Owner("o", share, "SG", (owner,))
    return owner


@pytest.mark.parametrize(
    ("share", "half"), [(0.49, False), (0.5, True), (0.51, True), (0.0, False), (1.0, True)]
)
def test_a_direct_owner_counts_with_its_share(share: float, half: bool):
    flat = ways(Owner("a", share, "KP"), Owner("b", 1 - share, "SG"))
    assert owned_share(flat, XX) == share
    assert controlled_share(flat, XX) == share
    assert (controlled_share(flat, XX) >= 0.5) is half


@pytest.mark.parametrize(
    ("shares", "owned", "controlled"),
    [
        ((0.6, 0.6), 0.36, 0.6),
        ((0.6, 0.5), 0.3, 0.6),
        ((0.6, 0.49), 0.294, 0.0),
        ((0.4, 1.0), 0.4, 0.4),
        ((0.6, 0.6, 0.6), 0.216, 0.6),
        ((0.6, 0.4, 1.0), 0.24, 0.0),  # the second holds 40 % of the first: not controlled
        ((0.9, 0.9, 0.4), 0.324, 0.0),
    ],
)
def test_a_chain_multiplies_ownership_and_passes_control_on_whole(
    shares: tuple[float, ...], owned: float, controlled: float
):
    flat = ways(chain(*shares))
    assert owned_share(flat, XX) == pytest.approx(owned, abs=1e-12)
    assert controlled_share(flat, XX) == controlled


def test_shares_are_summed_as_decimals_so_that_a_tenth_and_four_tenths_are_half():
    flat = ways(Owner("a", 0.1, "KP"), Owner("b", 0.4, "KP"))
    assert owned_share(flat, XX) == 0.5
    flat = ways(*(Owner("a", 0.1, "KP") for _ in range(3)))
    assert owned_share(flat, XX) == 0.3  # where floats give 0.30000000000000004


def test_several_small_owners_together_control_one_that_stands_between():
    middle = Owner("m", 0.7, "SG", (Owner("a", 0.25, "KP"), Owner("b", 0.25, "KP")))
    assert controlled_share(ways(middle), XX) == 0.7
    assert owned_share(ways(middle), XX) == 0.35


def test_one_owner_behind_two_holders_counts_through_both():
    def holder() -> Owner:
        return Owner("h", 0.5, "SG", (Owner("top", 0.5, "KP"),))

    assert owned_share(ways(holder(), holder()), XX) == 0.5
    assert controlled_share(ways(holder(), holder()), XX) == 1.0


def test_siblings_that_are_alike_keep_their_own_owners():
    flat = ways(Owner("a", 0.5, "SG"), Owner("b", 0.5, "SG", (Owner("c", 1.0, "KP"),)))
    assert flat == ("0.5:SG", "0.5:SG", "0.5:SG/1.0:KP")
    assert owned_share(flat, XX) == 0.5


def test_what_an_owner_in_the_countries_is_owned_by_does_not_count_again():
    flat = ways(Owner("a", 0.6, "KP", (Owner("b", 0.9, "KP"),)))
    assert owned_share(flat, XX) == 0.6


def test_an_owner_of_unknown_country_counts_only_where_that_is_asked_for():
    flat = ways(Owner("a", 0.6, None), Owner("b", 0.2, "KP"), Owner("c", 0.1, "n/a"))
    assert flat == ("0.6:?", "0.2:KP", "0.1:?")
    assert owned_share(flat, XX) == 0.2
    assert owned_share(flat, {"KP", "?"}) == 0.9


def test_owners_who_are_said_to_hold_more_than_there_is_hold_all_of_it():
    middle = Owner("m", 0.4, "SG", (Owner("a", 1.0, "KP"), Owner("b", 1.0, "KP")))
    assert owned_share(ways(middle), XX) == 0.4
    assert controlled_share(ways(middle, Owner("c", 0.9, "KP")), XX) == 1.0


def test_no_owner_is_no_share():
    assert owned_share((), XX) == controlled_share((), XX) == 0.0


@pytest.mark.parametrize(
    "damaged",
    [
        ("",),
        ("0.6",),
        ("0.6:SG:KP",),
        ("1.1:SG",),
        ("-0.1:SG",),
        ("nan:SG",),
        ("1e999:SG",),
        ("1/2:SG",),
        ("0.6:sg",),
        ("0.6:SG/0.9:KP",),  # its holder is not there
        ("0.6:SG", "0.5:SG/0.9:KP"),
        ("0.6:SG", "0.6:SG//0.9:KP"),
        ("/".join(["1:SG"] * n) for n in range(1, 60)),
    ],
)
def test_damaged_ways_are_an_error_that_repeats_none_of_them(damaged: tuple[str, ...]):
    with pytest.raises(OwnersError) as raised:
        owned_share(damaged, XX)
    assert "SG" not in str(raised.value)


def test_a_tree_too_deep_or_too_large_to_follow_is_not_known_rather_than_cut():
    deep = Owner("o", 1.0, "SG")
    for _ in range(MAX_DEPTH - 1):
        deep = Owner("o", 1.0, "SG", (deep,))
    flat = ways_to((deep,))
    assert flat is not None
    assert owned_share(flat, {"SG"}) == 1.0
    assert ways_to((Owner("o", 1.0, "SG", (deep,)),)) is None
    assert ways_to((Owner("o", 0.0, "SG"),) * MAX_OWNERS) is not None
    assert ways_to((Owner("o", 0.0, "SG"),) * (MAX_OWNERS + 1)) is None


SHARES = st.floats(0, 1, allow_nan=False)
COUNTRIES = st.sampled_from(["KP", "SG", "US", None])
TREES = st.recursive(
    st.builds(Owner, st.just("o"), SHARES, COUNTRIES),
    lambda inner: st.builds(
        Owner, st.just("o"), SHARES, COUNTRIES, st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.lists(TREES, max_size=3))
def test_any_tree_can_be_flattened_and_read(trees: list[Owner]):
    flat = ways(*trees)
    everyone = {"KP", "SG", "US", "?"}
    direct = min(sum(tree.share for tree in trees), 1.0)
    assert owned_share(flat, everyone) == pytest.approx(direct)
    assert controlled_share(flat, everyone) == pytest.approx(direct)
    assert owned_share(flat, ()) == controlled_share(flat, ()) == 0
    assert 0 <= owned_share(flat, XX) <= owned_share(flat, {"KP", "SG"})
    assert controlled_share(flat, XX) <= controlled_share(flat, {"KP", "SG"})
