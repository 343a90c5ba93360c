"""When an account sends: rates by window of the day or fortnight, and bursts between arrivals.

A `Profile` is the shape of one real (or invented) client: how its rate moves through a period, and
how irregular its arrivals are. A `Pace` is one account's walk through a profile, scaled to its own
mean rate: arrivals are Weibull renewals in operational time, mapped back through the cumulated
rate. Its state is one number, whatever the length of the traffic.
"""

import math
from array import array
from bisect import bisect_right
from dataclasses import dataclass

from bench.campaigns.draw import Draw

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Profile:
    """The shape of one client. `mass` is the cumulated share of the period's requests at the end
    of each window (its last value is 1), `weight` the client's share of its pool's requests."""

    name: str
    window_s: float
    mass: "array[float]"  # not subscriptable at run time before 3.12
    shape: float  # of the Weibull law; below 1 is bursty, above 1 regular
    weight: float

    @property
    def period_s(self) -> float:
        """Length of the profile, after which it repeats."""
        return self.window_s * len(self.mass)

    def mass_at(self, offset_s: float) -> float:
        """Share of the period's requests before `offset_s`."""
        at = min(int(offset_s // self.window_s), len(self.mass) - 1)
        within = offset_s - at * self.window_s
        below = self.mass[at - 1] if at else 0.0
        return below + (self.mass[at] - below) * within / self.window_s

    def offset_at(self, mass: float) -> float:
        """The time within the period by which the share `mass` was sent; inverts `mass_at`."""
        at = min(bisect_right(self.mass, mass), len(self.mass) - 1)
        below = self.mass[at - 1] if at else 0.0
        share = (mass - below) / (self.mass[at] - below) if self.mass[at] > below else 0.0
        return (at + min(max(share, 0.0), 1.0)) * self.window_s


def profile(name: str, window_s: float, rates: list[float], cv: float, weight: float) -> Profile:
    """A profile from the rate of each window and the coefficient of variation of the gaps."""
    total = math.fsum(rates)
    mass = array("d")
    so_far = 0.0
    for rate in rates:
        so_far += rate
        mass.append(so_far / total)
    mass[-1] = 1.0
    return Profile(name, window_s, mass, weibull_shape(cv), weight)


def weibull_shape(cv: float) -> float:
    """The shape whose coefficient of variation is `cv`, between 0.25 and 8, by bisection."""
    low, high = 0.25, 8.0
    for _ in range(40):
        middle = (low + high) / 2.0
        first = math.gamma(1.0 + 1.0 / middle)
        variation = math.sqrt(max(math.gamma(1.0 + 2.0 / middle) / first**2 - 1.0, 0.0))
        low, high = (middle, high) if variation > cv else (low, middle)
    return (low + high) / 2.0


class Pace:
    """One account's arrivals. `next_at(draw)` gives Unix seconds, later each time."""

    __slots__ = ("_origin_s", "_profile", "_total", "_worked")

    def __init__(
        self, shape: Profile, per_day: float, start_s: float, shift_s: float, draw: Draw
    ) -> None:
        """Start at `start_s` at the place of the profile that is `shift_s` after its beginning."""
        self._profile = shape
        self._total = per_day * shape.period_s / DAY_S  # requests in one period
        phase = shift_s % shape.period_s
        self._origin_s = start_s - phase
        self._worked = shape.mass_at(phase) * self._total
        self._worked += draw.residual(shape.shape)  # as if it had gone on for ever

    def next_at(self, draw: Draw) -> float:
        """The next arrival, in Unix seconds."""
        cycle, rest = divmod(self._worked, self._total)
        self._worked += draw.weibull(self._profile.shape)
        offset_s = self._profile.offset_at(rest / self._total)
        return self._origin_s + cycle * self._profile.period_s + offset_s


class Season:
    """A pace that ends at `until_s` and keeps quiet at week-ends, by local time.

    Of the arrivals on Saturdays and Sundays the share `weekend` is kept. `east_s` is the distance
    of the local clock from UTC, in seconds.
    """

    __slots__ = ("_east_s", "_pace", "_until_s", "_weekend")

    def __init__(
        self, pace: Pace, *, until_s: float = math.inf, weekend: float = 1.0, east_s: float = 0.0
    ) -> None:
        self._pace = pace
        self._until_s = until_s
        self._weekend = weekend
        self._east_s = east_s

    def next_at(self, draw: Draw) -> float:
        """The next arrival, in Unix seconds; infinity once the season is over."""
        while True:
            at_s = self._pace.next_at(draw)
            if at_s >= self._until_s:
                return math.inf
            if not is_weekend(at_s + self._east_s) or draw.chance(self._weekend):
                return at_s


def is_weekend(local_s: float) -> bool:
    """Whether a local time, in seconds since 1970, lies on a Saturday or Sunday."""
    return int(local_s // DAY_S + 3) % 7 >= 5  # 1 January 1970 was a Thursday
