"""One cluster over time."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from proxy.model.cluster import Cluster, ClusterState, Evidence, FoundCluster

NS_PER_S = 1_000_000_000


@dataclass(slots=True)
class Life:
    """One cluster. `members` maps accounts to weights.

    `added` and `removed` are accounts on which investigators decided, `joined` says when how many
    came of late. `joining` are newcomers since the last step: they are told of, and nothing else.
    """

    id: str
    opened_s: int
    seen_s: int
    score: float
    state: ClusterState
    members: dict[str, float]
    parents: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    joined: list[tuple[int, int]] = field(default_factory=list)
    added: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    confirmed: bool = False
    joining: dict[str, float] = field(default_factory=dict)

    @property
    def dismissed(self) -> bool:
        """Whether investigators said that it is a mistake."""
        return self.state is ClusterState.DISMISSED

    def cluster(self) -> Cluster:
        """What rules read of it."""
        return Cluster(
            id=self.id,
            state=self.state,
            score=self.score,
            accounts=len(self.members),
            parents=self.parents,
            evidence="; ".join(one.why for one in self.evidence),
        )

    def saved(self) -> dict[str, Any]:
        """All of it as values that can be saved."""
        saved: dict[str, Any] = msgspec.to_builtins(self)
        del saved["joining"]  # the next step finds them anew
        return saved

    @classmethod
    def of_saved(cls, saved: dict[str, Any]) -> "Life":
        """The cluster that was saved."""
        return msgspec.convert(saved, cls)

    def found(self) -> FoundCluster:
        """The cluster as it is stated."""
        members = tuple(sorted((self.joining | self.members).items()))
        opened, seen = self.opened_s * NS_PER_S, self.seen_s * NS_PER_S
        return FoundCluster(self.cluster(), opened, seen, members, self.evidence)
