"""What was saved goes on as if nothing had happened, or says why it does not."""

from dataclasses import replace
from itertools import pairwise

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.detect.detector import Detector
from proxy.detect.saved import packed, unpacked
from tests.detect.test_steps import IN_ORDER, WORLD, told
from tests.detect.world import (
    KEY,
    OPTIONS,
    START,
    S,
    Seen,
    campaign,
    feed,
    members,
    names,
    planted,
)

FLAT = [(number, one) for number, seen in enumerate(WORLD) for one in seen]


def reloaded(detector: Detector) -> Detector:
    other = Detector(KEY, OPTIONS)
    other.load(detector.save())
    return other


def go_on(detector: Detector, seen: list[tuple[int, Seen]]) -> None:
    """Steps from the middle of one on."""
    for number in range(len(WORLD)):
        feed(detector, [one for step, one in seen if step == number])
        detector.advance((START + (number + 1) * OPTIONS.step_s + 5) * S)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, len(FLAT)), max_size=2))
def test_saving_and_loading_at_any_moments_changes_nothing_later(moments: list[int]):
    detector = Detector(KEY, OPTIONS)
    cuts = [0, *sorted(moments), len(FLAT)]
    for begin, end in pairwise(cuts):
        detector = reloaded(detector)
        for number, one in FLAT[begin:end]:
            detector.advance((START + number * OPTIONS.step_s + 5) * S)
            feed(detector, [one])
    detector.advance((START + len(WORLD) * OPTIONS.step_s + 5) * S)

    assert told(reloaded(detector)) == IN_ORDER


def test_loading_says_the_same_at_once_and_looks_up_the_same():
    world = planted()
    other = reloaded(world.detector)

    assert other.clusters() == world.detector.clusters()
    index = other.advance((world.to_s + 5) * S)
    assert index.of(world.actors[-1].described, ()) == world.index.of(
        world.actors[-1].described, ()
    )
    assert index.ordinary == world.index.ordinary


def test_loading_twice_is_loading_once():
    world = planted()
    once = reloaded(world.detector)
    twice = reloaded(reloaded(world.detector))

    assert twice.clusters() == once.clusters()
    assert twice.save() == once.save()


def test_the_position_is_that_of_the_last_sighting():
    detector = Detector(KEY, OPTIONS)
    assert detector.position == -1

    feed(detector, WORLD[0])

    assert detector.position == max(one.position for _, one, _ in WORLD[0])
    assert reloaded(detector).position == detector.position


def test_what_a_saved_state_holds_is_ignored_when_it_comes_again():
    detector = Detector(KEY, OPTIONS)
    feed(detector, WORLD[0])
    feed(detector, WORLD[1][:50])
    other = reloaded(detector)

    for number in range(len(WORLD)):  # the log is read again from its beginning
        feed(other, WORLD[number])
        other.advance((START + (number + 1) * OPTIONS.step_s + 5) * S)

    assert told(other) == IN_ORDER


def test_events_that_nobody_asked_for_yet_are_saved():
    detector = planted().detector
    other = reloaded(detector)

    assert other.events() == detector.events() != []


def test_a_state_with_another_step_is_refused_and_says_both():
    other = Detector(KEY, replace(OPTIONS, step_s=600))

    with pytest.raises(ValueError, match="21600 s"):
        other.load(Detector(KEY, OPTIONS).save())


def test_a_state_of_another_version_is_refused():
    state = unpacked(Detector(KEY, OPTIONS).save())
    foreign = packed(state)
    assert unpacked(foreign)  # of this version it is read

    plain = msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(foreign))
    plain["format"] += 1
    foreign = zstandard.ZstdCompressor().compress(msgspec.msgpack.encode(plain))

    with pytest.raises(ValueError, match="another version; start from the log"):
        Detector(KEY, OPTIONS).load(foreign)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.99])
def test_half_a_state_is_refused_and_nothing_is_taken_over(part: float):
    state = planted().detector.save()
    detector = Detector(KEY, OPTIONS)

    with pytest.raises(ValueError, match="not a saved state"):
        detector.load(state[: int(part * len(state))])
    assert detector.clusters() == []
    assert detector.position == -1


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\x28\xb5\x2f\xfd", bytes(100)])
def test_anything_else_is_refused(data: bytes):
    with pytest.raises(ValueError, match="not a saved state"):
        Detector(KEY, OPTIONS).load(data)


def test_a_loaded_detector_goes_on_finding_the_same_accounts():
    world = planted()
    world.detector = reloaded(world.detector)

    world.go_on(days=1)

    assert [members(one) for one in world.sure] == [names(campaign("farm"))]


def test_no_name_but_the_accounts_own_is_in_a_state():
    """Values of links and prompts came as tokens and stay tokens; account names are needed."""
    plain = zstandard.ZstdDecompressor().decompress(planted().detector.save())

    assert b"farm-0001" in plain
    assert b"farm 0" not in plain
    assert KEY not in plain
