"""The detector at work: sightings in, findings in, and what comes of them out. One thread's own.

Invariant: a sighting counts once, by its place in its source; one without a place counts when it
comes. Whatever trips the detector up costs that sighting or step, is logged, and nothing else.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from msgspec import Struct
from msgspec.structs import replace

from proxy.gateway.detecting.chunks import packed
from proxy.gateway.detecting.make import Detects, Sketch
from proxy.gateway.detecting.messages import Seen
from proxy.gateway.detecting.published import FINDINGS_HELD, Applied, Published
from proxy.gateway.detecting.state import State
from proxy.gateway.logs import told
from proxy.model.cluster import ClusterEvent, FoundCluster
from proxy.model.finding import Finding
from proxy.model.sighting import ClusterIndex
from proxy.pipeline.detected import accounts_in, listed

NS_PER_S = 1_000_000_000
SAVE_EVERY_S = 60.0
SAVE_SIGHTINGS = 50_000
NEVER_NS = 1 << 62
PACE_NS = NS_PER_S  # of the log's time, between two looks whether a step is due

log = structlog.get_logger("gauger.detector")


@dataclass(frozen=True, slots=True)
class Step:
    """What there is to hand out: the index and what is said of it, clusters, and events."""

    published: Published
    clusters: tuple[FoundCluster, ...]
    events: tuple[ClusterEvent, ...]


class Engine:
    """A detector with its place in the world. Times are Unix nanoseconds.

    `positions` are the last places counted, by source; `stream` how far a stream was read.
    `taken` and `lost` count sightings that were counted, and that tripped it up. No time in a
    sighting moves the detector past `until_ns`: one of many gateways may have a wrong clock.
    """

    def __init__(self, detector: Detects, sketch: Sketch, state: State | None) -> None:
        """Go on from a state. ValueError where the detector does not know it for one."""
        state = state or State(b"")
        if state.detector:
            detector.load(state.detector)
        self.positions = dict(state.positions)
        self.stream = state.stream
        self.findings = state.findings
        self.events_size = state.events
        self.taken = 0
        self.lost = 0
        self.until_ns = NEVER_NS
        self._detector = detector
        self._sketch = sketch
        self._number = state.published
        self._counted = state.counted
        self._version: str | None = None
        self._applied: deque[Applied] = deque(state.applied, FINDINGS_HELD)
        self._heard = False
        self._advanced_ns = 0
        self._unsaved = 0
        self._saved_ns = 0
        self._save_soon = not state.detector

    def take(self, source: str, batch: Sequence[Seen], *, paced: bool = False) -> None:
        """Count sightings. `paced` ones come from the log, and bring their own time with them."""
        last = self.positions.get(source)
        if last is None:
            self._save_soon = True  # from here on the log can make good what is missed
        last = last or 0
        for seen in batch:
            position = seen.sighting.position
            if 0 < position <= last:
                continue
            at_ns = min(seen.sighting.at_ns, self.until_ns)
            if paced and at_ns >= self._advanced_ns + PACE_NS:
                self._advance(at_ns)
            self._observe(seen)
            last = max(last, position)
        self.positions[source] = last

    def begin(self, source: str, position: int) -> None:
        """A new source is counted from after this position on."""
        if source not in self.positions:
            self.positions[source] = position
            self._save_soon = True

    def hear(self, source: str, number: int, finding: Finding) -> None:
        """Take to heart what an investigator says."""
        result = self._said(finding)
        self._applied.append(Applied(source, number, finding, result))
        self._heard = self._save_soon = True
        log.info("finding", action=finding.action.value, cluster=finding.cluster, result=result)

    def step(self, now_ns: int) -> Step | None:
        """Let the detector step; what there is to hand out, where anything changed."""
        index = self._advance(max(now_ns, self._advanced_ns))
        if index is None:
            return None
        try:
            events = tuple(self._detector.events())
            if index.version == self._version and not events and not self._heard:
                return None
            clusters = tuple(self._detector.clusters())
            assert isinstance(index, Struct)
            pieces = packed(index)
        except Exception as error:  # the boundary: the index in force stays
            self._tripped(error)
            return None
        self._version, self._heard = index.version, False
        self._number += 1
        self._save_soon = self._save_soon or bool(events)
        return Step(self._published(index, pieces, clusters, now_ns), clusters, events)

    def is_to_be_saved(self, now_ns: int) -> bool:
        """Whether it is time to save."""
        due = self._unsaved and now_ns - self._saved_ns >= SAVE_EVERY_S * NS_PER_S
        return bool(due or self._save_soon or self._unsaved >= SAVE_SIGHTINGS)

    def state(self, now_ns: int) -> State:
        """All that is needed to go on from here."""
        self._unsaved, self._saved_ns, self._save_soon = 0, now_ns, False
        return State(
            detector=self._detector.save(),
            positions=dict(self.positions),
            findings=self.findings,
            stream=self.stream,
            events=self.events_size,
            published=self._number,
            counted=self._counted,
            applied=tuple(self._applied),
        )

    def _observe(self, seen: Seen) -> None:
        self._counted += 1
        try:
            sketched = seen.sketch or self._sketch(seen.prompt)
            # Places of several logs do not compare; the detector gets one order of all of them.
            sighting = replace(seen.sighting, position=self._counted)
            self._detector.observe(seen.described, sighting, sketched)
        except Exception as error:  # the boundary: text of a caller must not stop the detector
            self._tripped(error)
        self.taken += 1
        self._unsaved += 1

    def _advance(self, now_ns: int) -> ClusterIndex | None:
        self._advanced_ns = now_ns
        try:
            return self._detector.advance(now_ns)
        except Exception as error:  # the boundary: the index in force stays
            self._tripped(error)
            return None

    def _tripped(self, error: Exception) -> None:
        self.lost += 1
        if self.lost & (self.lost - 1) == 0:  # told ever more rarely
            log.error("defect", times=self.lost, **told(error))

    def _said(self, finding: Finding) -> str:
        """Apply a finding; what came of it, in words."""
        try:
            self._detector.decide(finding.cluster, finding.action, finding.accounts)
        except LookupError:
            return "there is no such cluster"
        except Exception as error:  # the boundary: a finding must not stop the detector
            self._tripped(error)
            return "a defect: the log says where"
        return "done"

    def _published(
        self, index: ClusterIndex, pieces: bytes, clusters: tuple[FoundCluster, ...], now_ns: int
    ) -> Published:
        accounts = accounts_in(clusters)
        said = tuple(map(listed, clusters))
        applied = tuple(self._applied)
        return Published(index.version, self._number, now_ns, accounts, said, applied, pieces)
