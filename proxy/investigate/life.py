"""A cluster's life from its events: its members at any moment, and what happened when."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from proxy.model.cluster import ClusterEvent, ClusterState, EventKind

NS_PER_S = 1_000_000_000
ALIKE = frozenset({EventKind.GROW, EventKind.SHRINK})
APART_NS = 24 * 3600 * NS_PER_S
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Step:
    """Members at a moment."""

    at_ns: int
    accounts: int


@dataclass(frozen=True, slots=True)
class Moment:
    """What happened, once or several times in a row, from one time to another.

    `came` and `went` count accounts; `other` is the cluster that it merged with or split from.
    """

    from_ns: int
    until_ns: int
    kind: EventKind
    times: int
    came: int
    went: int
    score: float
    state: ClusterState
    other: str | None = None


def steps(cluster: str, events: Iterable[ClusterEvent]) -> list[Step]:
    """The number of members after each event that changed it."""
    members: set[str] = set()
    told: list[Step] = []
    for event in events:
        before = len(members)
        if _comes(cluster, event):
            members.update(event.accounts)
        elif _goes(cluster, event):
            members.difference_update(event.accounts)
        if len(members) != before:
            told.append(Step(event.at_ns, len(members)))
    return told


def moments(cluster: str, events: Iterable[ClusterEvent], *, each: bool = False) -> list[Moment]:
    """The events for a time line. Growth in a row is told as one within a day, if not `each`."""
    told: list[Moment] = []
    for event in events:
        moment = _moment(cluster, event)
        last = told[-1] if told else None
        joined = None if each or last is None else _joined(last, moment)
        if joined is not None:
            told[-1] = joined
        else:
            told.append(moment)
    return told


def spark(told: Sequence[Step], until_ns: int, width: int = 48) -> str:
    """Members over time in `width` bars, from the first step to `until_ns`; empty without any."""
    if not told:
        return ""
    begin, end = told[0].at_ns, max(until_ns, told[-1].at_ns)
    most = max(step.accounts for step in told)
    if end <= begin or most == 0:
        return BARS[-1] if most else BARS[0]
    bars, at, count = [], 0, 0
    for column in range(1, width + 1):
        edge = begin + (end - begin) * column // width
        while at < len(told) and told[at].at_ns <= edge:
            count = told[at].accounts
            at += 1
        bars.append(BARS[-(-count * (len(BARS) - 1) // most)])
    return "".join(bars)


def _comes(cluster: str, event: ClusterEvent) -> bool:
    if event.cluster == cluster:
        return event.kind in (EventKind.OPEN, EventKind.GROW)
    return event.into == cluster


def _goes(cluster: str, event: ClusterEvent) -> bool:
    away = event.kind in (EventKind.SHRINK, EventKind.MERGE, EventKind.SPLIT, EventKind.CLOSE)
    return event.cluster == cluster and away


def _moment(cluster: str, event: ClusterEvent) -> Moment:
    count = len(event.accounts)
    other = event.into if event.cluster == cluster else event.cluster
    return Moment(
        event.at_ns,
        event.at_ns,
        event.kind,
        1,
        count if _comes(cluster, event) else 0,
        count if _goes(cluster, event) else 0,
        event.score,
        event.state,
        other,
    )


def _joined(last: Moment, new: Moment) -> Moment | None:
    """Two moments as one, where they tell the same; None where they do not."""
    alike = last.kind is new.kind and new.kind in ALIKE and last.state is new.state
    if not alike or last.other != new.other or new.until_ns - last.from_ns > APART_NS:
        return None
    return Moment(
        last.from_ns,
        new.until_ns,
        new.kind,
        last.times + 1,
        last.came + new.came,
        last.went + new.went,
        new.score,
        new.state,
        new.other,
    )
