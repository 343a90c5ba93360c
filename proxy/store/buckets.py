"""Buckets that refill steadily: the generic cell rate algorithm (ITU-T I.371, Annex A).

A bucket is one number, the theoretical arrival time: when it would be full again. What is used
puts it off by as long as that takes to come back. Times are whole microseconds and arithmetic is
that of doubles, as in the scripts of the Redis store, so that both always agree.
"""

from math import ceil

from proxy.model.plan import Charge, Reading
from proxy.store.generations import Generations

NS_PER_US = 1000
SLACK = 1e-6  # of a unit: less than this is an error of rounding


def used(full_us: int, at_us: int, charge: Charge) -> int:
    """How much of the bucket is used at a time, in units, rounded up."""
    left_us = full_us - at_us
    if left_us <= 0:
        return 0
    return ceil(left_us * charge.rate / (charge.window_s * 1e6) - SLACK)


def takes_us(charge: Charge, amount: int) -> int:
    """How long so much takes to come back; of a negative amount the time is negative."""
    return back_us(amount, charge.rate, charge.window_s)


def back_us(amount: int, rate: int, window_s: int) -> int:
    """The same, where `rate` comes back in `window_s`."""
    return ceil(amount * (window_s * 1e6) / rate)


class Buckets:
    """When each bucket is full again (Unix us), by counter.

    Full ones are let go in two generations: what was not used while the longest bucket refilled is
    full.
    """

    def __init__(self) -> None:
        self.counts: Generations[int] = Generations()
        self._longest_us = 0

    def read(self, charge: Charge, at_ns: int) -> Reading:
        """How much is used, when the bucket is full again, and when the charge fits."""
        return reading_of(charge, self._full_us(charge), at_ns // NS_PER_US)

    def count(self, charge: Charge, at_ns: int, amount: int) -> None:
        """Use so much."""
        at_us, full_us = at_ns // NS_PER_US, self._full_us(charge)
        self._longest_us = max(self._longest_us, 2 * takes_us(charge, charge.limit))
        self.counts.turn(at_us, self._longest_us)
        self.counts.put(charge.counter, max(full_us, at_us) + takes_us(charge, amount))

    def correct(self, charge: Charge, delta: int) -> None:
        """Use so much more, or give back; never more than was used."""
        full_us = self.counts.get(charge.counter)
        if full_us is not None:
            self.counts.put(charge.counter, max(0, full_us + takes_us(charge, delta)))

    def _full_us(self, charge: Charge) -> int:
        full_us = self.counts.get(charge.counter)
        if full_us is not None:
            return full_us
        return max((self.counts.get(parent) or 0 for parent in charge.inherits), default=0)


def reading_of(charge: Charge, full_us: int, at_us: int) -> Reading:
    """The reading of a bucket."""
    needs = charge.amount if charge.least < 0 else charge.least
    before = used(full_us, at_us, charge)
    fits_us = max(at_us, full_us - takes_us(charge, charge.limit - needs))
    return Reading(before, max(full_us, at_us) * NS_PER_US, fits_us * NS_PER_US)
