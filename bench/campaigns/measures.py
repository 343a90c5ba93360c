"""What a run showed: who was served, who was refused, and when a campaign was stopped.

Tallies grow with accounts and minutes, never with exchanges. Definitions:

- *refused by cluster*: the enforced verdict refused and rested on a cluster or fingerprint fact.
  `step_up` refuses. *Touched*: refused, delayed or stripped by such a verdict at least once.
- what counts of a campaign whose exchanges are marked is what is marked; else all of it. A batch
  counts as many exchanges as it has lines.
- *contained*: from the first minute on from which the campaign is served, in any following day, at
  most what one ordinary account uses in a day: the 99th percentile of the unrelated accounts' daily
  use, over days on which they were served anything. What is left of a run, if less than a day, may
  hold as much pro rata; it must be `LEAST_TAIL_MIN` long, or a quarter of a shorter run.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.campaigns.stream import Event

MINUTE_S = 60.0
HOUR_S = 3600.0
DAY_MIN = 1440
LEAST_TAIL_MIN = 360
REFUSING = frozenset({"step_up", "throttle", "deny"})


@dataclass(slots=True)
class Tally:
    """Exchanges of one cast, all of them or the marked ones. `served_by_minute` since the start."""

    sent: int = 0
    served: int = 0
    by_cluster: int = 0
    served_by_minute: Counter[int] = field(default_factory=Counter)
    sent_by_minute: Counter[int] = field(default_factory=Counter)

    def add(self, minute: int, weight: int, *, served: bool, by_cluster: bool) -> None:
        """Count one exchange that stands for `weight`."""
        self.sent += weight
        self.sent_by_minute[minute] += weight
        if served:
            self.served += weight
            self.served_by_minute[minute] += weight
        elif by_cluster:
            self.by_cluster += weight


@dataclass(slots=True)
class Group:
    """Tallies of one cast. `accounts` is how many it has; `touched` maps an account to the first
    time (Unix seconds) that a verdict by cluster touched it."""

    name: str
    kind: str
    accounts: int
    note: str = ""
    begins_s: float = 0.0
    all: Tally = field(default_factory=Tally)
    marked: Tally = field(default_factory=Tally)
    refused_own: int = 0
    slowed: int = 0
    wrong: Counter[str] = field(default_factory=Counter)  # verdicts that the law does not allow
    judged_by_law: int = 0
    seen: set[str] = field(default_factory=set)
    touched: dict[str, float] = field(default_factory=dict)

    @property
    def told(self) -> Tally:
        """What counts: the marked exchanges where there are any, else all."""
        return self.marked if self.marked.sent else self.all


class Observer:
    """Watches decisions go by. `groups` are those of the casts, by name."""

    def __init__(self, groups: list[Group], start_s: float, minutes: int) -> None:
        self.groups = {group.name: group for group in groups}
        self.start_s = start_s
        self.minutes = minutes
        self._day_use: dict[str, tuple[int, int]] = {}
        self._uses: Counter[int] = Counter()

    def saw(self, event: Event, decision: Mapping[str, Any]) -> None:
        """Take in one decision."""
        group = self.groups[event.cast]
        at_s, account = event.line["ts"], event.persona.account
        minute = int((at_s - self.start_s) // MINUTE_S)
        weight, verdict = weight_of(event), decision["verdict"]
        served, by_cluster = verdict not in REFUSING, bool(decision["by_cluster"])
        group.all.add(minute, weight, served=served, by_cluster=by_cluster)
        if event.extraction:
            group.marked.add(minute, weight, served=served, by_cluster=by_cluster)
        if group.kind != "decoy":
            group.seen.add(account)
        if not served and not by_cluster:
            group.refused_own += weight
        elif by_cluster and (not served or decision["delay_s"] or decision["modifiers"]):
            group.slowed += served
            group.touched.setdefault(account, at_s)
        if event.cast == "base" and served:
            self._use(account, minute // DAY_MIN, weight)
        if event.expected:
            group.judged_by_law += 1
            if verdict not in event.expected.split("|"):
                group.wrong[f"{verdict} where the law says {event.expected}"] += 1

    def ordinary_daily_use(self) -> int:
        """The 99th percentile of the unrelated accounts' use on a day on which they were served."""
        uses = self._uses + Counter(count for _, count in self._day_use.values())
        total, so_far = sum(uses.values()), 0
        for use in sorted(uses):
            so_far += uses[use]
            if so_far >= 0.99 * total:
                return use
        return 0

    def _use(self, account: str, day: int, weight: int) -> None:
        last, count = self._day_use.get(account, (day, 0))
        if last != day:
            self._uses[count] += 1
            count = 0
        self._day_use[account] = (day, count + weight)


def weight_of(event: Event) -> int:
    """How many exchanges an event stands for: the lines of a batch; an uploaded file none yet."""
    path = event.line["path"]
    if path == "/v1/files":
        return 0
    if path.endswith("/batches"):
        return int(getattr(event.persona, "size", 1))
    return 1


def contained_from(served: Mapping[int, int], minutes: int, daily_use: float) -> int | None:
    """The first minute from which on the campaign is contained, or None."""
    so_far = np.concatenate(([0], np.cumsum([served.get(at, 0) for at in range(minutes)])))
    first = 0
    if minutes >= DAY_MIN:
        days = so_far[DAY_MIN:] - so_far[:-DAY_MIN]
        over = np.flatnonzero(days > daily_use)
        first = int(over[-1]) + 1 if len(over) else 0
    tail = min(LEAST_TAIL_MIN, max(1, minutes // 4))
    starts = np.arange(first, minutes - tail + 1)
    length = np.minimum(minutes - starts, DAY_MIN)
    within = so_far[starts + length] - so_far[starts] <= daily_use * length / DAY_MIN
    good = np.flatnonzero(within)
    return int(starts[good[0]]) if len(good) else None


def served_before(served: Mapping[int, int], minute: int) -> int:
    """What was served before a minute."""
    return sum(count for at, count in served.items() if at < minute)


def projected(served: Mapping[int, int], minutes: int, rest_days: float) -> float:
    """What is served over the whole campaign if the rest of it goes as the end of the run did: its
    last day, or the second half of a shorter run."""
    tail = min(DAY_MIN, max(1, minutes // 2))
    lately = sum(count for at, count in served.items() if minutes - tail <= at < minutes)
    return sum(served.values()) + lately * DAY_MIN / tail * max(0.0, rest_days)


def interval(hits: int, tries: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if not tries:
        return 0.0, 1.0
    z = 1.959964
    share = hits / tries
    middle = (share + z * z / (2 * tries)) / (1 + z * z / tries)
    half = z * math.sqrt(share * (1 - share) / tries + z * z / (4 * tries**2)) / (1 + z * z / tries)
    return max(0.0, middle - half), min(1.0, middle + half)
