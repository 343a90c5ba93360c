"""Random draws from a state of one integer, so that every account can own its generator.

splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014). A
generator of the standard library weighs 2.5 KB, too much for one an account.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")

_MASK = (1 << 64) - 1
_TAU = 2.0 * math.pi


def digest(*names: object) -> int:
    """64 bits that depend on nothing but the names."""
    text = "\x1f".join(map(str, names)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest())


class Draw:
    """An independent stream of draws, named by what it is for: `Draw(seed, "base", 17)`."""

    __slots__ = ("state",)

    def __init__(self, *names: object) -> None:
        self.state = digest(*names)

    def bits(self) -> int:
        """64 random bits."""
        self.state = z = (self.state + 0x9E3779B97F4A7C15) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def unit(self) -> float:
        """A number in [0, 1)."""
        # As bits() does, without the call: most of a large world's making is spent here.
        self.state = z = (self.state + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        return ((z ^ (z >> 31)) >> 11) * 1.1102230246251565e-16  # 2 to the -53

    def below(self, bound: int) -> int:
        """An integer in [0, bound)."""
        self.state = z = (self.state + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        return ((z ^ (z >> 31)) * bound) >> 64

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.unit() < probability

    def pick(self, items: Sequence[T]) -> T:
        """One of the items, each as likely."""
        return items[self.below(len(items))]

    def index(self, cumulative: Sequence[float]) -> int:
        """An index by weight; `cumulative` are running sums of the weights."""
        at = bisect_right(cumulative, self.unit() * cumulative[-1])
        return min(at, len(cumulative) - 1)

    def normal(self) -> float:
        """A standard normal number (Box and Muller)."""
        radius = math.sqrt(-2.0 * math.log(1.0 - self.unit()))
        return radius * math.cos(_TAU * self.unit())

    def lognormal(self, median: float, sigma: float) -> float:
        """A lognormal number."""
        return median * math.exp(sigma * self.normal())

    def weibull(self, shape: float) -> float:
        """A Weibull number of mean 1."""
        return float(
            (-math.log(1.0 - self.unit())) ** (1.0 / shape) / math.gamma(1.0 + 1.0 / shape)
        )

    def residual(self, shape: float) -> float:
        """How long it still takes from any moment to the next event, where gaps are Weibull
        numbers of mean 1. Long gaps are likelier to be met: (r / scale)**shape is Gamma(1/shape).
        """
        scale = 1.0 / math.gamma(1.0 + 1.0 / shape)
        return float(scale * self.gamma(1.0 / shape) ** (1.0 / shape))

    def gamma(self, shape: float) -> float:
        """A Gamma number of scale 1 (Marsaglia and Tsang, 2000)."""
        if shape < 1.0:
            return float(self.gamma(shape + 1.0) * (1.0 - self.unit()) ** (1.0 / shape))
        third = shape - 1.0 / 3.0
        while True:
            normal = self.normal()
            volume = (1.0 + normal / math.sqrt(9.0 * third)) ** 3
            if volume > 0.0 and math.log(1.0 - self.unit()) < (
                0.5 * normal * normal + third * (1.0 - volume + math.log(volume))
            ):
                return third * volume


def running(weights: Sequence[float]) -> tuple[float, ...]:
    """Running sums, as `Draw.index` reads them."""
    total = 0.0
    sums = []
    for weight in weights:
        total += weight
        sums.append(total)
    return tuple(sums)
