"""What a run showed: who was served, who was refused, and when a campaign was stopped.

Tallies grow with accounts and hours, never with exchanges. Definitions:

- *refused by fingerprint*: the enforced verdict refused and rested on a fingerprint or cluster.
- *flagged*: the first moment at which the accounts in one cluster (or, where the detector states
  no clusters, the accounts refused by fingerprint so far) hold 2 % of the campaign, at least 3 and
  at most 10, and are mostly campaign.
- *contained*: the first hour from which on the campaign's served exchanges of any following day
  (pro rata at the end) stay at or under one ordinary account's use: the 99th percentile of the
  unrelated accounts' daily use, over days on which they sent anything.
"""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from bench.campaigns.stream import Event

HOUR_S = 3600.0
DAY_HOURS = 24
REFUSING = frozenset({"step_up", "throttle", "deny"})


@dataclass(slots=True)
class Group:
    """Tallies of one cast."""

    name: str
    kind: str
    accounts: int
    note: str = ""
    sent: int = 0
    served: int = 0
    slowed: int = 0
    refused_own: int = 0
    refused_fingerprint: int = 0
    seen: set[str] = field(default_factory=set)
    touched: dict[str, float] = field(default_factory=dict)  # account → first time, by fingerprint
    sent_by_hour: Counter[int] = field(default_factory=Counter)
    served_by_hour: Counter[int] = field(default_factory=Counter)


class Observer:
    """Watches decisions and cluster events go by."""

    def __init__(self, groups: list[Group], start_s: float, hours: int) -> None:
        self.groups = {group.name: group for group in groups}
        self.hours = hours
        self.start_s = start_s
        self._cast_of: dict[str, str] = {}
        self._day_use: dict[str, tuple[int, int]] = {}
        self._uses: Counter[int] = Counter()
        self._members: dict[str, set[str]] = defaultdict(set)
        self.flagged: dict[str, tuple[float, int, str]] = {}  # time, served before, by what

    def saw(self, event: Event, decision: dict[str, Any]) -> None:
        """Take in one decision."""
        group = self.groups[event.cast]
        at_s, account = event.line["ts"], event.persona.account
        hour = int((at_s - self.start_s) // HOUR_S)
        self._cast_of[account] = event.cast
        group.seen.add(account)
        group.sent += 1
        group.sent_by_hour[hour] += 1
        if event.cast == "base":
            self._use(account, hour // DAY_HOURS)
        by_fingerprint = bool(decision["by_cluster"])
        if decision["verdict"] not in REFUSING:
            group.served += 1
            group.served_by_hour[hour] += 1
            if decision["delay_s"] and by_fingerprint:
                group.slowed += 1
                group.touched.setdefault(account, at_s)
        elif by_fingerprint:
            group.refused_fingerprint += 1
            if account not in group.touched:
                group.touched[account] = at_s
                self._flag_by_refusals(at_s)
        else:
            group.refused_own += 1

    def cluster_event(self, event: dict[str, Any]) -> None:
        """Take in one event of a cluster's life."""
        members, accounts = self._members[event["cluster"]], set(event["accounts"])
        match event["event"]:
            case "open" | "grow":
                members |= accounts
            case "shrink":
                members -= accounts
            case "split":
                members -= accounts
                if event["into"]:
                    self._members[event["into"]] |= accounts
            case "merge":
                if event["into"]:
                    self._members[event["into"]] |= members
                members.clear()
            case "close":
                members.clear()
            case _:
                return
        for held in list(self._members.values()):
            self._flag(held, event["ts"], "cluster")

    def ordinary_daily_use(self) -> int:
        """The 99th percentile of the unrelated accounts' use on a day on which they sent."""
        uses = self._uses + Counter(count for _, count in self._day_use.values())
        total, so_far = sum(uses.values()), 0
        for use in sorted(uses):
            so_far += uses[use]
            if so_far >= 0.99 * total:
                return use
        return 0

    def clusters_stated(self) -> bool:
        """Whether the detector stated any cluster."""
        return bool(self._members)

    def _use(self, account: str, day: int) -> None:
        last, count = self._day_use.get(account, (day, 0))
        if last != day:
            self._uses[count] += 1
            count = 0
        self._day_use[account] = (day, count + 1)

    def _flag_by_refusals(self, at_s: float) -> None:
        touched = {account for group in self.groups.values() for account in group.touched}
        self._flag(touched, at_s, "refusals")

    def _flag(self, held: set[str], at_s: float, by: str) -> None:
        for group in self.groups.values():
            if group.kind != "campaign" or group.name in self.flagged:
                continue
            own = sum(1 for account in held if self._cast_of.get(account) == group.name)
            if own >= enough(group.accounts) and own * 2 > len(held):
                self.flagged[group.name] = (at_s, group.served, by)


def enough(accounts: int) -> int:
    """How many of a campaign's accounts flag it."""
    return min(accounts, max(3, min(10, math.ceil(accounts * 0.02))))


def contained_from(served_by_hour: Counter[int], hours: int, daily_use: int) -> int | None:
    """The first hour from which on no day's worth of service exceeds `daily_use`, or None."""
    served = [served_by_hour[hour] for hour in range(hours)]
    first: int | None = None
    for hour in range(hours - 1, -1, -1):
        window = served[hour : hour + DAY_HOURS]
        if sum(window) > daily_use * len(window) / DAY_HOURS:
            break
        first = hour
    return first


def interval(hits: int, tries: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if not tries:
        return 0.0, 1.0
    z = 1.959964
    share = hits / tries
    middle = (share + z * z / (2 * tries)) / (1 + z * z / tries)
    half = z * math.sqrt(share * (1 - share) / tries + z * z / (4 * tries**2)) / (1 + z * z / tries)
    return max(0.0, middle - half), min(1.0, middle + half)
