"""The load generator: raw HTTP/1.1 over kept connections, in a process of its own.

`python -m bench.overhead.load` reads one job as JSON from its standard input and writes one result
as JSON to its standard output. Kinds of job:

- `closed`: every connection sends its next request as soon as the answer is there (saturation);
- `paced`: requests leave at a rate, whatever the answers do (latency at a given load). Each is
  timed from the moment it is written; connections are opened as they are needed;
- `stream`: as `closed` over streamed answers; times the first event and the way of each event;
- `hold`: opens streams, says `open` and keeps them until its standard input closes.
"""

import asyncio
import contextlib
import json
import re
import sys
import time
from collections.abc import Callable
from typing import Any, cast

import uvloop

from bench.overhead.http1 import Message, begin
from bench.overhead.requests import requests

LEFT = re.compile(rb'"left_ns":(\d+)')
TICK_S = 0.001
OPENING = 32  # streams that may be waiting for their first byte
HOLD_PATIENCE_S = 60.0
Job = dict[str, Any]
Done = Callable[["Connection"], None]


class Connection(asyncio.Protocol):
    """One kept connection with at most one request on its way."""

    def __init__(self, done: Done, began: Done | None = None) -> None:
        self._done = done
        self._began = began
        self._transport: asyncio.Transport | None = None
        self._pending = b""
        self._message: Message | None = None
        self.sent_ns = 0
        self.first_ns = 0  # when the first byte of the answer's body came
        self.status = 0
        self.failed = ""
        self.event_ns: list[int] = []  # how long each streamed event was on its way

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready to send."""
        self._transport = cast("asyncio.Transport", transport)

    def send(self, data: bytes) -> None:
        """Send a request; `done` is called when its answer is whole."""
        assert self._transport is not None
        self.sent_ns = time.monotonic_ns()
        self.first_ns = 0
        self._transport.write(data)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Gather the answer."""
        now_ns = time.monotonic_ns()
        if self._message is None:
            self._pending += data
            self._message = begin(self._pending)
            if self._message is None:
                return
            data = self._message.body
        else:
            self._message.body += data
        if data and not self.first_ns:
            self.first_ns = now_ns
            if self._began is not None:
                self._began(self)
        self.event_ns += [now_ns - int(left) for left in LEFT.findall(data)]
        if self._message.complete:
            self._finish(self._message)

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that ends during a request is a failure, and is told as one."""
        if self.sent_ns:
            self.failed = f"connection lost: {exc}"
            self._done(self)

    def _finish(self, message: Message) -> None:
        self.status = message.status
        if self.status != 200:
            self.failed = f"{self.status}: {message.body[:300]!r}"
        self._message, self._pending = None, b""
        self._done(self)


class Tally:
    """Times of the answers, in nanoseconds, once the warm-up is over."""

    def __init__(self, warm_ns: int) -> None:
        self.warm_ns = warm_ns
        self.took: list[int] = []
        self.first: list[int] = []
        self.event: list[int] = []
        self.failures = 0
        self.failure = ""

    def take(self, connection: Connection) -> None:
        """Count one answer."""
        if connection.failed:
            self.failures += 1
            self.failure = self.failure or connection.failed
        elif connection.sent_ns >= self.warm_ns:
            self.took.append(time.monotonic_ns() - connection.sent_ns)
            self.first.append(connection.first_ns - connection.sent_ns)
            self.event += connection.event_ns
        connection.event_ns = []
        connection.sent_ns = 0

    def result(self, seconds: float) -> dict[str, Any]:
        """Plain values: counts, rate, and quantiles in microseconds."""
        return {
            "answers": len(self.took),
            "seconds": seconds,
            "rate": len(self.took) / seconds,
            "took_us": quantiles(self.took),
            "first_us": quantiles(self.first),
            "event_us": quantiles(self.event),
            "failures": self.failures,
            "failure": self.failure,
        }


def quantiles(values_ns: list[int]) -> dict[str, float] | None:
    """p50, p90 and p99 in microseconds."""
    if not values_ns:
        return None
    ordered = sorted(values_ns)
    return {
        f"p{percent}": ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] / 1000.0
        for percent in (50, 90, 99)
    }


class Run:
    """One job: its connections, what they send next, and the tally."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._requests = requests(job["host"], job["model"])
        self._next = 0
        now_ns = time.monotonic_ns()
        self._end_ns = now_ns + int((job["warm_s"] + job["seconds"]) * 1e9)
        self.tally = Tally(now_ns + int(job["warm_s"] * 1e9))
        self.idle: list[Connection] = []

    async def connect(self, done: Done, began: Done | None = None) -> Connection:
        """Open one connection."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: Connection(done, began), "127.0.0.1", self._job["port"]
        )
        return connection

    def following(self) -> bytes:
        """The next request, in turn."""
        self._next += 1
        return self._requests[self._next % len(self._requests)]

    async def closed(self) -> None:
        """Saturate: as many requests on their way as there are connections."""
        finished = asyncio.get_running_loop().create_future()
        open_now = self._job["connections"]

        def done(connection: Connection) -> None:
            nonlocal open_now
            failed = bool(connection.failed)
            self.tally.take(connection)
            if not failed and time.monotonic_ns() < self._end_ns:
                connection.send(self.following())
                return
            open_now -= 1
            connection.close()
            if open_now == 0:
                finished.set_result(None)

        for connection in [await self.connect(done) for _ in range(open_now)]:
            connection.send(self.following())
        await finished

    async def paced(self) -> None:
        """Send at a rate; a request that finds no idle connection gets a new one."""
        opening: set[asyncio.Task[None]] = set()

        def done(connection: Connection) -> None:
            failed = bool(connection.failed)
            self.tally.take(connection)
            if not failed:
                self.idle.append(connection)

        async def open_and_send() -> None:
            connection = await self.connect(done)
            connection.send(self.following())

        for _ in range(self._job["connections"]):
            self.idle.append(await self.connect(done))
        began_ns, sent = time.monotonic_ns(), 0
        while (now_ns := time.monotonic_ns()) < self._end_ns:
            due = int((now_ns - began_ns) * self._job["rate"] / 1e9)
            for _ in range(due - sent):
                if self.idle:
                    self.idle.pop().send(self.following())
                else:
                    opening.add(asyncio.create_task(open_and_send()))
            sent = due
            await asyncio.sleep(TICK_S)
        await asyncio.gather(*opening)
        await asyncio.sleep(0.3)
        for connection in self.idle:
            connection.close()

    async def hold(self) -> None:
        """Open streams, a few at a time, say so, and keep them until standard input closes."""
        opening = asyncio.Semaphore(OPENING)
        connections: list[Connection] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HOLD_PATIENCE_S):
                for _ in range(self._job["connections"]):
                    await opening.acquire()
                    connection = await self.connect(self.tally.take, lambda _: opening.release())
                    connection.send(self.following())
                    connections.append(connection)
                for _ in range(OPENING):  # all of them have begun once every place is free
                    await opening.acquire()
        print(json.dumps({"open": sum(1 for one in connections if one.first_ns)}), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for connection in connections:
            connection.sent_ns = 0
            connection.close()


async def main() -> None:
    """Read the job, run it, write the result."""
    job: Job = json.loads(sys.stdin.readline())
    run = Run(job)
    match job["kind"]:
        case "closed" | "stream":
            await run.closed()
        case "paced":
            await run.paced()
        case "hold":
            await run.hold()
        case other:
            raise ValueError(f"unknown kind of load: {other}")
    print(json.dumps(run.tally.result(job["seconds"])), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
