"""What the audit log says of clusters that the detector found, before decisions rest on them.

The live gateway and replay write the same records: each tells what is new or has changed since the
one before, and a decision rests on the last of them before it.
"""

from collections.abc import Iterable

from msgspec import Struct

from proxy.model.cluster import Cluster, ClusterState, FoundCluster
from proxy.model.record import Json

MOST_EVIDENCE = 6  # of one cluster
MOST_LISTED = 1_000  # clusters that one record names


class Listed(Struct, frozen=True, array_like=True):
    """A cluster and what it rests on: family, trait, accounts, lift."""

    cluster: Cluster
    evidence: tuple[tuple[str, str, int, float], ...] = ()


def listed(found: FoundCluster) -> Listed:
    """What a record is to say of a cluster; evidence in numbers, not in words."""
    evidence = tuple(
        (one.family, one.trait, one.accounts, round(one.lift, 1))
        for one in found.evidence[:MOST_EVIDENCE]
    )
    return Listed(found.cluster, evidence)


def accounts_in(clusters: Iterable[FoundCluster]) -> int:
    """How many accounts are in a cluster that was not dismissed."""
    live = [one for one in clusters if one.cluster.state is not ClusterState.DISMISSED]
    return len({account for one in live for account, _ in one.members})


class Detected:
    """The clusters that were recorded last."""

    def __init__(self) -> None:
        self._recorded: dict[str, Listed] = {}

    def fields(self, version: str, accounts: int, clusters: Iterable[Listed]) -> dict[str, Json]:
        """The fields of a record of this index; `recorded` says that it was written."""
        now = {one.cluster.id: one for one in clusters}
        changed = [one for name, one in now.items() if self._recorded.get(name) != one]
        gone = [name for name in self._recorded if name not in now]
        fields: dict[str, Json] = {
            "detected": version,
            "accounts": accounts,
            "listed": [_said(one) for one in changed[:MOST_LISTED]],
        }
        if gone:
            fields["gone"] = [*gone[:MOST_LISTED]]
        if left_out := max(0, len(changed) - MOST_LISTED) + max(0, len(gone) - MOST_LISTED):
            fields["left_out"] = left_out
        return fields

    def recorded(self, clusters: Iterable[Listed]) -> None:
        """A record of these clusters was written."""
        self._recorded = {one.cluster.id: one for one in clusters}


def _said(one: Listed) -> dict[str, Json]:
    cluster = one.cluster
    said: dict[str, Json] = {
        "id": cluster.id,
        "state": cluster.state.value,
        "score": round(cluster.score, 4),
        "accounts": cluster.accounts,
    }
    if cluster.parents:
        said["parents"] = [*cluster.parents]
    if one.evidence:
        said["evidence"] = [[*evidence] for evidence in one.evidence]
    return said
