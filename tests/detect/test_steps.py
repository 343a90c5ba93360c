"""A result depends on what was seen, when, and the key: on no order, no pace, no luck."""

import random
from collections.abc import Iterable

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.detect.detector import Detector
from proxy.detect.options import DetectorOptions
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
    Run,
    S,
    Seen,
    campaign,
    drive,
    feed,
    honest,
    members,
    names,
    planted,
    run,
    traffic,
)


def told(detector: Detector) -> bytes:
    """All that a detector says, as bytes."""
    return msgspec.json.encode([detector.clusters(), detector.events()])


def small_world() -> list[list[Seen]]:
    """Steps of sightings: 324 accounts, of which 24 are one hand's."""
    actors = [*honest(300, seed=4), *campaign("farm", 24)]
    step_s = OPTIONS.step_s
    return [traffic(actors, at_s, at_s + step_s) for at_s in range(START, START + DAY, step_s)]


WORLD = small_world()


def through(steps: Iterable[list[Seen]], key: bytes = KEY) -> Detector:
    detector = Detector(key, OPTIONS)
    for number, seen in enumerate(steps):
        feed(detector, seen)
        detector.advance((START + (number + 1) * OPTIONS.step_s + 5) * S)
    return detector


IN_ORDER = told(through(WORLD))


def test_the_small_world_has_something_to_say():
    """Or the properties below would hold of nothing."""
    (cluster,) = through(WORLD).clusters()

    assert members(cluster) == names(campaign("farm", 24))


@settings(max_examples=5, deadline=None)
@given(st.integers())
def test_the_order_of_sightings_within_a_step_does_not_matter(seed: int):
    rng = random.Random(seed)

    assert told(through([rng.sample(seen, len(seen)) for seen in WORLD])) == IN_ORDER


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 400), st.integers(0, 2 * HOUR))
def test_how_often_the_detector_is_advanced_does_not_matter(every: int, behind_s: int):
    detector = Detector(KEY, OPTIONS)
    for number, (who, sighting, sketch) in enumerate(one for seen in WORLD for one in seen):
        if number % every == 0:
            detector.advance(sighting.at_ns - behind_s * S)
        detector.observe(who, sighting, sketch)
    detector.advance((START + DAY + 5) * S)

    assert told(detector) == IN_ORDER


def test_a_day_taken_in_at_once_gives_the_same_as_step_by_step():
    detector = Detector(KEY, OPTIONS)
    for seen in WORLD:
        feed(detector, seen)
    detector.advance((START + DAY + 5) * S)

    assert told(detector) == IN_ORDER


def test_of_two_descriptions_in_one_step_the_later_ones_counts_in_whatever_order():
    said = []
    for swapped in (False, True):
        detector = Detector(KEY, OPTIONS)
        seen = [one for step in WORLD for one in step]
        who, sighting, _ = seen[0]
        other = msgspec.structs.replace(who, tier="enterprise", links=())
        again = other, msgspec.structs.replace(sighting, position=10**15), ()
        feed(detector, [again, *seen] if swapped else [*seen, again])
        detector.advance((START + DAY + 5) * S)
        said.append((told(detector), detector.save()))

    assert said[0][0] == said[1][0]


def test_a_step_takes_effect_after_the_delay_and_not_before():
    detector = Detector(KEY, OPTIONS)
    feed(detector, WORLD[0])
    ends_s = START + OPTIONS.step_s

    assert detector.advance((ends_s + 4) * S).version == "0"
    assert detector.advance((ends_s + 5) * S).version != "0"


def test_an_index_does_not_change_between_steps_nor_after_it_was_handed_out():
    world = planted()
    index, before = world.index, packed(world.index)

    assert world.detector.advance((world.to_s + HOUR) * S) is index
    world.go_on(days=0.5)
    assert world.index is not index
    assert packed(index) == before


def test_the_same_key_gives_the_same_clusters_and_events_to_the_byte():
    assert told(through(WORLD)) == told(through(WORLD))


def test_another_key_gives_other_names_and_on_clear_input_the_same_members():
    mine, other = through(WORLD), through(WORLD, b"other" * 6)

    assert [members(one) for one in mine.clusters()] == [members(one) for one in other.clusters()]
    assert {one.cluster.id for one in mine.clusters()}.isdisjoint(
        one.cluster.id for one in other.clusters()
    )


def test_another_key_gives_other_bars():
    """What somebody learned of one gateway's bars says nothing of another's."""
    bars = {
        signature.bar
        for key in (KEY, b"other" * 6, b"third" * 6)
        for signature in drive(
            Detector(key, OPTIONS), [*honest(200), *campaign("farm")], START, START + DAY // 2
        ).signatures
    }

    assert len(bars) == 3


def test_events_told_once_are_not_told_again():
    world = planted()

    assert world.detector.events() != []
    assert world.detector.events() == []


def test_one_sighting_from_the_past_changes_nothing_for_the_others():
    """A clock that was wrong, a record that came late: it counts as seen now."""
    late = Sighting(10**15, 5 * S, "late", (token_of(Trait.SYSTEM, "x"),), served=True)
    world = run(honest(), campaign("farm"), days=1)
    world.detector.observe(Described("late"), late)

    world.go_on(days=1)

    assert [members(one) for one in world.sure] == [names(campaign("farm"))]
    assert world.index.ordinary == Run(planted().detector, [], world.to_s).index.ordinary


def test_a_detector_that_saw_nothing_says_nothing():
    detector = Detector(KEY, DetectorOptions())

    index = detector.advance(START * S)

    assert index.of(Described("a"), ()) == ()
    assert (detector.clusters(), detector.events(), dict(index.ordinary)) == ([], [], {})
