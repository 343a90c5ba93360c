"""Accounts that act together because one schedule moves them: jobs, and turns within a job."""

from dataclasses import dataclass

from bench.campaigns.draw import Draw, digest
from bench.campaigns.pace import DAY_S


@dataclass(frozen=True, slots=True)
class Rota:
    """The jobs of one schedule: `a_day` of them in the first `active_s` of each day after
    `start_s` (Unix seconds), each `spread_s` long, at irregular times that never overlap.

    Groups share the times where `together`, else each group has its own.
    """

    name: str
    start_s: float
    a_day: float
    active_s: float
    spread_s: float
    together: bool

    @property
    def gap_s(self) -> float:
        """Working time from one job's turn to the next."""
        return self.active_s / self.a_day

    def begins(self, group: int, job: int) -> float:
        """When a group starts on a job, in Unix seconds; jobs count from 0."""
        chosen = digest(self.name, 0 if self.together else group, job) / 2.0**64
        slack = max(0.0, 1.0 - self.spread_s / self.gap_s)
        days, worked_s = divmod((job + chosen * slack) * self.gap_s, self.active_s)
        return self.start_s + days * DAY_S + worked_s

    def first_after(self, group: int, at_s: float) -> int:
        """The first job that starts at `at_s` or later."""
        job = max(0, int((at_s - self.start_s) / DAY_S * self.a_day) - 2)
        while self.begins(group, job) < at_s:
            job += 1
        return job


class Lockstep:
    """One account's part in the jobs of its group: `each` requests at any time within a job."""

    __slots__ = ("_each", "_group", "_job", "_nth", "_offset", "_rota")

    def __init__(self, rota: Rota, group: int, each: int, starts_s: float) -> None:
        self._rota = rota
        self._group = group
        self._each = each
        self._job = rota.first_after(group, starts_s)
        self._nth = 0
        self._offset = 0.0

    def next_at(self, draw: Draw) -> float:
        """The next arrival, in Unix seconds: order statistics, one after another."""
        if self._nth == self._each:
            self._job, self._nth, self._offset = self._job + 1, 0, 0.0
        left = self._each - self._nth
        self._offset += (1.0 - self._offset) * (1.0 - (1.0 - draw.unit()) ** (1.0 / left))
        self._nth += 1
        return self._rota.begins(self._group, self._job) + self._rota.spread_s * self._offset


class Turns:
    """One account's turn in a round robin: one request a job, at its place within the spread."""

    __slots__ = ("_group", "_job", "_place", "_rota", "_size")

    def __init__(self, rota: Rota, group: int, place: int, size: int, starts_s: float) -> None:
        self._rota = rota
        self._group = group
        self._place = place
        self._size = size
        self._job = rota.first_after(group, starts_s)

    def next_at(self, draw: Draw) -> float:
        """The next arrival, in Unix seconds."""
        begins_s = self._rota.begins(self._group, self._job)
        self._job += 1
        share = (self._place + 0.9 * draw.unit()) / self._size
        return begins_s + self._rota.spread_s * share
