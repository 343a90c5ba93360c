"""The clusters that the detector stated, whose accounts are in them, and when.

A campaign is *flagged* when one cluster first holds 2 % of its accounts, at least 3 and at most 10,
and they are most of it. Decoys of a campaign (accounts that are there to be thrown away) count for
nothing: they neither flag it nor make a cluster less its own.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.campaigns.measures import Group

UNKNOWN = "?"
EventLine = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Flag:
    """When a campaign was flagged (Unix seconds), and what it had been served by then: in all, and
    of what is marked as extraction."""

    at_s: float
    served: int
    served_marked: int


class Stated:
    """Follows the events of clusters. `cast_of` gives the cast of an account."""

    def __init__(
        self, groups: Mapping[str, Group], cast_of: Mapping[str, str], decoys: Mapping[str, str]
    ) -> None:
        """`decoys` gives the campaign of each cast of decoys."""
        self.groups = groups
        self._cast_of = cast_of
        self._decoys = decoys
        self._members: defaultdict[str, set[str]] = defaultdict(set)
        self._casts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._log: list[EventLine] = []
        self.flags: dict[str, Flag] = {}

    @property
    def ever(self) -> int:
        """How many clusters were ever stated."""
        return len(self._members)

    def happened(self, event: EventLine) -> None:
        """Take in one event."""
        self._log.append(event)
        for cluster, added, gone in _changes(self._members, event):
            self._casts[cluster].update(map(self.cast, added))
            self._casts[cluster].subtract(map(self.cast, gone))
            self._flag(cluster, event["ts"])

    def cast(self, account: str) -> str:
        """The cast of an account."""
        return self._cast_of.get(account, UNKNOWN)

    def members_at(self, at_s: float) -> dict[str, set[str]]:
        """The members of all clusters after the events until then (Unix seconds)."""
        members: defaultdict[str, set[str]] = defaultdict(set)
        for event in self._log:
            if event["ts"] > at_s:
                break
            for _ in _changes(members, event):
                pass
        return {cluster: held for cluster, held in members.items() if held}

    def share(self, accounts: Iterable[str]) -> tuple[str, float, int]:
        """Whose cluster it is: the cast with the most accounts, its share, and how many counted."""
        casts = Counter(map(self.cast, accounts))
        for decoy in self._decoys:
            casts.pop(decoy, None)
        total = casts.total()
        if not total:
            return UNKNOWN, 0.0, 0
        name, most = casts.most_common(1)[0]
        return name, most / total, total

    def _flag(self, cluster: str, at_s: float) -> None:
        held = self._casts[cluster]
        for name, own in held.items():
            group = self.groups.get(name)
            if group is None or group.kind != "campaign" or name in self.flags:
                continue
            thrown = sum(held[decoy] for decoy, of in self._decoys.items() if of == name)
            if own >= enough(group.accounts) and own * 2 > held.total() - thrown:
                self.flags[name] = Flag(at_s, group.all.served, group.marked.served)


def _changes(
    members: defaultdict[str, set[str]], event: EventLine
) -> list[tuple[str, set[str], set[str]]]:
    """Apply an event to the members; (cluster, added, gone) of each that changed."""
    held, accounts = members[event["cluster"]], set(event["accounts"])
    into = members[event["into"]] if event["into"] else set()
    match event["event"]:
        case "open" | "grow":
            changed = [(event["cluster"], accounts - held, set[str]())]
            held |= accounts
        case "shrink":
            changed = [(event["cluster"], set[str](), accounts & held)]
            held -= accounts
        case "split" | "merge":
            moved = accounts if event["event"] == "split" else set(held)
            changed = [(event["cluster"], set[str](), moved & held)]
            if event["into"]:
                changed.append((event["into"], moved - into, set[str]()))
                into |= moved
            held -= moved
        case "close":
            changed = [(event["cluster"], set[str](), set(held))]
            held.clear()
        case _:
            changed = []
    return changed


def enough(accounts: int) -> int:
    """How many of a campaign's accounts flag it."""
    return min(accounts, max(3, min(10, math.ceil(accounts * 0.02))))


def found(stated: Stated, at_s: float, group: Group, first_s: Mapping[str, float]) -> EventLine:
    """Recall and precision of a campaign's clusters at a time.

    Its clusters are those of which its accounts are most. `first_s` gives when its accounts first
    sent: recall is over those that had by then. `merged` names other campaigns in its clusters.
    """
    own: set[str] = set()
    others: Counter[str] = Counter()
    clusters = counted = 0
    for held in stated.members_at(at_s).values():
        name, share, total = stated.share(held)
        if name != group.name or share <= 0.5:
            continue
        clusters += 1
        counted += total
        others.update(map(stated.cast, held))
        own |= {account for account in held if stated.cast(account) == group.name}
    there = {account for account, at in first_s.items() if at <= at_s}
    return {
        "clusters": clusters,
        "recall": len(own & there) / len(there) if there else 0.0,
        "precision": len(own) / counted if counted else None,
        "merged": sorted(
            name
            for name, count in others.items()
            if name != group.name
            and (other := stated.groups.get(name)) is not None
            and other.kind == "campaign"
            and count >= enough(other.accounts)
        ),
    }
