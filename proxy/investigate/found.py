"""Clusters and their events as they stand in the detector's files or in a replay's results.

Both formats are read: `clusters.jsonl` and `events.jsonl` below the state directory hold the values
of `proxy.model.cluster`; `clusters.jsonl` and `cluster_events.jsonl` of a replay are described in
docs/replay.md. What the other one does not have is None or empty. Unknown members are ignored.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from proxy.model.cluster import Cluster, ClusterEvent, ClusterState, EventKind, Evidence
from proxy.policy.problem import Problem, ProblemsError

NS_PER_S = 1_000_000_000

Decoded = TypeVar("Decoded")


class Found(Struct, frozen=True, gc=False):
    """A cluster with its members, by weight; a weight is None where none was written.

    `use` is what its accounts used together in a day, by unit; `shows` the accounts that show a
    trait, by the trait's name; `samples` skeletons of prompts. These three are there where the
    detector was asked to keep them.
    """

    cluster: Cluster
    members: tuple[tuple[str, float | None], ...]
    evidence: tuple[Evidence, ...] = ()
    opened_ns: int | None = None
    seen_ns: int | None = None
    use: Mapping[str, float] = {}
    shows: Mapping[str, tuple[str, ...]] = {}
    samples: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Its name."""
        return self.cluster.id

    @property
    def families(self) -> tuple[str, ...]:
        """The families that agree on it."""
        return tuple(sorted({one.family for one in self.evidence}))

    @property
    def names(self) -> frozenset[str]:
        """Its name, and those of the clusters whose counts it carries on."""
        return frozenset((self.cluster.id, *self.cluster.parents))


class _FoundLine(Struct, frozen=True):
    """A line of either format: `cluster` is a whole cluster in one, its name in the other."""

    cluster: str | Cluster
    state: ClusterState = ClusterState.OPEN
    score: float = 1.0
    accounts: tuple[str, ...] = ()
    members: tuple[tuple[str, float], ...] = ()
    evidence: tuple[Evidence, ...] = ()
    opened_ns: int | None = None
    seen_ns: int | None = None
    detected_ts: float | None = None
    use: dict[str, float] = {}
    shows: dict[str, tuple[str, ...]] = {}
    samples: tuple[str, ...] = ()

    def found(self) -> Found:
        """The cluster."""
        cluster = self.cluster
        if isinstance(cluster, str):
            cluster = Cluster(cluster, self.state, self.score, len(self.accounts))
        members: list[tuple[str, float | None]] = [(name, weight) for name, weight in self.members]
        return Found(
            cluster,
            tuple(sorted(members, key=_by_weight) or [(name, None) for name in self.accounts]),
            self.evidence,
            self.opened_ns if self.opened_ns is not None else _ns(self.detected_ts),
            self.seen_ns,
            self.use,
            self.shows,
            self.samples,
        )


class _EventLine(Struct, frozen=True):
    """A line of either format of events."""

    cluster: str
    score: float
    state: ClusterState
    accounts: tuple[str, ...] = ()
    into: str | None = None
    kind: EventKind | None = None
    event: EventKind | None = None
    at_ns: int | None = None
    ts: float | None = None

    def happened(self) -> ClusterEvent:
        """The event. ValueError where it has no kind or no time."""
        kind, at_ns = self.kind or self.event, self.at_ns if self.ts is None else _ns(self.ts)
        if kind is None or at_ns is None:
            msg = "an event without its kind or its time"
            raise ValueError(msg)
        return ClusterEvent(
            at_ns, kind, self.cluster, self.score, self.state, self.accounts, self.into
        )


_FOUND = msgspec.json.Decoder(_FoundLine)
_EVENT = msgspec.json.Decoder(_EventLine)


def clusters_in(path: Path) -> list[Found]:
    """The clusters of a file, the surest first. ProblemsError names file and line."""
    found = [line.found() for _, line in _lines(path, _FOUND)]
    return sorted(found, key=lambda one: (-one.cluster.score, one.id))


def events_in(path: Path) -> Iterator[ClusterEvent]:
    """The events of a file in their order; none where there is no file. ProblemsError."""
    if not is_there(path):
        return
    for number, line in _lines(path, _EVENT):
        try:
            yield line.happened()
        except ValueError as error:
            raise ProblemsError([Problem(str(path), number, 1, str(error))]) from error


def is_there(path: Path) -> bool:
    """Whether there is such a file. ProblemsError where this user may not even know."""
    try:
        return path.exists()
    except OSError as error:
        message = f"cannot be read: {error.strerror} (ask as the user that the gateway runs as)"
        raise ProblemsError([Problem(str(path), 0, 0, message)]) from error


def _lines(path: Path, decoder: "msgspec.json.Decoder[Decoded]") -> Iterator[tuple[int, Decoded]]:
    """The lines with their numbers; a last one that is still being written is left out."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):
                    yield number, _decoded(path, number, line, decoder)
    except OSError as error:
        raise ProblemsError([Problem(str(path), 0, 0, f"cannot be read: {error.strerror}")]) from (
            error
        )


def _decoded(
    path: Path, number: int, line: bytes, decoder: "msgspec.json.Decoder[Decoded]"
) -> Decoded:
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"not a line of the detector's ({error})"
        raise ProblemsError([Problem(str(path), number, 1, message)]) from error


def _by_weight(member: tuple[str, float | None]) -> tuple[float, str]:
    return -(member[1] or 0.0), member[0]


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * NS_PER_S)
