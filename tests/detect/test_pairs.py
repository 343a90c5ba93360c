"""Pairs of traits and accounts: each once, counted, and bounded."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from proxy.detect.pairs import Firsts, Pairs, Rows, has, joined, no_rows, summed
from proxy.detect.saved import packed, unpacked

Pair = tuple[int, int]
PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=40)
# The high bit is no sign; no two are in one slot.
TOKENS = [7, 64 + 7, 2**63 + 320 + 7, 2**64 - 1, 128 + 7, 192 + 7]


def rows(pairs: list[Pair], last: int = 0, times: int = 1) -> Rows:
    """Pairs of (token, account)."""
    return Rows(
        np.array([token for token, _ in pairs], np.uint64),
        np.array([account for _, account in pairs], np.uint32),
        np.array([token & 63 for token, _ in pairs], np.uint8),
        np.full(len(pairs), times, np.uint32),
        np.full(len(pairs), last, np.uint32),
    )


def counted(found: Rows) -> dict[Pair, int]:
    return {
        (token, account): times
        for token, account, times in zip(
            found.token.tolist(), found.account.tolist(), found.times.tolist(), strict=True
        )
    }


def named(pairs: list[Pair]) -> list[Pair]:
    return [(TOKENS[token], account) for token, account in pairs]


@given(PAIRS)
def test_summing_gives_each_pair_once_sorted_with_how_often_it_was_there(pairs: list[Pair]):
    pairs = named(pairs)

    found = summed(rows(pairs))

    assert counted(found) == Counter(pairs)
    assert list(counted(found)) == sorted(set(pairs))


@given(PAIRS, PAIRS)
def test_joining_adds_counts_and_keeps_the_later_time(left: list[Pair], right: list[Pair]):
    found = joined(summed(rows(named(left), last=3)), summed(rows(named(right), last=9)))

    assert counted(found) == Counter(named(left)) + Counter(named(right))
    later = {
        pair for pair, last in zip(counted(found), found.last.tolist(), strict=True) if last == 9
    }
    assert later == set(named(right))


@given(PAIRS, PAIRS)
def test_it_says_of_each_token_whether_a_column_has_it(left: list[Pair], right: list[Pair]):
    column = summed(rows(named(left))).token
    asked = [token for token, _ in named(right)]

    said = has(np.array(asked, np.uint64), column)

    assert said.tolist() == [token in set(column.tolist()) for token in asked]


@given(st.lists(PAIRS, max_size=6))
def test_pairs_are_kept_from_the_second_account_of_a_token_on_with_the_first(
    steps: list[list[Pair]],
):
    pairs = Pairs(1 << 12)
    for step in steps:
        pairs.add(rows(named(step)))

    everything = [pair for step in steps for pair in named(step)]
    accounts = {token: {a for t, a in everything if t == token} for token in TOKENS}
    wanted = {pair for pair in everything if len(accounts[pair[0]]) > 1}
    assert counted(pairs.all()).keys() == wanted


def test_a_slot_remembers_one_token_and_the_last_one_wins():
    firsts = Firsts(1)
    firsts.take(rows([(64 + 7, 1)]))
    firsts.take(rows([(128 + 7, 2)]))

    assert firsts.take(rows([(64 + 7, 3)])).size == 0
    assert counted(firsts.take(rows([(64 + 7, 4)]))) == {(64 + 7, 3): 1, (64 + 7, 4): 1}


def test_a_flood_of_tokens_that_nobody_shares_takes_no_memory():
    pairs = Pairs(1 << 10)
    before = pairs.firsts.token.nbytes + pairs.firsts.account.nbytes
    rng = np.random.default_rng(1)
    for number in range(50):
        tokens = rng.integers(1 << 63, size=2_000, dtype=np.uint64)
        pairs.add(rows([(int(token), number) for token in tokens]))

    assert pairs.all().size == 0
    assert pairs.firsts.token.nbytes + pairs.firsts.account.nbytes == before


def test_what_the_directory_says_is_kept_from_its_first_account_on():
    pairs = Pairs(1 << 10)
    pairs.keep(rows([(TOKENS[2], 1)], times=0))

    assert counted(pairs.all()) == {(TOKENS[2], 1): 0}


def test_pairs_that_nobody_showed_for_long_are_forgotten():
    pairs = Pairs(1 << 10)
    pairs.add(rows([(7, 0), (7, 1)], last=5))
    pairs.add(rows([(71, 0), (71, 1)], last=8))

    pairs.forget(before_hour=6, most=100, last=np.array([9, 9], np.uint32))

    assert set(counted(pairs.all())) == {(71, 0), (71, 1)}


def test_what_the_directory_says_is_forgotten_with_its_account():
    pairs = Pairs(1 << 10)
    pairs.keep(rows([(7, 0), (7, 1)], last=1, times=0))

    pairs.forget(before_hour=6, most=100, last=np.array([9, 2], np.uint32))

    assert set(counted(pairs.all())) == {(7, 0)}


def test_above_the_bound_what_one_account_alone_has_goes_first_however_new():
    pairs = Pairs(1 << 10)
    pairs.keep(rows([(7, 0), (7, 1)], last=1, times=0))
    pairs.keep(rows([(64 * n + 7, 1 + n) for n in range(1, 50)], last=8, times=0))

    pairs.forget(before_hour=0, most=10, last=np.full(60, 8, np.uint32))

    kept = set(counted(pairs.all()))
    assert len(kept) == 10
    assert {(7, 0), (7, 1)} <= kept


def test_above_the_bound_the_oldest_and_rarest_pairs_go_first():
    pairs = Pairs(1 << 10)
    often = [(7, 0), (7, 1)]
    for _ in range(5):
        pairs.add(rows(often, last=8))
    pairs.add(rows([(71, 0), (71, 1)], last=8))
    pairs.add(rows([(135, 0), (135, 1)], last=3))

    pairs.forget(before_hour=0, most=3, last=np.zeros(2, np.uint32))

    kept = set(counted(pairs.all()))
    assert len(kept) == 3
    assert set(often) <= kept
    assert not kept & {(135, 0), (135, 1)}


@given(PAIRS)
def test_saved_and_loaded_pairs_are_the_same_and_go_on_alike(pairs: list[Pair]):
    one, other = Pairs(1 << 10), Pairs(1 << 10)
    one.add(rows(named(pairs[::2])))
    from_saved = _through_bytes(one)
    for kept in (one, from_saved):
        kept.add(rows(named(pairs[1::2])))
    other.add(rows(named(pairs[::2])))
    other.add(rows(named(pairs[1::2])))

    assert counted(one.all()) == counted(from_saved.all()) == counted(other.all())


def _through_bytes(pairs: Pairs) -> Pairs:
    loaded = Pairs(1 << 10)
    loaded.load(unpacked(packed({"pairs": pairs.saved()}))["pairs"])
    return loaded


def test_nothing_at_all_is_taken_in_as_nothing():
    pairs = Pairs(1 << 10)
    pairs.add(no_rows())
    pairs.forget(before_hour=5, most=0, last=np.zeros(0, np.uint32))

    assert pairs.all().size == 0
