"""Where commands read what the detector found: a gateway's state, or a replay's results."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from proxy.investigate.found import Found, clusters_in, events_in, is_there
from proxy.model.cluster import ClusterEvent
from proxy.model.finding import Finding
from proxy.policy.problem import Problem, ProblemsError
from proxy.settings.findings import findings_after
from proxy.settings.load import load
from proxy.settings.schema import Settings

DIRECTORY = "detector"  # below the state directory
CLUSTERS = "clusters.jsonl"
EVENTS = "events.jsonl"
REPLAYED_EVENTS = "cluster_events.jsonl"


@dataclass(frozen=True, slots=True)
class Source:
    """The files. `directory` holds findings too, None for a replay: nobody learns from it."""

    clusters: Path
    events: Path
    audit: Path
    directory: Path | None = None

    @classmethod
    def of_replay(cls, out: Path) -> "Source":
        """The results of a replay."""
        return cls(out / CLUSTERS, out / REPLAYED_EVENTS, out / "audit")

    @classmethod
    def of_gateway(cls, settings: Settings) -> "Source":
        """The files of a gateway's detector."""
        at = settings.state_dir / DIRECTORY
        return cls(at / CLUSTERS, at / EVENTS, settings.audit_directory, at)

    def found(self) -> list[Found]:
        """The clusters, the surest first. Raises ProblemsError."""
        if not is_there(self.clusters):
            message = (
                "there is no such file: the detector has found nothing yet"
                if self.directory
                else "there is no such file: name the directory that a replay wrote (its --out)"
            )
            raise ProblemsError([Problem(str(self.clusters), 0, 0, message)])
        return clusters_in(self.clusters)

    def one(self, name: str) -> Found:
        """The cluster of a name; ProblemsError says which names are near it."""
        found = {one.id: one for one in self.found()}
        if name in found:
            return found[name]
        into = next((e.into for e in self._happened() if e.cluster == name and e.into), None)
        near = get_close_matches(name, found, n=1)
        fix = f' (it went into "{into}")' if into else ""
        fix = fix or (f' (did you mean "{near[0]}"?)' if near else "")
        raise ProblemsError(
            [Problem(str(self.clusters), 0, 0, f'there is no cluster "{name}"{fix}')]
        )

    def events_of(self, found: Found) -> list[ClusterEvent]:
        """What happened to a cluster: its own events, and those that led into it."""
        return [e for e in self._happened() if found.id in (e.cluster, e.into)]

    def findings_of(self, found: Found) -> list[Finding]:
        """What investigators said of it, under this name or one that it carries on."""
        if self.directory is None:
            return []
        said, _ = findings_after(self.directory)
        return [finding for finding in said if finding.cluster in found.names]

    def _happened(self) -> list[ClusterEvent]:
        return list(events_in(self.events))


def source_of(config: Path, results: Path | None, environment: Mapping[str, str]) -> Source:
    """The results of a replay where they are named, else the gateway's. Raises ProblemsError."""
    if results is not None:
        return Source.of_replay(results)
    return Source.of_gateway(load(config, environment, upstreams=False))
