"""Sightings on their way to the process beside the gateway.

The request path only puts them into a queue, which is bounded in number and in text. What comes
while it is full is dropped with all that waits, counted, and told; the connection then begins anew,
so that the other side reads from the audit log what it missed (all of it but the sketches).
"""

import asyncio
import time
from collections import deque
from contextlib import suppress
from typing import Protocol

import structlog

from proxy.gateway.detecting.messages import (
    GREETED,
    Greeting,
    Seen,
    bounded,
    characters,
    frame,
    greeting,
)
from proxy.model.exchange import Prompt
from proxy.model.record import Json
from proxy.model.sighting import Described, Sighting

MOST_WAITING = 20_000
MOST_CHARACTERS = 32_000_000
AT_ONCE = 64  # sightings of one frame
FRAME_CHARACTERS = 200_000  # … and their text: encoding it must not stall the loop
GATHER_S = 0.02
AGAIN_S = 0.2
DURABLE_S = 2.0  # so long is waited for records that the other side is to read
LAST_S = 2.0  # so long the end waits until all is sent

log = structlog.get_logger("gauger.detector")


class Log(Protocol):
    """What is asked of the audit log."""

    @property
    def position(self) -> int:
        """The last position that was given."""
        ...

    @property
    def durable_position(self) -> int:
        """The last position that is on the disk."""
        ...


class Sender:
    """The queue of one gateway process and its connection to the process at `address`.

    `source` is the id of the audit log, which is in `directory`. `dropped` counts sightings that
    did not go this way.
    """

    def __init__(self, address: str, source: str, directory: str, audit: Log) -> None:
        self.dropped = 0
        self.sent = 0
        self._address = address
        self._source = source
        self._directory = directory
        self._audit = audit
        self._queue: deque[Seen] = deque()
        self._characters = 0
        self._wake = asyncio.Event()
        self._broken = False
        self._silent_since_s: float | None = time.monotonic()
        self._stuck_since_s: float | None = None

    @property
    def waiting(self) -> int:
        """How many sightings wait to be sent."""
        return len(self._queue)

    @property
    def silent_s(self) -> float:
        """For how long the other side has not answered, or not taken what is sent; 0 while it does.

        One that was stopped, or hangs, keeps its connection.
        """
        since = self._silent_since_s if self._stuck_since_s is None else self._stuck_since_s
        return 0.0 if since is None else time.monotonic() - since

    def seen(self, described: Described, sighting: Sighting, prompt: Prompt) -> None:
        """Put an exchange into the queue; never waits."""
        kept = bounded(prompt)
        size = self._characters + characters(kept)
        if len(self._queue) >= MOST_WAITING or size > MOST_CHARACTERS:
            self._overflow()
            size = characters(kept)
        self._characters = size
        self._queue.append(Seen(described, sighting, kept))
        if not self._wake.is_set():
            self._wake.set()

    def status(self) -> dict[str, Json]:
        """What readiness tells."""
        return {
            "state": "answering" if self._silent_since_s is None else "starting",
            "waiting": self.waiting,
            "sent": self.sent,
            "dropped": self.dropped,
        }

    async def run(self) -> None:
        """Send until cancelled; whatever goes wrong, it is tried again."""
        while True:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._converse()
            if self._silent_since_s is None:
                self._silent_since_s = time.monotonic()
            await asyncio.sleep(AGAIN_S)

    async def flush(self) -> None:
        """Wait a little until all that waits is sent, where somebody takes it."""
        deadline = time.monotonic() + LAST_S
        while self._queue and self._silent_since_s is None and time.monotonic() < deadline:
            self._wake.set()
            await asyncio.sleep(0.01)

    async def _converse(self) -> None:
        """One connection, until it ends."""
        reader, writer = await asyncio.open_unix_connection(self._address)
        try:
            self._broken = False
            first = self._first()
            await self._until_durable(first - 1)
            writer.write(greeting(Greeting(self._source, self._directory, first)))
            await reader.readexactly(len(GREETED))
            self._silent_since_s = None
            await self._send_all(reader, writer)
        finally:
            writer.close()

    def _first(self) -> int:
        """The lowest position that is sent from here."""
        placed = (seen.sighting.position for seen in self._queue if seen.sighting.position)
        return next(placed, self._audit.position + 1)

    async def _until_durable(self, position: int) -> None:
        """Wait until records up to a position can be read; not for ever, if the disk refuses."""
        deadline = time.monotonic() + DURABLE_S
        while self._audit.durable_position < position and time.monotonic() < deadline:  # noqa: ASYNC110 (ends by a deadline)
            await asyncio.sleep(0.01)

    async def _send_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send what comes, until the other side hangs up or too much came at once."""
        hung_up = asyncio.create_task(_end_of(reader, self._wake))
        try:
            while not self._broken and not hung_up.done():
                if not self._queue:
                    self._wake.clear()
                    await self._wake.wait()
                    await asyncio.sleep(GATHER_S)
                    continue
                batch = self._batch()
                writer.write(frame(batch))
                self._stuck_since_s = time.monotonic()
                await writer.drain()
                self._stuck_since_s = None
                self.sent += len(batch)
        finally:
            self._stuck_since_s = None
            hung_up.cancel()

    def _batch(self) -> list[Seen]:
        batch: list[Seen] = []
        size = 0
        while self._queue and len(batch) < AT_ONCE and size < FRAME_CHARACTERS:
            seen = self._queue.popleft()
            size += characters(seen.prompt)
            batch.append(seen)
        self._characters -= size
        return batch

    def _overflow(self) -> None:
        if not self._broken:
            log.warning("sightings come faster than they are taken", dropped=len(self._queue))
        self.dropped += len(self._queue)
        self._queue.clear()
        self._broken = True


async def _end_of(reader: asyncio.StreamReader, wake: asyncio.Event) -> None:
    """Return when the other side hangs up, and wake whoever sends."""
    with suppress(OSError):
        await reader.read(1)
    wake.set()
