"""When a shared store is no longer asked, and when it is tried again. Time comes with each call.

While closed, every exchange asks. What opens it are failures of which the later ones were asked
after the earlier ones had failed: a blip that hits many calls at once is one event, not many. While
open, nobody asks; a probe beside the traffic closes it. A short-lived mistake costs more here than
a slow one: each call that fails has waited for the time-out only, but an open breaker puts every
limit on shares.
"""

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What opens a breaker, and how probes are spaced.

    It opens after `consecutive` failures that span `span_s`; or when `rate` of at least `of` calls
    in the last one to two spans of `recent_s` failed. Probes come after `probe_s`, then twice as
    long each time up to `probe_at_most_s`, each shortened at random by up to half.
    """

    consecutive: int = 5
    span_s: float = 0.03
    rate: float = 0.5
    of: int = 50
    recent_s: float = 5.0
    probe_s: float = 0.2
    probe_at_most_s: float = 1.0


class Breaker:
    """Closed or open, since when, and how often it has opened."""

    def __init__(self, tolerance: Tolerance | None = None, at_s: float = 0.0) -> None:
        self.open = False
        self.since_s = at_s
        self.opened = 0
        self.heard_s = -inf  # when a call was answered last
        self._tolerance = tolerance or Tolerance()
        self._streak = 0
        self._streak_from_s = 0.0
        self._recent = _Recent(self._tolerance.recent_s)
        self._probes = 0

    def succeeded(self, at_s: float) -> None:
        """A call was answered; one that was on its way when the breaker opened says nothing."""
        if not self.open:
            self.heard_s = at_s
            self._streak = 0
            self._recent.add(at_s, 0)

    def failed(self, at_s: float) -> bool:
        """A call was not answered. Whether that opened the breaker."""
        if self.open:
            return False
        if not self._streak:
            self._streak_from_s = at_s
        self._streak += 1
        self._recent.add(at_s, 1)
        return (self._dead(at_s) or self._failing()) and self.trip(at_s)

    def trip(self, at_s: float) -> bool:
        """Open it, whatever was counted. Whether it was closed."""
        if self.open:
            return False
        self.open, self.since_s, self._probes = True, at_s, 0
        self.opened += 1
        return True

    def close(self, at_s: float) -> None:
        """A probe was answered: everybody asks again, and earlier failures are forgotten."""
        self.open, self.since_s, self._streak = False, at_s, 0
        self._recent = _Recent(self._tolerance.recent_s)

    def probe_in_s(self, draw: float) -> float:
        """How long to wait before the next probe; `draw` is a random number from 0 to 1."""
        told = self._tolerance
        wait_s = min(told.probe_at_most_s, told.probe_s * (1 << min(self._probes, 16)))
        self._probes += 1
        return wait_s * (1 - draw / 2)

    def _dead(self, at_s: float) -> bool:
        told = self._tolerance
        return self._streak >= told.consecutive and at_s - self._streak_from_s >= told.span_s

    def _failing(self) -> bool:
        told, recent = self._tolerance, self._recent
        return recent.calls >= told.of and recent.failures >= told.rate * recent.calls


class _Recent:
    """Calls and failures of the last one to two spans of time."""

    def __init__(self, span_s: float) -> None:
        self._span_s = span_s
        self._turns_s = 0.0
        self._now = self._before = (0, 0)

    @property
    def calls(self) -> int:
        return self._now[0] + self._before[0]

    @property
    def failures(self) -> int:
        return self._now[1] + self._before[1]

    def add(self, at_s: float, failures: int) -> None:
        if at_s >= self._turns_s:
            fresh = at_s >= self._turns_s + self._span_s
            self._before, self._now = ((0, 0) if fresh else self._now), (0, 0)
            self._turns_s = at_s + self._span_s
        self._now = (self._now[0] + 1, self._now[1] + failures)
