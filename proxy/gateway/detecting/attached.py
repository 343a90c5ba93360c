"""What a gateway process has of the detector: the way to it, and what it found.

One process serves: it keeps the process beside it. Several: their supervisor does.
"""

import asyncio
from pathlib import Path

from proxy.audit.log import AuditLog
from proxy.audit.read import entries
from proxy.facts.pseudonyms import Pseudonyms
from proxy.gateway.clusters import Clusters
from proxy.gateway.detecting.box import Box
from proxy.gateway.detecting.found import Found
from proxy.gateway.detecting.keeper import Keeper
from proxy.gateway.detecting.place import Place, directory_of
from proxy.gateway.detecting.sender import Sender
from proxy.gateway.metrics import Metrics
from proxy.gateway.worker import Worker
from proxy.model.record import Json
from proxy.pipeline.pipeline import Pipeline
from proxy.settings.schema import Settings
from proxy.settings.secrets import Keys

SILENT_S = 30.0  # so long may the process beside it take to start before that is a problem


class Attached:
    """The detector, as one gateway process sees it."""

    def __init__(
        self, sender: Sender, found: Found, place: Place | None, keeper: Keeper | None
    ) -> None:
        self.sender = sender
        self.found = found
        self.keeper = keeper
        self._place = place
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(
        cls,
        settings: Settings,
        keys: Keys,
        pipeline: Pipeline,
        audit: AuditLog,
        clusters: Clusters,
        worker: Worker | None,
    ) -> "Attached | None":
        """Attached to the pipeline, with what was found before in force; None where it is off."""
        if not settings.detector.enabled:
            return None
        directory = directory_of(settings.state_dir)
        place = Place.open(settings.state_dir) if worker is None else None
        address = place.address if place else worker.detector if worker else ""
        sender = Sender(address, _log_id(settings), str(settings.audit_directory), audit)
        found = Found(
            directory,
            Box(keys.fingerprint),
            Pseudonyms(keys.pseudonym),
            audit,
            lambda index: clusters.adopt(index, pipeline),
            speaks=worker is None or worker.number == 0,
        )
        await found.look()
        pipeline.seen = sender.seen
        pipeline.traits = True
        keeper = Keeper(settings, place.listener.fileno()) if place else None
        attached = cls(sender, found, place, keeper)
        attached.begin()
        return attached

    def begin(self) -> None:
        """Send, and look what was found, from now on."""
        works = (self.sender.run(), self.found.watch())
        self._tasks = [asyncio.create_task(work) for work in works]
        if self.keeper is not None:
            self.keeper.begin()

    async def close(self) -> None:
        """Send what waits; let the process beside it save and end."""
        await self.sender.flush()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.keeper is not None:
            await self.keeper.stop()
        if self._place is not None:
            self._place.close()

    def readiness(self) -> dict[str, Json]:
        """What readiness tells."""
        status = self.sender.status()
        if self.keeper is not None:
            status["restarts"] = self.keeper.restarts
        return {
            "detector": {**status, "clusters": self.found.clusters, "version": self.found.version},
            "detector_problem": self.problem,
        }

    def refresh(self, metrics: Metrics) -> None:
        """Set the figures of now."""
        metrics.detector_silent.set(self.sender.silent_s)
        metrics.detector_waiting.set(self.sender.waiting)
        metrics.detector_dropped.set(self.sender.dropped)
        metrics.detected.set(self.found.clusters)

    @property
    def problem(self) -> str | None:
        """What is wrong, or None."""
        if self.sender.silent_s > SILENT_S:
            return f"the detector has not answered for {self.sender.silent_s:.0f} s"
        return self.found.error


def _log_id(settings: Settings) -> str:
    """The id of this process's audit log, which names its sightings."""
    directory: Path = settings.audit_directory
    first = next(entries(directory))
    return first.id if first.type == "log" else first.hash[:32]  # its beginning was moved away
