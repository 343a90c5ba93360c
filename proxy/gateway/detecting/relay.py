"""The process beside a gateway that shares a store: sketches, the stream, and what was found.

Sightings of this gateway go into the stream, each once; the detector that reads it may run
anywhere. What it found is fetched into the files that an embedded one would have written.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog

from proxy.gateway.detecting import make
from proxy.gateway.detecting.beside import LOOK_EVERY_S, people_of
from proxy.gateway.detecting.box import Box, SealError
from proxy.gateway.detecting.files import FindingsFile
from proxy.gateway.detecting.intake import Intake
from proxy.gateway.detecting.messages import Seen
from proxy.gateway.detecting.parcel import Parcel, last_of, sealed, sketched
from proxy.gateway.detecting.place import directory_of
from proxy.gateway.detecting.published import CLUSTERS, index_path
from proxy.gateway.detecting.shared import SharedDetector
from proxy.gateway.detecting.state import put
from proxy.gateway.logs import told
from proxy.settings.reach import reach
from proxy.settings.schema import Settings
from proxy.settings.secrets import Keys, ensured
from proxy.store.errors import StoreUnavailable
from proxy.store.redis.connect import route

FETCH_EVERY_S = 0.5
AGAIN_S = 0.5
ALONE_LOOKS = 60  # in a row that nobody had the lease: half a minute
ID = "findings.id"  # in the detector's directory: names what was said here

Answer = TypeVar("Answer")

log = structlog.get_logger("gauger.detector")


def shared_of(settings: Settings, keys: Keys) -> SharedDetector:
    """The detector's part of the configured store, over a connection of its own."""
    redis = settings.store.redis
    assert redis is not None
    way = route(reach(redis, os.environ))
    return SharedDetector(way, keys.fingerprint, redis.prefix, secrets.token_hex(8))


class Stream:
    """Puts things into the stream, however long the store does not answer."""

    def __init__(self, shared: SharedDetector, box: Box) -> None:
        self._shared = shared
        self._box = box
        self._last: dict[str, int] = {}

    async def position(self, source: str) -> int | None:
        """The last place of a source in the stream."""
        if source not in self._last:
            found = await persist(lambda: self._shared.sent(source))
            if found is None:
                return None
            self._last[source] = found
        return self._last[source]

    async def begin(self, source: str, position: int) -> None:
        """A new source begins after this position."""
        await persist(lambda: self._shared.mark_sent(source, position))
        self._last[source] = position

    async def put(self, parcel: Parcel, last: int) -> None:
        """Put a parcel in, once."""
        data = sealed(parcel, self._box)
        await persist(lambda: self._shared.add(parcel.source, last, data))
        self._last[parcel.source] = max(last, self._last.get(parcel.source, 0))


class FindingsSent:
    """Hands what investigators say in a directory on to the stream, each once."""

    def __init__(self, stream: Stream, directory: Path) -> None:
        self._stream = stream
        self._file = FindingsFile(directory)
        self._source = f"findings-{_own_id(directory)}"

    async def run(self) -> None:
        """Follow the file until cancelled. Places are one more than offsets: 0 is none."""
        offset = max(0, (await self._stream.position(self._source) or 1) - 1)
        while True:
            found, end = await asyncio.to_thread(self._file.after, offset)
            if found:
                numbered = [(offset + number, one) for number, one in enumerate(found)]
                parcel = Parcel(self._source, offset + 1, findings=numbered)
                await self._stream.put(parcel, end + 1)
            offset = end
            await asyncio.sleep(LOOK_EVERY_S)


