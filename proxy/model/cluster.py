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
    """An account in a cluster; `weight` says how much it belongs there, above 0 to 1.

    `match` says whether the exchange in question shows the cluster's traits.
    """

    cluster: Cluster
    weight: float
    match: bool = True

    @property
    def rank(self) -> tuple[bool, float, str]:
        """Sorts the surest first: a confirmed cluster, then the higher score times weight."""
        cluster = self.cluster
        unsure = cluster.state is not ClusterState.CONFIRMED
        return unsure, -cluster.score * self.weight, cluster.id


class Evidence(Struct, frozen=True, gc=False):
    """What joins the accounts of a cluster, in one trait.

    `accounts` of it show the trait; `lift` is how many times more often that is than among
    unrelated accounts; `why` says it in words, with the numbers. `family` and `trait` are named as
    in `proxy.model.trait`, or by the link in the directory.
    """

    family: str
    trait: str
    accounts: int
    lift: float
    why: str


class FoundCluster(Struct, frozen=True, gc=False):
    """A cluster as the detector states it. `members` are account and weight, sorted by account.

    `opened_ns` is when it was first stated, `seen_ns` when one of its accounts was last seen.
    """

    cluster: Cluster
    opened_ns: int
    seen_ns: int
    members: tuple[tuple[str, float], ...]
    evidence: tuple[Evidence, ...] = ()


class EventKind(StrEnum):
    """What happens in the life of a cluster."""

    OPEN = "open"
    GROW = "grow"
    SHRINK = "shrink"
    MERGE = "merge"
    SPLIT = "split"
    STATE = "state"
    CLOSE = "close"


class ClusterEvent(Struct, frozen=True, gc=False):
    """One event. `accounts` were added or removed (all of them where it opens or splits).

    `into` is the cluster that a merged one went into, or the new one that split from it.
    """

    at_ns: int
    kind: EventKind
    cluster: str
    score: float
    state: ClusterState
    accounts: tuple[str, ...] = ()
    into: str | None = None
