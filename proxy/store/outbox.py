"""What the shared store is yet to be told, in order for each reservation, until it has heard it.

Whoever puts something in never waits. Workers send; where the store does not answer, the message
stays first of its reservation and is sent again later: everything that is sent may be repeated.
While the breaker is open nothing is sent at all.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from proxy.store.errors import StoreUnavailable

HELD = 100_000  # reservations that something is yet to be told of
WORKERS = 32
AGAIN_S = 0.1

Send = Callable[[], Awaitable[None]]

log = structlog.get_logger("gauger.store")


@dataclass(frozen=True, slots=True)
class Message:
    """Something to be told; one that is `passing` is not sent if another comes before it is."""

    send: Send
    passing: bool = False


class Outbox:
    """Messages by reservation; beyond the bound those of the oldest are dropped, and counted."""

    def __init__(self, *, held: int = HELD, again_s: float = AGAIN_S) -> None:
        self.dropped = 0
        self.sent = 0
        self._held = held
        self._again_s = again_s
        self._waiting: dict[str, deque[Message]] = {}
        self._busy: set[str] = set()
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._may_send = asyncio.Event()
        self._may_send.set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._workers: list[asyncio.Task[None]] = []

    def __len__(self) -> int:
        """How many reservations there is something to tell of."""
        return len(self._waiting)

    def start(self) -> None:
        """Begin to send, in the running loop."""
        self._workers = [asyncio.create_task(self._work()) for _ in range(WORKERS)]

    def hold(self) -> None:
        """Send nothing until `flow`."""
        self._may_send.clear()

    def flow(self) -> None:
        """Send again."""
        self._may_send.set()

    def put(self, reservation: str, send: Send, *, passing: bool = False) -> None:
        """Tell so, after everything that was put before it for the same reservation."""
        message = Message(send, passing)
        messages = self._waiting.get(reservation)
        if messages is None:
            self._make_room()
            self._waiting[reservation] = deque((message,))
            self._ready.put_nowait(reservation)
            self._empty.clear()
            return
        under_way = len(messages) == 1 and reservation in self._busy
        if messages[-1].passing and not under_way:
            messages.pop()
        messages.append(message)

    async def close(self, within_s: float) -> int:
        """Send what can be sent in this time; how many reservations were not told of."""
        if self._may_send.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self._empty.wait()
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        return len(self._waiting)

    def _make_room(self) -> None:
        if len(self._waiting) < self._held:
            return
        oldest = next((one for one in self._waiting if one not in self._busy), None)
        if oldest is not None:
            del self._waiting[oldest]
            self.dropped += 1

    async def _work(self) -> None:
        while True:
            reservation = await self._ready.get()
            await self._may_send.wait()
            if reservation in self._busy or reservation not in self._waiting:
                continue  # it was dropped, and put in anew
            self._busy.add(reservation)
            try:
                await self._tell(reservation)
            finally:
                self._busy.discard(reservation)
            if not self._waiting:
                self._empty.set()

    async def _tell(self, reservation: str) -> None:
        messages = self._waiting[reservation]
        while messages:
            try:
                await messages[0].send()
                self.sent += 1
            except StoreUnavailable:
                loop = asyncio.get_running_loop()
                loop.call_later(self._again_s, self._ready.put_nowait, reservation)
                return
            except Exception as error:  # a fault of ours must not be sent for ever
                self.dropped += 1
                log.error("the shared store cannot be told", problem=type(error).__name__)
            messages.popleft()
        del self._waiting[reservation]
