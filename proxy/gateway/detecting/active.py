"""`gauger detect`: one active process reads the stream; others stand by and take over in seconds.

Whoever holds the lease loads the state from the store and reads on from where that was saved, so
that nothing is lost and nothing counts twice: what its predecessor read after its last save is read
again, what that published is overwritten. One that loses the lease drops what it has, unsaved.
"""

import asyncio
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import structlog

from proxy.gateway.detecting.beside import announcer_of, engine_of
from proxy.gateway.detecting.box import Box, SealError
from proxy.gateway.detecting.engine import Engine, Step
from proxy.gateway.detecting.files import Files
from proxy.gateway.detecting.parcel import Parcel, opened
from proxy.gateway.detecting.place import directory_of
from proxy.gateway.detecting.published import clusters_file
from proxy.gateway.detecting.published import sealed as published_sealed
from proxy.gateway.detecting.relay import FindingsSent, Stream, shared_of
from proxy.gateway.detecting.shared import LeaseLost, PieceGone, SharedDetector
from proxy.gateway.detecting.state import State, packed, set_aside, unpacked
from proxy.gateway.detecting.thread import Thread
from proxy.settings.schema import Settings
from proxy.settings.secrets import Keys, ensured
from proxy.store.errors import StoreUnavailable

STAND_BY_S = 0.5
RENEW_S = 1.0
READ_EVERY_S = 0.2
ENTRIES = 100  # of the stream, read at once
STATE = "state"

log = structlog.get_logger("gauger.detector")


async def detect(settings: Settings, stopping: asyncio.Event) -> None:
    """Stand by, be active, and stand by again, until told to stop."""
    keys, directory = ensured(settings), directory_of(settings.state_dir)
    shared = shared_of(settings, keys)
    findings = FindingsSent(Stream(shared, Box(keys.fingerprint)), directory)
    following = asyncio.create_task(findings.run())
    try:
        await _by_turns(settings, keys, directory, shared, stopping)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await shared.close()


async def _by_turns(
    settings: Settings,
    keys: Keys,
    directory: Path,
    shared: SharedDetector,
    stopping: asyncio.Event,
) -> None:
    log.info("standing by")
    while not stopping.is_set():
        try:
            if await shared.hold():
                await Active(settings, keys, directory, shared).run(stopping)
                log.info("standing by" if not stopping.is_set() else "stopped")
        except LeaseLost:
            log.warning("another process is active now")
        except StoreUnavailable as error:
            log.warning("the shared store does not answer", problem=str(error))
        await _pause(stopping, STAND_BY_S)


