"""`workers: N`: a supervisor that starts, watches, restarts and stops N serving processes.

It binds the ports and serves nothing. All workers accept from the same socket, which outlives each
of them: a connection that waits to be accepted when a worker dies goes to another one. (With
SO_REUSEPORT each would have a queue of its own that dies with it, and macOS does not balance them.)

Invariants. A start that cannot work is told once and ends everything: the first worker starts alone
(it also makes what all share: keys, directories, the accounts' index), and none is restarted
before all of them serve. No worker outlives the supervisor: each holds the end of a pipe. The heavy
parts are imported by workers only, each started afresh: nothing of them is here.
"""

import asyncio
import signal
import socket
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from proxy.audit.workers import log_of
from proxy.gateway.detecting.keeper import Keeper
from proxy.gateway.detecting.place import Place
from proxy.gateway.logs import configure_logs
from proxy.gateway.restarts import Pace, Restarts
from proxy.gateway.sockets import bound, listening, name_of
from proxy.gateway.worker import DRAIN, HURRY, READY, Handover
from proxy.settings.load import state_directory
from proxy.settings.schema import Settings

GRACE_S = 15.0  # beyond the drain: settling, and closing the log

log = structlog.get_logger("gauger")


def supervise(settings: Settings, command: Sequence[str], pace: Pace | None = None) -> int:
    """Run `settings.workers` workers until a signal says to stop; the exit code.

    `command` starts one. ProblemsError where an address cannot be had; what else is wrong the
    first worker tells.
    """
    configure_logs()
    with Sockets.open(settings) as sockets:
        return asyncio.run(Supervisor(settings, command, sockets, pace or Pace()).run())


class Sockets:
    """What workers inherit: the two listeners they share, and an inner one for each."""

    def __init__(
        self,
        data: socket.socket,
        admin: socket.socket,
        inner: list[socket.socket],
        detector: Place | None = None,
    ) -> None:
        self.data = data
        self.admin = admin
        self.inner = inner
        self.detector = detector

    @classmethod
    def open(cls, settings: Settings) -> "Sockets":
        """Bound; the workers listen, so that nobody is let in before one can serve."""
        data = bound(settings.server.listen, "server.listen")
        admin = bound(settings.admin.listen, "admin.listen")
        inner = [bound("127.0.0.1:0", "workers") for _ in range(settings.workers)]
        inner = [listening(sock, "workers") for sock in inner]
        detector = None
        if settings.detector.enabled:
            detector = Place.open(state_directory(settings))
        return cls(data, admin, inner, detector)

    def __enter__(self) -> "Sockets":
        return self

    def __exit__(self, *_: object) -> None:
        for sock in (self.data, self.admin, *self.inner):
            sock.close()
        if self.detector is not None:
            self.detector.close()

    def handover(self, settings: Settings, number: int) -> Handover:
        """What a worker gets. Its audit log is its own: a log has one writer."""
        directory = log_of(settings.audit_directory, number)
        audit = settings.audit.model_copy(update={"directory": directory})
        return Handover(
            settings=settings.model_copy(update={"audit": audit}),
            number=number,
            listener=self.data.fileno(),
            admin=self.admin.fileno(),
            inner=self.inner[number].fileno(),
            siblings=tuple(map(name_of, self.inner)),
            detector=self.detector.address if self.detector else "",
        )


@dataclass(slots=True)
class Slot:
    """The place of one worker, and the process that fills it now."""

    number: int
    restarts: Restarts
    process: Process | None = None
    began_s: float = 0.0
    serves: bool = False


