"""Memory and time stay bounded, whatever comes: floods, crowds, odd values."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from proxy.detect.detector import Detector
from proxy.gateway.detecting.chunks import packed
from proxy.model.sighting import Described, Sighting
from proxy.model.trait import Trait
from tests.detect.conftest import token_of
from tests.detect.world import (
    DAY,
    HOUR,
    KEY,
    OPTIONS,
    START,
    S,
    campaign,
    drive,
    feed,
    honest,
    link,
    members,
    names,
    traffic,
)

DORMANT_BYTES, ACTIVE_BYTES = 200, 2_000


def pair_bytes(detector: Detector) -> int:
    return sum(column.nbytes for column in detector._pairs.all())


def account_bytes(detector: Detector) -> int:
    """Of the columns in use; the name of an account comes on top, as text, twice referred to."""
    accounts = detector._accounts
    return sum(accounts[name].nbytes for name in accounts._columns)


def first_bytes(detector: Detector) -> int:
    firsts = detector._pairs.firsts
    return firsts.token.nbytes + firsts.account.nbytes


def one_off(number: int, links: bool = True) -> Described:
    """An account that is seen once, of its own card, address and mail domain."""
    name = f"one-off-{number}"
    kinds = ("payment", "email_domain", "signup_ip", "signup_ip/24", "referrer")
    return Described(name, tuple(link(kind, name) for kind in kinds) if links else ())


def flood(detector: Detector, numbers: range, at_s: int, tokens: int = 12) -> None:
    """Accounts that are seen once each, with traits that nobody else has."""
    rng = np.random.default_rng(numbers.start)
    drawn = rng.integers(1 << 63, size=(len(numbers), tokens), dtype=np.uint64)
    codes = np.resize(np.array([1, 2, 8, 16, 18, 19, 20, 21, 22], np.uint64), tokens)
    shown = ((drawn & ~np.uint64(63)) | codes).tolist()
    for number, alone in zip(numbers, shown, strict=True):
        who = one_off(number, links=number % 4 == 0)
        detector.observe(
            who, Sighting(at_s * 1000 + number, at_s * S, who.account, tuple(alone), served=True)
        )


def flooded(count: int, **options: int) -> Iterator[Detector]:
    """A day with a small campaign and `count` one-off accounts in each quarter of it."""
    detector = Detector(KEY, replace(OPTIONS, **options))
    actors = [*honest(), *campaign("farm")]
    for quarter in range(4):
        at_s = START + quarter * OPTIONS.step_s
        feed(detector, traffic(actors, at_s, at_s + OPTIONS.step_s))
        flood(detector, range(quarter * count, (quarter + 1) * count), at_s)
        detector.advance((at_s + OPTIONS.step_s + 5) * S)
        yield detector


def found(detector: Detector) -> list[set[str]]:
    return [members(one) for one in detector.clusters() if one.cluster.score >= 0.9]


def test_a_small_campaign_is_found_in_a_flood_of_one_off_accounts():
    *_, detector = flooded(6_000)

    assert found(detector) == [names(campaign("farm"))]


def test_one_off_accounts_take_their_columns_and_links_and_no_other_memory():
    detectors = flooded(6_000)
    next(detectors)
    detector = next(detectors)
    pairs = detector._pairs.all().size
    firsts = first_bytes(detector)

    detector = next(detectors)

    assert first_bytes(detector) == firsts
    # A quarter of them have five links; what the 440 others show anew is the rest.
    assert detector._pairs.all().size - pairs < 6_000 / 4 * 5 + 8_000


def test_no_more_pairs_than_allowed_are_kept_and_the_campaign_is_still_found():
    for detector in flooded(6_000, max_pairs=25_000):
        assert detector._pairs.all().size <= 25_000

    assert found(detector) == [names(campaign("farm"))]


def test_no_more_accounts_than_allowed_are_kept_and_the_campaign_is_still_found():
    for detector in flooded(3_000, max_accounts=2_000):
        assert len(detector._accounts) <= 2_000

    assert found(detector) == [names(campaign("farm"))]


def test_a_dormant_account_takes_at_most_two_hundred_bytes():
    """Measured: 74 in columns, 21 for each link (5 here): 179. Its name is on top."""
    detector = Detector(KEY, OPTIONS)
    count = 4_000
    for number in range(count):
        who = one_off(number)
        token = token_of(Trait.SYSTEM, who.account)
        detector.observe(who, Sighting(number, START * S, who.account, (token,), served=True))
    detector.advance((START + OPTIONS.step_s + 5) * S)

    measured = (account_bytes(detector) + pair_bytes(detector)) / count

    assert 0 < measured <= DORMANT_BYTES


def test_an_active_account_takes_at_most_two_kilobytes():
    detector = Detector(KEY, OPTIONS)
    busy = [replace(actor, per_day=60.0) for actor in honest(200)]
    drive(detector, busy, START, START + 2 * DAY)

    measured = (account_bytes(detector) + pair_bytes(detector)) / len(busy)

    assert 0 < measured <= ACTIVE_BYTES


def test_what_was_not_seen_for_the_horizon_is_forgotten():
    detector = Detector(KEY, replace(OPTIONS, horizon_s=2 * DAY))
    drive(detector, honest(100), START, START + DAY)
    held = detector._pairs.all().size

    drive(detector, honest(30, seed=9, prefix="later"), START + 4 * DAY, START + 5 * DAY)

    # But for what living accounts show too, of which the table of firsts remembers who was first.
    pairs = detector._pairs.all()
    old = np.array([name.startswith("h") for name in detector._accounts.names])[pairs.account]
    assert held > 0
    assert np.isin(pairs.token[old], pairs.token[~old]).all()
    assert old.sum() < held / 20


def test_thousands_of_accounts_in_one_cluster_are_one_cluster_and_a_bounded_index():
    crowd = [replace(actor, per_day=2.0) for actor in campaign("farm", 3_000, cards_of=20)]
    detector = Detector(KEY, OPTIONS)

    index = drive(detector, [*honest(800), *crowd], START, START + DAY)

    largest = max(detector.clusters(), key=lambda one: one.cluster.accounts)
    assert members(largest) <= names(crowd)
    assert largest.cluster.accounts > 2_000
    assert len(packed(index)) < 1_000 * largest.cluster.accounts
    assert sum(len(one.why) for one in largest.evidence) < 2_000


ODD: dict[str, tuple[int, ...]] = {
    "none": (),
    "zero": (0,),
    "most": (2**64 - 1,),
    "every code": tuple(range(64)),
    "every code, high": tuple(2**64 - 1 - code for code in range(64)),
    "the same many times": (token_of(Trait.SYSTEM, "x"),) * 500,
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_tokens_shared_by_many_join_nobody_and_break_nothing(odd: str):
    detector = Detector(KEY, OPTIONS)
    actors = [*honest(200), *campaign("farm")]
    position = 10**15
    for at_s in range(START, START + DAY, OPTIONS.step_s):
        seen = [
            (who, _with(sighting, ODD[odd]) if who.account.startswith("h") else sighting, sketch)
            for who, sighting, sketch in traffic(actors, at_s, at_s + OPTIONS.step_s)
        ]
        feed(detector, seen)
        position += 1
        detector.observe(
            Described(""), Sighting(position, at_s * S, "", ODD[odd], served=False), ODD[odd]
        )
        index = detector.advance((at_s + OPTIONS.step_s + 5) * S)

    assert found(detector) == [names(campaign("farm"))]
    assert index.of(Described(""), ODD[odd]) == ()


def _with(sighting: Sighting, tokens: tuple[int, ...]) -> Sighting:
    return Sighting(
        sighting.position,
        sighting.at_ns,
        sighting.account,
        (*sighting.tokens, *tokens),
        served=True,
    )


@pytest.mark.parametrize("count", [1, 2, 5, 60])
def test_accounts_that_show_nothing_at_all_are_counted_and_in_nothing(count: int):
    detector = Detector(KEY, OPTIONS)
    for number in range(count):
        who = Described(f"a{number}")
        detector.observe(who, Sighting(number, START * S, who.account, (), served=True))

    index = detector.advance((START + OPTIONS.step_s + 5) * S)

    assert detector.clusters() == []
    assert index.of(Described("a0"), ()) == ()
    assert len(detector._accounts) == count


@pytest.mark.parametrize("at_s", [-5, 0, START - 400 * DAY])
def test_sightings_from_the_past_are_taken_in_with_the_next_step(at_s: int):
    detector = Detector(KEY, OPTIONS)
    drive(detector, honest(100), START, START + DAY)
    who = honest(1, seed=7, prefix="late")[0].described
    detector.observe(who, Sighting(10**15, at_s * S, who.account, (1 << 8 | 16,), served=True))

    drive(detector, honest(100), START + DAY, START + DAY + 6 * HOUR)

    row = detector._accounts.row[who.account]
    assert detector._accounts["last"][row] == (START + DAY) // HOUR


def test_requests_beyond_any_count_are_taken_in():
    detector = Detector(KEY, OPTIONS)
    for number, requests in enumerate((2**32, 2**63)):
        detector.observe(
            Described("a"),
            Sighting(number, START * S, "a", (1 << 8 | 16,), served=True, requests=requests),
        )

    detector.advance((START + OPTIONS.step_s + 5) * S)

    assert detector._accounts["total"][0] > 0
