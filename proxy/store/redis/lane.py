"""Calls to one server: those of one turn of the event loop go out together, over few connections.

A call is answered, or told as `StoreUnavailable`, within its own deadline, whatever the server and
the network do; connecting takes its own time beside it. A connection on which a reply was not
awaited to its end is never used again, so that no reply is taken for another's. Nothing is sent
twice here: whoever calls decides.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from proxy.store.errors import StoreUnavailable
from proxy.store.redis.sentinel import closed

CONNECTIONS = 2
CONNECT_S = 2.0
STALL_S = 0.002  # a timer that is later than this was held up by our own loop, not by the server
MERCY_S = 0.003  # so much longer is then waited, once

Dial = Callable[[], Awaitable[AbstractConnection]]
Failed = (RedisError, OSError, TimeoutError, asyncio.CancelledError)


class Call:
    """A packed command (with `replies` replies, of which the last is the answer)."""

    __slots__ = ("answer", "deadline", "packed", "replies", "sent", "timer")

    def __init__(self, packed: bytes, deadline: float, replies: int) -> None:
        loop = asyncio.get_running_loop()
        self.packed = packed
        self.deadline = deadline
        self.replies = replies
        self.sent = False
        self.answer: asyncio.Future[Any] = loop.create_future()
        self.timer = loop.call_at(deadline, self._late, True)

    def tell(self, answer: object) -> None:
        """Answer the caller, unless he has been answered or has gone."""
        self.timer.cancel()
        if not self.answer.done():
            self.answer.set_result(answer)

    def fail(self, why: str) -> None:
        """Tell the caller that there is no answer."""
        self.tell(StoreUnavailable(why, sent=self.sent))

    def _late(self, merciful: bool) -> None:
        loop = asyncio.get_running_loop()
        if merciful and loop.time() - self.deadline > STALL_S:
            self.timer = loop.call_later(MERCY_S, self._late, False)
        else:
            self.fail("no answer in time")


class Lane:
    """The way to one server."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._waiting: deque[Call] = deque()
        self._idle: list[AbstractConnection] = []
        self._busy = 0
        self._dialling = False
        self._scheduled = False
        self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()

    def call(self, packed: bytes, deadline: float, replies: int = 1) -> asyncio.Future[Any]:
        """The answer to a command, by a deadline of the loop's clock.

        Error replies and `StoreUnavailable` are values of the future, never raised by it.
        """
        call = Call(packed, deadline, replies)
        if self._closed:
            call.fail("the store is closed")
            return call.answer
        self._waiting.append(call)
        self._schedule()
        return call.answer

    async def close(self) -> None:
        """Let go of all connections; calls under way are told that there is no answer."""
        self._closed = True
        self._fail_waiting("the store is closed")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._drop_idle()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._scheduled = False
        batch = [call for call in self._waiting if not call.answer.done()]
        self._waiting.clear()
        if not batch or self._closed:
            return
        if self._idle:
            self._busy += 1
            self._start(self._exchange(self._idle.pop(), batch))
            return
        self._waiting.extend(batch)
        if self._busy < CONNECTIONS and not self._dialling:
            self._dialling = True
            self._start(self._connect())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_S):
                connection = await self._dial()
        except Failed as error:
            if not self._busy and not self._idle:
                self._fail_waiting(str(error) or "no connection in time")
        else:
            self._idle.append(connection)
        finally:
            self._dialling = False
        if self._closed:
            await self._drop_idle()
        self._schedule()

    async def _exchange(self, connection: AbstractConnection, batch: list[Call]) -> None:
        """Send a batch and read its replies; whatever goes wrong costs the connection."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        latest = max([call.deadline for call in batch])
        timer = loop.call_at(latest + STALL_S + MERCY_S, task.cancel)
        why, healthy = "no answer in time", False
        try:
            if await connection.can_read():  # nothing was asked: it was closed, or is confused
                self._waiting.extendleft(reversed(batch))
                batch = []
            else:
                healthy = await _converse(connection, batch)
        except Failed as error:
            why = str(error) or why
        finally:
            timer.cancel()
            self._busy -= 1
        for call in batch:
            call.fail(why)
        await self._put_back(connection, healthy)

    async def _put_back(self, connection: AbstractConnection, healthy: bool) -> None:
        if healthy and not self._closed:
            self._idle.append(connection)
        else:
            await closed(connection)
            await self._drop_idle()  # what befell one befell them all, most likely
        if self._waiting:
            self._schedule()

    def _fail_waiting(self, why: str) -> None:
        while self._waiting:
            self._waiting.popleft().fail(why)

    async def _drop_idle(self) -> None:
        while self._idle:
            await closed(self._idle.pop())


async def _converse(connection: AbstractConnection, batch: list[Call]) -> bool:
    """Send and read; False where the server turned out to be no master any more."""
    for call in batch:
        call.sent = True
    await connection.send_packed_command([call.packed for call in batch], check_health=False)
    healthy = True
    for call in batch:
        reply: object = None
        for _ in range(call.replies):
            try:
                reply = await connection.read_response()
            except ResponseError as error:
                reply = error
        healthy = healthy and not isinstance(reply, ReadOnlyError)
        call.tell(reply)
    return healthy
