"""The detector beside one embedded gateway: sightings come by the socket, all else by files."""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from proxy.facts.pseudonyms import Pseudonyms
from proxy.gateway.detecting import make
from proxy.gateway.detecting.box import Box
from proxy.gateway.detecting.engine import Engine
from proxy.gateway.detecting.files import Files, FindingsFile
from proxy.gateway.detecting.intake import Intake
from proxy.gateway.detecting.messages import Seen
from proxy.gateway.detecting.place import directory_of
from proxy.gateway.detecting.refill import People
from proxy.gateway.detecting.state import State, packed, read, set_aside
from proxy.gateway.detecting.thread import Thread
from proxy.settings.schema import Settings
from proxy.settings.secrets import Keys, ensured

if TYPE_CHECKING:
    from proxy.gateway.detecting.announce import Announcer

log = structlog.get_logger("gauger.detector")

LOOK_EVERY_S = 1.0
ALONE_S = 5.0  # so long is waited for a first gateway before steps are taken
FINDINGS = "findings"  # the source of what investigators said, in this directory


def people_of(settings: Settings, keys: Keys) -> People:
    """Whose pseudonym is whose, by the gateway's own index of accounts."""
    index = settings.state_dir / "accounts.sqlite"
    return People(index, Pseudonyms(keys.pseudonym), keys.fingerprint)


def engine_of(settings: Settings, keys: Keys, state: State | None, directory: Path) -> Engine:
    """An engine that goes on from a state, or from nothing where that is of no use to it.

    Such a state is set aside in the directory: the setting that it does not fit may be put back.
    """
    sketch = make.sketch_of(keys.fingerprint)
    try:
        return Engine(make.detector_of(settings, keys.fingerprint), sketch, state)
    except (ValueError, KeyError, TypeError) as error:
        if state is None:
            raise
        log.error("the detector begins anew: its state is of no use", problem=repr(error))
        set_aside(directory, packed(state, Box(keys.fingerprint)))
        return Engine(make.detector_of(settings, keys.fingerprint), sketch, None)


def announcer_of(settings: Settings, keys: Keys, directory: Path) -> "Announcer | None":
    """Who is told of clusters; None where the settings name nobody."""
    if settings.detector.webhook is None:
        return None
    from proxy.gateway.detecting.announce import Announcer  # noqa: PLC0415 (brings an HTTP client)

    return Announcer(settings.detector.webhook, keys, directory)


class Beside:
    """The detector, its thread, its files and its socket."""

    def __init__(self, settings: Settings, keys: Keys, directory: Path) -> None:
        box = Box(keys.fingerprint)
        self._engine = engine_of(settings, keys, read(directory, box), directory)
        self._announcer = announcer_of(settings, keys, directory)
        tell = self._announcer.tell if self._announcer else None
        files = Files(directory, box, self._engine, tell)
        self._findings = FindingsFile(directory)
        self._thread = Thread(self._engine, files.hand_out, files.keep)
        self._accepted = dict(self._engine.positions)
        self._intake = Intake(self, partial(people_of, settings, keys))
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(cls, settings: Settings) -> "Beside":
        """Load what was saved."""
        return cls(settings, ensured(settings), directory_of(settings.state_dir))

    async def listen(self, listener: socket.socket) -> None:
        """Begin to work."""
        self._thread.start()
        if self._announcer is not None:
            self._announcer.begin()
        await self._intake.listen(listener)
        self._tasks = [asyncio.create_task(self._alone()), asyncio.create_task(self._follow())]

    async def close(self) -> None:
        """Count what has come, save, and end."""
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._intake.close()
        await self._thread.stop()
        if self._announcer is not None:
            await self._announcer.close()

    async def position(self, source: str) -> int | None:
        """The last position that was accepted."""
        return self._accepted.get(source)

    async def begin(self, source: str, position: int) -> None:
        """A new source begins after this position; from then on the log makes good what is lost."""
        self._accepted[source] = position
        self._thread.do(partial(self._engine.begin, source, position))
        await self._thread.save()

    async def accept(self, source: str, batch: Sequence[Seen], *, paced: bool) -> None:
        """Have sightings counted."""
        await self._thread.put(source, batch, paced=paced)
        self._accepted[source] = max(
            self._accepted.get(source, 0), *(seen.sighting.position for seen in batch)
        )

    def ready(self) -> None:
        """Steps may be taken."""
        self._thread.go()

    async def _alone(self) -> None:
        """Where no gateway comes, time goes on all the same."""
        await asyncio.sleep(ALONE_S)
        self._thread.go()

    async def _follow(self) -> None:
        """Have findings heard as they come."""
        while True:
            self._thread.do(self._hear)
            await asyncio.sleep(LOOK_EVERY_S)

    def _hear(self) -> None:
        found, offset = self._findings.after(self._engine.findings)
        for number, finding in enumerate(found):
            self._engine.hear(FINDINGS, self._engine.findings + number, finding)
        self._engine.findings = offset
