"""The one thread that touches the detector, between an event loop that must not wait for it.

Whoever puts something in waits while too much is waiting already, so that a slow detector is felt
by the queue of the gateway, which is bounded, and by nothing else.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog

from proxy.gateway.detecting.clock import Clock
from proxy.gateway.detecting.engine import Engine, Step
from proxy.gateway.detecting.messages import Seen
from proxy.gateway.detecting.state import State
from proxy.gateway.logs import told

TICK_S = 1.0
MOST_WAITING = 4_096  # sightings
PAUSE_S = 0.01

Work = Callable[[], None]

log = structlog.get_logger("gauger.detector")


class Thread:
    """Runs an engine. `hand_out` and `keep` are called on the thread: with what a step brought,
    and with a state to be saved.

    No step is taken before `go`: what came before a restart must be counted first.
    """

    def __init__(
        self, engine: Engine, hand_out: Callable[[Step], None], keep: Callable[[State], None]
    ) -> None:
        self.engine = engine
        self._hand_out = hand_out
        self._keep = keep
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._waiting = 0
        self._counting = threading.Lock()
        self._going = False
        self._failures = 0
        self._clock = Clock()
        self._step: Step | None = None  # one that could not be handed out yet
        self._thread = threading.Thread(target=self._run, name="detector", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def go(self) -> None:
        """From now on steps may be taken."""
        self._going = True

    async def put(
        self, source: str, batch: Sequence[Seen], *, paced: bool = False, stream: str | None = None
    ) -> None:
        """Have sightings counted; `stream` is where the stream is to be read on from after them."""
        while self._waiting > MOST_WAITING:  # noqa: ASYNC110 (another thread's number)
            await asyncio.sleep(PAUSE_S)
        self._count(len(batch))

        def take() -> None:
            try:
                self.engine.until_ns = self._now_ns()
                self.engine.take(source, batch, paced=paced)
                if stream is not None:
                    self.engine.stream = stream
            finally:
                self._count(-len(batch))

        self._queue.put(take)

    def do(self, work: Work) -> None:
        """Do something on the thread, in its turn."""
        self._queue.put(work)

    async def save(self) -> None:
        """Have a state saved, and wait for that; a disk that refuses is told in the log."""
        done = threading.Event()

        def saving() -> None:
            try:
                self._save()
            finally:
                done.set()

        self._queue.put(saving)
        while not done.is_set() and self._thread.is_alive():  # noqa: ASYNC110 (another thread)
            await asyncio.sleep(PAUSE_S)

    async def stop(self, *, save: bool = True) -> None:
        """Finish what waits, save, and end."""
        self._queue.put(self._save if save else None)
        if save:
            self._queue.put(None)
        while self._thread.is_alive():  # noqa: ASYNC110 (another thread)
            await asyncio.sleep(PAUSE_S)

    def _count(self, more: int) -> None:
        with self._counting:
            self._waiting += more

    def _run(self) -> None:
        next_s = time.monotonic()
        while True:
            work: Work | None = self._nothing
            with suppress(queue.Empty):
                work = self._queue.get(timeout=max(0.0, next_s - time.monotonic()))
            if work is None:
                return
            self._safely(work)
            if time.monotonic() >= next_s:
                self._safely(self._tick)
                next_s = time.monotonic() + TICK_S

    def _tick(self) -> None:
        now_ns = self._now_ns()
        if self._going:
            self._step = self.engine.step(now_ns) or self._step
        if self._step is not None:
            self._hand_out(self._step)
            self._step = None
        if self.engine.is_to_be_saved(now_ns):
            self._save()

    def _save(self) -> None:
        self._keep(self.engine.state(self._now_ns()))

    def _now_ns(self) -> int:
        return self._clock.now_ns(time.time_ns(), time.monotonic_ns())

    def _safely(self, work: Work) -> None:
        try:
            work()
        except Exception as error:  # the boundary: a full disk, say; it is tried again
            self._failures += 1
            if self._failures & (self._failures - 1) == 0:  # told ever more rarely
                why = {"problem": error.strerror} if isinstance(error, OSError) else {}
                log.error("the detector's work failed", times=self._failures, **why, **told(error))

    @staticmethod
    def _nothing() -> None:
        pass
