"""A detector of our own for tests of replay: whoever was seen by a step is one cluster then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from proxy.model.cluster import (
    Cluster,
    ClusterEvent,
    ClusterState,
    EventKind,
    Evidence,
    FoundCluster,
    Membership,
)
from proxy.model.sighting import Described, Sighting

S = 1_000_000_000
STEP_S = 10


@dataclass(frozen=True)
class Index:
    version: str = "none"
    cluster: Cluster | None = None
    members: frozenset[str] = frozenset()
    ordinary: Mapping[str, int] = field(default_factory=dict)

    def of(self, account: Described, tokens: Sequence[int]) -> tuple[Membership, ...]:
        if self.cluster is None or account.account not in self.members:
            return ()
        return (Membership(self.cluster, 0.75, match=bool(tokens)),)


class Together:
    """Steps every 10 s; what a step states holds at once."""

    def __init__(self) -> None:
        self.observed: list[tuple[Described, Sighting, tuple[int, ...]]] = []
        self._step = 0
        self._index = Index()
        self._events: list[ClusterEvent] = []

    def observe(self, described: Described, sighting: Sighting, sketched: Sequence[int]) -> None:
        self.observed.append((described, sighting, tuple(sketched)))

    def advance(self, now_ns: int) -> Index:
        step = now_ns // (STEP_S * S)
        if step > self._step:
            self._step = step
            members = frozenset(described.account for described, _, _ in self.observed)
            if members != self._index.members:
                self._state(members, step * STEP_S * S)
        return self._index

    def _state(self, members: frozenset[str], at_ns: int) -> None:
        added = tuple(sorted(members - self._index.members))
        kind = EventKind.GROW if self._index.cluster else EventKind.OPEN
        state = ClusterState.GROWING if self._index.cluster else ClusterState.OPEN
        cluster = Cluster("c-1", state, 0.9, len(members))
        self._events.append(ClusterEvent(at_ns, kind, "c-1", 0.9, state, added))
        self._index = Index(f"step-{self._step}", cluster, members)

    def clusters(self) -> list[FoundCluster]:
        if self._index.cluster is None:
            return []
        members = tuple((account, 0.75) for account in sorted(self._index.members))
        evidence = (Evidence("prompt", "template", len(members), 40.0, "all of them share it"),)
        last = self.observed[-1][1].at_ns
        return [FoundCluster(self._index.cluster, 1_776_816_010 * S, last, members, evidence)]

    def events(self) -> list[ClusterEvent]:
        told, self._events = self._events, []
        return told
