"""Clusters: accounts that the evidence says are run by one hand, and what an account is in them."""

from enum import StrEnum

from msgspec import Struct

NO_CLUSTER = "none"  # cluster.state, of an account that is in no cluster


class ClusterState(StrEnum):
    """The life of a cluster. A dismissed one was a mistake: nothing is known of it any more."""

    OPEN = "open"
    GROWING = "growing"
    QUIET = "quiet"
    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"


class Cluster(Struct, frozen=True, gc=False):
    """One cluster.

    `score` says how sure the evidence is, 0 to 1; `accounts` how many it has. `parents` are the
    clusters whose counts it carries on, the nearest first: those that were merged into it, or
    that it was split from, and theirs in turn. They need not exist any more. `evidence` is text
    for people.
    """

    id: str
    state: ClusterState = ClusterState.OPEN
    score: float = 1.0
    accounts: int = 0
    parents: tuple[str, ...] = ()
    evidence: str = ""


class Membership(Struct, frozen=True, gc=False):
    """An account in a cluster; `weight` says how much it belongs there, above 0 to 1."""

    cluster: Cluster
    weight: float

    @property
    def rank(self) -> tuple[bool, float, str]:
        """Sorts the surest first: a confirmed cluster, then the higher score times weight."""
        cluster = self.cluster
        unsure = cluster.state is not ClusterState.CONFIRMED
        return unsure, -cluster.score * self.weight, cluster.id
