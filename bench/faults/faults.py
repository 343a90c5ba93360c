"""The faults: what is started, and what is done to it in the middle of the load."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bench.servers.ports import HOST
from bench.servers.relay import FaultRelay
from bench.servers.server import Server
from bench.servers.watched import Watched
from proxy.store.redis.connect import Reach, Sentinels

SLOW_S = 0.05  # what a slow network adds to each reply

Act = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """Where the store is, and a coroutine that breaks it for so many seconds."""

    reach: Reach
    act: Act


@asynccontextmanager
async def killed() -> AsyncIterator[Fault]:
    """`kill -9`, and a new start on the same port with nothing in memory."""
    with Server() as server:

        async def act(lasts_s: float) -> None:
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(lasts_s)
            await asyncio.to_thread(server.restart)

        yield Fault(Reach(address=server.address), act)


@asynccontextmanager
async def paused() -> AsyncIterator[Fault]:
    """SIGSTOP and SIGCONT: connections stay, and what was asked is done afterwards."""
    with Server() as server:

        async def act(lasts_s: float) -> None:
            server.pause()
            try:
                await asyncio.sleep(lasts_s)
            finally:
                server.resume()

        yield Fault(Reach(address=server.address), act)


@asynccontextmanager
async def flushed() -> AsyncIterator[Fault]:
    """All keys and all scripts removed, once."""
    with Server() as server:

        async def act(lasts_s: float) -> None:
            await asyncio.to_thread(server.flush)
            await asyncio.sleep(lasts_s)

        yield Fault(Reach(address=server.address), act)


@asynccontextmanager
async def failed_over() -> AsyncIterator[Fault]:
    """The primary killed; a Sentinel has the replica take over when it notices."""
    with Watched() as watched:
        sentinels = Sentinels(watched.name, tuple(watched.addresses))

        async def act(_: float) -> None:
            before = watched.primary
            await asyncio.to_thread(before.kill)
            await asyncio.to_thread(watched.wait_for_takeover, before)

        yield Fault(Reach(sentinels=sentinels), act)


@asynccontextmanager
async def slowed() -> AsyncIterator[Fault]:
    """Every reply comes later, by more than the store's time-out."""
    with Server() as server:
        async with FaultRelay(server.port) as relay:

            async def act(lasts_s: float) -> None:
                relay.reply_delay_s = SLOW_S
                await asyncio.sleep(lasts_s)
                relay.reply_delay_s = 0.0

            yield Fault(Reach(address=(HOST, relay.port)), act)


FAULTS = {
    "killed": killed,
    "paused": paused,
    "flushed": flushed,
    "failed over": failed_over,
    "slowed": slowed,
}
