"""The listening side: what gateways send, with what was missed before it read from their logs.

Each sighting reaches `accept` once and in the order of its source: what was accepted before is
left out, and what lies between that and a connection's first position is read from the audit log.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import structlog

from proxy.audit.errors import AuditError
from proxy.facts.directory import DirectoryError
from proxy.gateway.detecting.messages import (
    GREETED,
    Greeting,
    Seen,
    received,
    received_greeting,
)
from proxy.gateway.detecting.refill import People, missed

MOST_MISSED = 2_000_000  # records that are read again; of what lies before, nothing is counted

log = structlog.get_logger("gauger.detector")


class Sink(Protocol):
    """Where sightings go."""

    async def position(self, source: str) -> int | None:
        """The last position that was accepted; None for a source that is new."""
        ...

    async def begin(self, source: str, position: int) -> None:
        """A new source begins after this position."""
        ...

    async def accept(self, source: str, batch: Sequence[Seen], *, paced: bool) -> None:
        """Take sightings of a source, all of them later than those before. May take its time."""
        ...

    def ready(self) -> None:
        """The first gateway is here, and what was missed of it is counted."""
        ...


class Intake:
    """Serves a listening socket until closed."""

    def __init__(self, sink: Sink, people: Callable[[], People]) -> None:
        self._sink = sink
        self._people = people
        self._turns: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, listener: socket.socket) -> None:
        """Begin to serve."""
        self._server = await asyncio.start_unix_server(self._serve, sock=listener)

    async def close(self) -> None:
        """Hang up on everybody."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(asyncio.IncompleteReadError, OSError):
                await self._listen_to(reader, writer)
        except (ValueError, asyncio.CancelledError) as error:
            if isinstance(error, ValueError):  # msgspec's are ValueErrors, too
                log.error("a gateway sent what is not understood", problem=type(error).__name__)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _listen_to(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await received_greeting(reader)
        async with self._turns.setdefault(hello.source, asyncio.Lock()):
            last = await self._caught_up(hello)
            self._sink.ready()
            writer.write(GREETED)
            while True:
                batch = await received(reader)
                new = [s for s in batch if not 0 < s.sighting.position <= last]
                if new:
                    await self._sink.accept(hello.source, new, paced=False)
                    last = max(last, *(seen.sighting.position for seen in new))

    async def _caught_up(self, hello: Greeting) -> int:
        """Read what was missed of a source; the last position that is accounted for."""
        last = await self._sink.position(hello.source)
        if last is None:
            await self._sink.begin(hello.source, hello.first - 1)
            return hello.first - 1
        if last + 1 >= hello.first:
            return last
        if hello.first - last > MOST_MISSED:
            log.warning("too much was missed to be read again", records=hello.first - last)
            last = hello.first - MOST_MISSED
        try:
            return await self._refilled(hello, last)
        except (AuditError, OSError, DirectoryError, ValueError, KeyError, TypeError) as error:
            log.error("what was missed cannot be read", problem=type(error).__name__)
            return last

    async def _refilled(self, hello: Greeting, last: int) -> int:
        people = await asyncio.to_thread(self._people)
        count = 0
        try:
            batches = missed(Path(hello.directory), last, hello.first, people)
            while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                await self._sink.accept(hello.source, batch, paced=True)
                last = batch[-1].sighting.position
                count += len(batch)
        finally:
            people.close()
        log.info("read again from the audit log", sightings=count)
        return last