class Supervisor:
    """The supervisor's state while it runs."""

    def __init__(
        self, settings: Settings, command: Sequence[str], sockets: Sockets, pace: Pace
    ) -> None:
        self._settings = settings
        self._command = tuple(command)
        self._sockets = sockets
        self._slots = [Slot(number, Restarts(pace)) for number in range(settings.workers)]
        place = sockets.detector
        self._detector = Keeper(settings, place.listener.fileno()) if place else None
        self._stopping = asyncio.Event()
        self._failed = False
        self._deadline: asyncio.TimerHandle | None = None

    async def run(self) -> int:
        """Until everything has ended; 1 where it ended otherwise than by a signal and in time."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        try:
            await self._first(self._slots[0])
            if self._detector is not None and not self._stopping.is_set():
                self._detector.begin()  # with the keys and the index that the first one made
            await asyncio.gather(*map(self._first, self._slots[1:]))
            if not self._stopping.is_set():
                log.info(
                    "all workers serve",
                    workers=len(self._slots),
                    listen=name_of(self._sockets.data),
                    admin=name_of(self._sockets.admin),
                )
            await asyncio.gather(*map(self._keep, self._slots))
        finally:
            self._kill()
            if self._detector is not None:
                await self._detector.stop()
        log.info("all workers stopped")
        return int(self._failed)

    async def _first(self, slot: Slot) -> None:
        """A worker's first start; where that fails all is over."""
        if self._stopping.is_set() or await self._start(slot):
            return
        if slot.process is not None:
            code = await slot.process.wait()
            if code != 1:  # it has not told why
                log.error("a worker did not start", worker=slot.number, **_how(code))
        self._give_up()

    async def _keep(self, slot: Slot) -> None:
        """Have a worker in a slot until all stop."""
        while slot.process is not None:
            code = await slot.process.wait()
            lived_s = time.monotonic() - slot.began_s
            if self._stopping.is_set():
                return
            again_in_s = slot.restarts.ended(lived_s, served=slot.serves)
            said = {"worker": slot.number, "pid": slot.process.pid, **_how(code)}
            if again_in_s is None:
                log.error("a worker does not start, again and again: giving up", **said)
                self._give_up()
                return
            log.error("a worker ended", **said, again_in_s=again_in_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), again_in_s)
            if self._stopping.is_set():
                return
            await self._start(slot)

    async def _start(self, slot: Slot) -> bool:
        """Start a worker; whether it came to serve. Otherwise it has ended, or will now."""
        handover = self._sockets.handover(self._settings, slot.number)
        slot.serves, slot.began_s = False, time.monotonic()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=PIPE,
                stdout=PIPE,
                pass_fds=(handover.listener, handover.admin, handover.inner),
                process_group=0,  # Ctrl-C reaches the supervisor alone
            )
        except OSError as error:  # no memory, no descriptors: a start that failed
            log.error("no process for a worker", worker=slot.number, problem=str(error))
            return False
        slot.process = process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(handover.written())
        if self._stopping.is_set():  # signalled while it was being started
            process.stdin.write(DRAIN)
        slot.serves = await process.stdout.readline() == READY
        return slot.serves

    def _signalled(self) -> None:
        """The first signal begins the drain, the second ends it."""
        if self._stopping.is_set():
            self._order(HURRY)
            self._kill_in(GRACE_S)
        else:
            self._stop()

    def _give_up(self) -> None:
        self._failed = True
        if not self._stopping.is_set():
            self._stop()

    def _stop(self) -> None:
        drain_s = self._settings.server.drain_s
        log.info("stopping all workers", at_most_s=drain_s)
        self._stopping.set()
        self._order(DRAIN)
        # Once the workers have closed theirs too nobody listens, and callers go elsewhere.
        self._sockets.data.close()
        self._kill_in(drain_s + GRACE_S)

    def _order(self, order: bytes) -> None:
        for slot in self._running():
            if slot.process and slot.process.stdin:
                slot.process.stdin.write(order)

    def _reload(self) -> None:
        """SIGHUP, to those who know it already: one that starts reads everything anyway."""
        for slot in self._running():
            if slot.process and slot.serves:
                slot.process.send_signal(signal.SIGHUP)

    def _running(self) -> list[Slot]:
        return [s for s in self._slots if s.process and s.process.returncode is None]

    def _kill_in(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(seconds, self._kill)

    def _kill(self) -> None:
        for slot in self._running():
            if slot.process:
                log.error("a worker does not stop: it is killed", worker=slot.number)
                self._failed = True
                slot.process.kill()


def _how(code: int) -> dict[str, object]:
    """How a process ended, as log fields."""
    return {"code": code} if code >= 0 else {"signal": signal.Signals(-code).name}
