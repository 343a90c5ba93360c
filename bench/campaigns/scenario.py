"""What a scenario is: a name, its size at scale 1, and how to make its cast."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.campaigns.stream import Cast
from bench.campaigns.world import World


@dataclass(frozen=True, slots=True)
class Scenario:
    """One campaign or look-alike (`kind`), as the table of scenarios lists it."""

    name: str
    kind: str
    accounts: int
    per_day: float  # exchanges of one account
    days: float
    build: Callable[[World], Cast]
    at_least: int = 4  # accounts, however small the scale
    law: Path | None = None  # settings of its own, where the scenario is about law

    def exchanges(self, scale: float, days: float | None) -> float:
        """About how many exchanges it sends at a scale, cut to `days` if given."""
        accounts = max(self.at_least, self.accounts * scale)
        return accounts * self.per_day * self.lasts(days)

    def lasts(self, days: float | None) -> float:
        """Its length in days, cut to `days` if given."""
        return self.days if days is None else min(self.days, days)
