"""The one place where a replay's detector and its sketches are made."""

from collections.abc import Sequence

from proxy.detect.detector import Detector
from proxy.facts.sketch import sketch
from proxy.model.exchange import Prompt
from proxy.replay.detecting import Detects
from proxy.settings.detector import detector_options
from proxy.settings.schema import Settings


def detector_of(settings: Settings, key: bytes) -> Detects | None:
    """The detector that the settings ask for; None where they turn it off."""
    return Detector(key, detector_options(settings)) if settings.detector.enabled else None


def sketch_of(prompt: Prompt, key: bytes) -> Sequence[int]:
    """The sketch tokens of a prompt."""
    return sketch(prompt, key)
