"""The detector in a replay: fed by the pipeline, looked up by it, told in the formats of replay.

It steps when the recording's clock passes its fixed times; what a step found takes effect after
the configured delay. Both happen inside the detector, so that replay and gateway agree.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from proxy.facts.clusters import ClusterMap, cluster_facts
from proxy.model.cluster import ClusterEvent, FoundCluster
from proxy.model.exchange import Prompt
from proxy.model.record import Record
from proxy.model.sighting import ClusterIndex, Described, Sighting
from proxy.pipeline.detected import Detected, accounts_in, listed
from proxy.pipeline.pipeline import Pipeline

NS_PER_S = 1_000_000_000

Sketch = Callable[[Prompt], Sequence[int]]


class Detects(Protocol):
    """What a replay asks of a detector (`proxy.detect.detector`)."""

    def observe(
        self, described: Described, sighting: Sighting, sketch_tokens: Sequence[int], /
    ) -> None:
        """Note an exchange."""
        ...

    def advance(self, now_ns: int) -> ClusterIndex:
        """Take the steps that are due; the index that holds at that time."""
        ...

    def clusters(self) -> Sequence[FoundCluster]:
        """The clusters as they stand."""
        ...

    def events(self) -> Sequence[ClusterEvent]:
        """What happened to clusters since the last call."""
        ...


class Detecting:
    """A detector at work for one pipeline, beside the clusters that people wrote down."""

    def __init__(
        self, detector: Detects, pipeline: Pipeline, written: ClusterMap | None, sketch: Sketch
    ) -> None:
        self._detector = detector
        self._pipeline = pipeline
        self._written = written
        self._sketch = sketch
        self._index: ClusterIndex | None = None
        self.sketched: Sequence[int] | None = None  # of the exchange at hand, where made already
        self._detected = Detected()
        pipeline.seen = self.seen

    def advance(self, now_ns: int) -> bool:
        """Let the detector step, and look clusters up in what it found from now on; whether that
        is another index than before.
        """
        index, before = self._detector.advance(now_ns), self._index
        if index is before:
            return False
        self._index = index
        self._pipeline.clusters = partial(cluster_facts, self._written, index)
        return before is None or index.version != before.version

    def record(self, now_ns: int) -> Record:
        """The audit entry of the index in force, to be written before a decision rests on it."""
        assert self._index is not None
        found = self._detector.clusters()
        said, version = [listed(one) for one in found], self._index.version
        fields = self._detected.fields(version, accounts_in(found), said)
        self._detected.recorded(said)
        return Record("clusters", f"index-{version}", now_ns, fields)

    def seen(self, described: Described, sighting: Sighting, prompt: Prompt) -> None:
        """An exchange passed the pipeline."""
        sketched = self._sketch(prompt) if self.sketched is None else self.sketched
        self._detector.observe(described, sighting, sketched)

    def clusters(self) -> list[dict[str, Any]]:
        """Clusters as they stand, in the clusters format."""
        return [cluster_line(found) for found in self._detector.clusters()]

    def events(self) -> list[dict[str, Any]]:
        """Events since the last call, in the cluster_events format."""
        return [event_line(event) for event in self._detector.events()]


def cluster_line(found: FoundCluster) -> dict[str, Any]:
    """A cluster in the clusters format."""
    return {
        "cluster": found.cluster.id,
        "detected_ts": found.opened_ns / NS_PER_S,
        "state": found.cluster.state.value,
        "score": found.cluster.score,
        "accounts": [account for account, _ in found.members],
        "evidence": [
            {
                "family": one.family,
                "trait": one.trait,
                "accounts": one.accounts,
                "lift": one.lift,
                "why": one.why,
            }
            for one in found.evidence
        ],
    }


def event_line(event: ClusterEvent) -> dict[str, Any]:
    """An event in the cluster_events format."""
    return {
        "ts": event.at_ns / NS_PER_S,
        "event": event.kind.value,
        "cluster": event.cluster,
        "score": event.score,
        "accounts": list(event.accounts),
        "into": event.into,
        "state": event.state.value,
    }
