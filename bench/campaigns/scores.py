"""Scores against the truth: the best score of each account, and what became of each cluster.

An account's score is that of its cluster times its weight in it, the best at any time; one that was
never in a cluster has none. A cluster is judged at its own best score: by then it was, or was not,
mostly one campaign's.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bench.campaigns.stated import Stated
from proxy.model.cluster import ClusterState, FoundCluster

STEPS = 100  # of a score, in the histograms


@dataclass(frozen=True, slots=True)
class Peak:
    """A cluster at its best score: whose it was, and what share of it."""

    score: float
    accounts: int
    cast: str
    share: float


class Scores:
    """Looks at the clusters from time to time."""

    def __init__(self, stated: Stated) -> None:
        self._stated = stated
        self.best: dict[str, float] = {}
        self.peaks: dict[str, Peak] = {}

    def look(self, clusters: Iterable[FoundCluster]) -> None:
        """Take in the clusters as they stand."""
        for found in clusters:
            if found.cluster.state is ClusterState.DISMISSED:
                continue
            score = found.cluster.score
            for account, weight in found.members:
                if score * weight > self.best.get(account, 0.0):
                    self.best[account] = score * weight
            peak = self.peaks.get(found.cluster.id)
            if peak is None or score > peak.score:
                names = [account for account, _ in found.members]
                cast, share, _ = self._stated.share(names)
                self.peaks[found.cluster.id] = Peak(score, len(names), cast, share)

    def histogram(self, accounts: Iterable[str]) -> list[int]:
        """How many of the accounts have each best score, in steps of a hundredth."""
        counts = [0] * (STEPS + 1)
        for account in accounts:
            counts[int(self.best.get(account, 0.0) * STEPS + 1e-9)] += 1
        return counts

    def clusters(self) -> list[dict[str, Any]]:
        """All clusters, as plain values."""
        return [
            {
                "score": round(peak.score, 4),
                "accounts": peak.accounts,
                "of": peak.cast,
                "share": round(peak.share, 4),
            }
            for _, peak in sorted(self.peaks.items())
        ]
