"""The one place where a live detector and its sketches are made; the heavy parts load here."""

from collections.abc import Callable, Sequence
from typing import Protocol

from proxy.gateway.detecting.chunks import unpacked
from proxy.model.cluster import ClusterEvent, FoundCluster
from proxy.model.exchange import Prompt
from proxy.model.finding import Action
from proxy.model.sighting import ClusterIndex, Described, Sighting
from proxy.settings.schema import Settings

Sketch = Callable[[Prompt], Sequence[int]]


class Detects(Protocol):
    """What is asked of the detector (`proxy.detect.detector`)."""

    def observe(
        self, described: Described, sighting: Sighting, sketch_tokens: Sequence[int]
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

    def save(self) -> bytes:
        """All that it knows."""
        ...

    def load(self, data: bytes) -> None:
        """Go on from what was saved. Raises ValueError."""
        ...

    def decide(self, cluster: str, action: Action, accounts: Sequence[str] = ()) -> None:
        """What an investigator said. KeyError where there is no such cluster."""
        ...


def detector_of(settings: Settings, key: bytes) -> Detects:
    """A new detector as the settings have it."""
    from proxy.detect.detector import Detector  # noqa: PLC0415 (heavy)
    from proxy.settings.detector import detector_options  # noqa: PLC0415 (heavy)

    return Detector(key, detector_options(settings))


def sketch_of(key: bytes) -> Sketch:
    """What makes the sketches of a prompt."""
    from proxy.facts.sketch import sketch  # noqa: PLC0415 (heavy)

    return lambda prompt: sketch(prompt, key)


def index_of(data: bytes) -> ClusterIndex:
    """The index that was packed. Raises ValueError for anything else."""
    from proxy.detect.index import DetectedIndex  # noqa: PLC0415 (only where it is used)

    return unpacked(data, DetectedIndex)