class Active:
    """The active detector, from taking the lease to losing it or being told to stop."""

    def __init__(
        self, settings: Settings, keys: Keys, directory: Path, shared: SharedDetector
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._directory = directory
        self._shared = shared
        self._box = Box(keys.fingerprint)
        self._loop = asyncio.get_running_loop()
        self._outgoing: asyncio.Queue[Step | State] = asyncio.Queue()

    async def run(self, stopping: asyncio.Event) -> None:
        """Until told to stop. Raises LeaseLost, and StoreUnavailable where it lasts too long."""
        renewing = asyncio.create_task(self._renew())
        try:
            engine = await self._engine()
            log.info("active", after=engine.stream, sightings=sum(engine.positions.values()) > 0)
            await self._work(engine, stopping, renewing)
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    async def _work(
        self, engine: Engine, stopping: asyncio.Event, renewing: "asyncio.Task[None]"
    ) -> None:
        telling = announcer_of(self._settings, self._keys, self._directory)
        files = Files(self._directory, self._box, engine, telling.tell if telling else None)
        hand_out = partial(self._handed, files)
        thread = Thread(engine, hand_out, self._out)
        reading = asyncio.create_task(self._read(thread, engine.stream))
        writing = asyncio.create_task(self._write())
        stop = asyncio.create_task(stopping.wait())
        thread.start()
        if telling is not None:
            telling.begin()
        works = {reading, writing, renewing}
        try:
            await asyncio.wait({*works, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            reading.cancel()
            stop.cancel()
            await asyncio.gather(reading, stop, return_exceptions=True)
            orderly = stopping.is_set() and not (writing.done() or renewing.done())
            await thread.stop(save=orderly)
            if telling is not None:
                await telling.close()
            if orderly:
                await self._leave()
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        for work in works:
            if work.done() and not work.cancelled() and (error := work.exception()):
                raise error

    async def _engine(self) -> Engine:
        """The engine, with the state that is in the store."""
        data, state = None, None
        try:
            data = await self._shared.get_whole(STATE)
            if data is not None:
                state = await asyncio.to_thread(unpacked, data, self._box)
        except (PieceGone, SealError, ValueError) as error:  # nobody writes while we have the lease
            log.error("the detector begins anew: its state is of no use", problem=str(error))
            if data is not None:
                set_aside(self._directory, data)
        return await asyncio.to_thread(
            engine_of, self._settings, self._keys, state, self._directory
        )

    async def _renew(self) -> None:
        """Keep the lease. Raises LeaseLost; while the store is silent it is tried again."""
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                if not await self._shared.hold():
                    raise LeaseLost
            except StoreUnavailable:
                continue

    async def _read(self, thread: Thread, place: str) -> None:
        """Read the stream on; steps begin when all is read that was there."""
        positions = dict(thread.engine.positions)
        while True:
            try:
                entries = await self._shared.entries(place, ENTRIES)
            except StoreUnavailable:
                await asyncio.sleep(READ_EVERY_S)
                continue
            if not entries:
                thread.go()
                await asyncio.sleep(READ_EVERY_S)
            for at, data in entries:
                place = at
                try:
                    parcel = opened(data, self._box)
                except ValueError as error:
                    log.error("an entry of the stream is left out", problem=str(error))
                    continue
                _see_gaps(parcel, positions)
                await self._take(thread, parcel, place)

    async def _take(self, thread: Thread, parcel: Parcel, place: str) -> None:
        engine = thread.engine
        for number, finding in parcel.findings:
            thread.do(partial(engine.hear, parcel.source, number, finding))
        await thread.put(parcel.source, parcel.seen, paced=True, stream=place)

    def _handed(self, files: Files, step: Step) -> None:
        """On the detector's thread: what happened goes to the files here, all else to the store."""
        files.note(step)
        self._out(step)

    def _out(self, something: Step | State) -> None:
        self._loop.call_soon_threadsafe(self._outgoing.put_nowait, something)

    async def _write(self) -> None:
        """Write what comes to the store, in order. Raises LeaseLost."""
        while True:
            something = await self._outgoing.get()
            while True:
                try:
                    await self._written(something)
                    break
                except StoreUnavailable as error:
                    log.warning("what was found is not written yet", problem=str(error))
                    await asyncio.sleep(READ_EVERY_S)
            self._outgoing.task_done()

    async def _written(self, something: Step | State) -> None:
        if isinstance(something, State):
            data = await asyncio.to_thread(packed, something, self._box)
            await self._shared.put_whole(STATE, data)
            await self._shared.trim(something.stream)
            return
        published = something.published
        index = await asyncio.to_thread(published_sealed, published, self._box)
        clusters = await asyncio.to_thread(clusters_file, list(something.clusters))
        await self._shared.put_whole("clusters", self._box.seal("clusters", clusters))
        await self._shared.put_whole("index", index)
        await self._shared.put("found", f"{published.number}-{time.time_ns():x}")

    async def _leave(self) -> None:
        """Write the last state, and let another one take over at once."""
        await asyncio.sleep(0)  # what the thread handed over last
        try:
            async with asyncio.timeout(10):
                await self._outgoing.join()
                await self._shared.release()
        except (TimeoutError, StoreUnavailable):
            log.warning("the last state is not in the store; it is read again from the stream")


def _see_gaps(parcel: Parcel, positions: dict[str, int]) -> None:
    """Say so where the stream was cut before it was read."""
    known = positions.get(parcel.source)
    if known is not None and parcel.after > known:
        log.error("sightings were lost: the stream was full before it was read")
    last = max((one.sighting.position for one in parcel.seen), default=parcel.after)
    positions[parcel.source] = max(known or 0, last, parcel.after)


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)