class Relay:
    """The socket, the stream, and the fetching of what was found."""

    def __init__(self, settings: Settings, keys: Keys, directory: Path) -> None:
        self._directory = directory
        self._shared = shared_of(settings, keys)
        self._box = Box(keys.fingerprint)
        self._stream = Stream(self._shared, self._box)
        self._sketch = make.sketch_of(keys.fingerprint)
        self._intake = Intake(self, partial(people_of, settings, keys))
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(cls, settings: Settings) -> "Relay":
        """Ready to listen; nothing is asked of the store yet."""
        return cls(settings, ensured(settings), directory_of(settings.state_dir))

    async def listen(self, listener: socket.socket) -> None:
        """Begin to work."""
        await self._intake.listen(listener)
        findings = FindingsSent(self._stream, self._directory)
        works = (findings.run(), Fetched(self._shared, self._box, self._directory).run())
        self._tasks = [asyncio.create_task(_forever(work)) for work in works]

    async def close(self) -> None:
        """End; what is not in the stream is read from the audit log after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._intake.close()
        await self._shared.close()

    async def position(self, source: str) -> int | None:
        """The last place of a source in the stream."""
        return await self._stream.position(source)

    async def begin(self, source: str, position: int) -> None:
        """A new source begins after this position."""
        await self._stream.begin(source, position)

    async def accept(self, source: str, batch: Sequence[Seen], *, paced: bool) -> None:
        """Sketch, and put into the stream."""
        ready = await asyncio.to_thread(self._sketched, batch)
        after = await self._stream.position(source) or 0
        await self._stream.put(Parcel(source, after, ready, paced=paced), last_of(batch))

    def ready(self) -> None:
        """Nothing: whoever reads the stream takes the steps."""

    def _sketched(self, batch: Sequence[Seen]) -> list[Seen]:
        ready = []
        for seen in batch:
            try:
                ready.append(sketched(seen, self._sketch))
            except Exception as error:  # the boundary: text of a caller costs its own sketch only
                log.error("defect", **told(error))
                ready.append(sketched(seen, lambda _: ()))
        return ready


class Fetched:
    """What the detector found, brought from the store into the files that gateways look at."""

    def __init__(self, shared: SharedDetector, box: Box, directory: Path) -> None:
        self._shared = shared
        self._box = box
        self._directory = directory
        self._number: bytes | None = None
        self._alone = 0

    async def run(self) -> None:
        """Fetch what is new, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(FETCH_EVERY_S)

    async def look(self) -> None:
        """Fetch it once, if it is new."""
        try:
            self._told_alone(await self._shared.active())
            number = await self._shared.get("found")
            if number is None or number == self._number:
                return
            index = await self._shared.get_whole("index")
            clusters = await self._shared.get_whole("clusters")
            if index is not None and clusters is not None:
                opened = self._box.open("clusters", clusters)
                await asyncio.to_thread(self._write, index, opened)
                self._number = number
        except StoreUnavailable:
            return
        except SealError as error:
            log.error("what was found cannot be read", problem=str(error))

    def _told_alone(self, active: bool) -> None:
        """Say so where nobody detects: sightings would fill the stream, and nothing come of it."""
        self._alone = 0 if active else self._alone + 1
        if self._alone == ALONE_LOOKS:
            log.error("nobody reads the sightings: no `gauger detect` is active")

    def _write(self, index: bytes, clusters: bytes) -> None:
        put(self._directory / CLUSTERS, clusters, durable=False)
        put(index_path(self._directory), index, durable=False)


async def persist(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """The store's answer, however long it takes to come."""
    silent = False
    while True:
        try:
            return await ask()
        except StoreUnavailable as error:
            if not silent:
                log.warning("the shared store does not take sightings", problem=str(error))
            silent = True
            await asyncio.sleep(AGAIN_S)


async def _forever(work: Coroutine[Any, Any, None]) -> None:
    """Work that is not to end; a defect in it ends the process, which is started again."""
    try:
        await work
    except Exception as error:  # the boundary
        log.error("defect", **told(error))
        os._exit(1)


def _own_id(directory: Path) -> str:
    path = directory / ID
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        put(path, secrets.token_hex(8).encode())
        return path.read_text().strip()
