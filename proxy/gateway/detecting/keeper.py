"""Keeps one process beside the gateway (or beside all workers): started, watched, started again.

Whatever becomes of it, nothing on the request path is hurt: sightings wait for it, up to a bound.
It ends with whoever keeps it, however that ends: it holds the end of a pipe.
"""

import asyncio
import os
import pickle
import signal
import struct
import sys
import time
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from dataclasses import dataclass

import structlog

from proxy.gateway.restarts import Pace, Restarts
from proxy.settings.schema import Settings

COMMAND = (sys.executable, "-m", "proxy.gateway.detecting.child")
READY = b"ready\n"
STOP = b"s"
STOP_S = 15.0  # to count what waits, and to save
_LENGTH = struct.Struct("!I")

log = structlog.get_logger("gauger.detector")


@dataclass(frozen=True, slots=True)
class Start:
    """What the process is started with: the very settings that were checked, secrets too, and
    the descriptor of its listening socket."""

    settings: Settings
    listener: int

    def written(self) -> bytes:
        """As `received` reads it."""
        text = pickle.dumps(self)
        return _LENGTH.pack(len(text)) + text


def received(descriptor: int) -> Start:
    """What the process was started with; EOFError where whoever started it went away."""
    (length,) = _LENGTH.unpack(_exactly(descriptor, _LENGTH.size))
    start = pickle.loads(_exactly(descriptor, length))  # noqa: S301 (from who started us)
    assert isinstance(start, Start)
    return start


class Keeper:
    """Keeps the process. `restarts` counts the times that it had to be started again."""

    def __init__(self, settings: Settings, listener: int, pace: Pace | None = None) -> None:
        self.restarts = 0
        self.ready = False
        self._start = Start(settings, listener)
        self._pace = pace or Pace()
        self._record = Restarts(self._pace)
        self._process: Process | None = None
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return self._process.pid if self._process else None

    def begin(self) -> None:
        """Start it, and see to it from now on."""
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Let it save and end; it is killed if it does not."""
        self._stopping.set()
        process = self._process
        if process is not None and process.stdin is not None:
            with suppress(OSError):
                process.stdin.write(STOP)
        if self._task is not None:
            try:
                await asyncio.wait_for(asyncio.shield(self._task), STOP_S)
            except TimeoutError:
                log.error("the detector does not stop: it is killed")
                self.kill()
                await self._task

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _keep(self) -> None:
        while not self._stopping.is_set():
            began_s = time.monotonic()
            code = await self._run()
            if self._stopping.is_set():
                return
            lived_s = time.monotonic() - began_s
            wait_s = self._record.ended(lived_s, served=self.ready)
            wait_s = self._pace.most_s if wait_s is None else wait_s  # nothing else hangs on it
            self.ready = False
            self.restarts += 1
            log.error("the detector ended", **_how(code), again_in_s=wait_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait_s)

    async def _run(self) -> int:
        """One life of the process: how it ended."""
        try:
            process = await asyncio.create_subprocess_exec(
                *COMMAND,
                stdin=PIPE,
                stdout=PIPE,
                pass_fds=(self._start.listener,),
            )
        except OSError as error:  # no memory, no descriptors
            log.error("no process for the detector", problem=str(error))
            return 1
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(self._start.written())
        if self._stopping.is_set():
            process.stdin.write(STOP)
        try:
            self.ready = await process.stdout.readline() == READY
            return await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def _how(code: int) -> dict[str, object]:
    return {"code": code} if code >= 0 else {"signal": signal.Signals(-code).name}


def _exactly(descriptor: int, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = os.read(descriptor, count - len(data))
        if not part:
            raise EOFError
        data += part
    return data
