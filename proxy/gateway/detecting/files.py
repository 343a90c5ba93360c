"""What the detector's process leaves in its directory, and what it finds there.

`index` is for gateways, `clusters.jsonl` and `events.jsonl` for people and the commands that they
use, `findings.jsonl` comes from those. Events are appended once: what a crash made the detector
find again after its last save is not told again.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import structlog

from proxy.gateway.detecting.box import Box
from proxy.gateway.detecting.engine import Engine, Step
from proxy.gateway.detecting.published import (
    CLUSTERS,
    EVENTS,
    clusters_file,
    index_path,
    sealed,
)
from proxy.gateway.detecting.state import NAME, State, packed, put
from proxy.model.cluster import ClusterEvent, EventKind, FoundCluster
from proxy.model.finding import Finding
from proxy.policy.problem import ProblemsError
from proxy.settings.appended import append_lines
from proxy.settings.findings import findings_after

Announce = Callable[[Sequence[ClusterEvent], Sequence[FoundCluster]], object]
Happened = tuple[EventKind, str, str | None, tuple[str, ...]]

log = structlog.get_logger("gauger.detector")


class Files:
    """The directory of one detector. `announce` is told of events that are new."""

    def __init__(
        self, directory: Path, box: Box, engine: Engine, announce: Announce | None = None
    ) -> None:
        self._directory = directory
        self._box = box
        self._engine = engine
        self._announce = announce
        self._untold: list[ClusterEvent] = []
        self._unannounced: list[ClusterEvent] = []
        self._taken_in: Step | None = None
        self._again = _happened_after(directory / EVENTS, engine.events_size)

    def hand_out(self, step: Step) -> None:
        """Write what a step brought. Raises OSError: then it is to be handed out again."""
        self._take_in(step)
        put(self._directory / CLUSTERS, clusters_file(list(step.clusters)), durable=False)
        put(index_path(self._directory), sealed(step.published, self._box), durable=False)
        self.note(step)

    def note(self, step: Step) -> None:
        """Append what happened, and announce it. Raises OSError: then it is to be noted again."""
        self._take_in(step)
        if self._unannounced:
            if self._announce is not None:
                self._announce(self._unannounced, step.clusters)
            self._unannounced.clear()
        if self._untold:
            encode = msgspec.json.Encoder().encode
            lines = b"".join(encode(event) + b"\n" for event in self._untold)
            self._engine.events_size = append_lines(self._directory / EVENTS, lines)
            self._untold.clear()

    def keep(self, state: State) -> None:
        """Save a state. Raises OSError."""
        put(self._directory / NAME, packed(state, self._box))

    def _take_in(self, step: Step) -> None:
        """A step's events, once, however often the disk refuses them and whatever follows it."""
        if step is self._taken_in:
            return
        self._taken_in = step
        new = [event for event in step.events if not self._known(event)]
        self._untold += new
        self._unannounced += new

    def _known(self, event: ClusterEvent) -> bool:
        """Whether an event was told before the crash."""
        happened = _happened(event)
        known = happened in self._again
        self._again.discard(happened)
        return known


class FindingsFile:
    """Follows what investigators say in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._told = ""

    def after(self, offset: int) -> tuple[tuple[Finding, ...], int]:
        """The findings from a place on, and where to go on. A fault is told once, and waited out:
        whoever repairs the file goes on after it.
        """
        try:
            found = findings_after(self._directory, offset)
        except ProblemsError as error:
            if str(error) != self._told:
                self._told = str(error)
                log.error("findings cannot be read", problems=self._told)
            return (), offset
        self._told = ""
        return found


def _happened_after(path: Path, size: int) -> set[Happened]:
    """The events in the file after the size that it had when the state was saved."""
    try:
        with path.open("rb") as file:
            file.seek(size)
            lines = file.read().splitlines()
    except FileNotFoundError:
        return set()
    decode = msgspec.json.Decoder(ClusterEvent).decode
    found: set[Happened] = set()
    for line in lines:
        try:
            found.add(_happened(decode(line)))
        except msgspec.DecodeError:  # the last one, which the crash cut short
            continue
    return found


def _happened(event: ClusterEvent) -> Happened:
    return event.kind, event.cluster, event.into, event.accounts
