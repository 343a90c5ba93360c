"""Clocks that are wrong: what was stepped over is not looked at until its time comes."""

from proxy.gateway.detecting.clock import LASTING_NS, Clock
from proxy.gateway.detecting.engine import Engine
from proxy.gateway.detecting.messages import Seen
from proxy.model.sighting import Described, Sighting
from tests.gateway.detect_standin import Detector

S = 1_000_000_000
NOW = 1_776_816_000 * S
YEAR = 365 * 86_400 * S


def test_a_clock_that_jumps_ahead_is_followed_once_that_lasts():
    clock = Clock()
    assert clock.now_ns(NOW, 0) == NOW
    assert clock.now_ns(NOW + YEAR + S, S) == NOW + S
    assert clock.now_ns(NOW + YEAR + 9 * S, 9 * S) == NOW + 9 * S
    assert clock.now_ns(NOW + 10 * S, 10 * S) == NOW + 10 * S  # it was put right
    assert clock.now_ns(NOW + YEAR + 11 * S, 11 * S) == NOW + 11 * S
    lasting = 11 * S + LASTING_NS
    assert clock.now_ns(NOW + YEAR + lasting, lasting) == NOW + YEAR + lasting
    assert clock.now_ns(NOW + YEAR + lasting + S, lasting + S) == NOW + YEAR + lasting + S


def test_a_clock_that_runs_or_goes_back_is_followed_at_once():
    clock = Clock()
    times = [(NOW, 0), (NOW + 3_000 * S, 100 * S), (NOW - YEAR, 200 * S), (NOW - YEAR + S, 201 * S)]
    assert [clock.now_ns(wall, monotonic) for wall, monotonic in times] == [t for t, _ in times]


def test_a_sighting_from_the_future_does_not_take_the_detector_there():
    class Stepping(Detector):
        steps: list[int] = []  # noqa: RUF012 (of one test)

        def advance(self, now_ns):
            self.steps.append(now_ns)
            return super().advance(now_ns)

    engine = Engine(Stepping(), lambda prompt: (), None)
    engine.until_ns = NOW + S
    times = (NOW, NOW + YEAR, NOW + 2 * S)
    batch = [
        Seen(Described("acc-1"), Sighting(place, at_ns, "acc-1", (), True))
        for place, at_ns in enumerate(times, 1)
    ]
    engine.take("log", batch, paced=True)
    assert Stepping.steps == [NOW, NOW + S]
    assert engine.taken == 3
