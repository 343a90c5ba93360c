"""What runs beside the traffic: heartbeats, and probes that find a lost store again.

A probe is what an exchange asks: an answer within the time-out, by a server that takes writes. How
long our own loop was late is taken off, so that a busy process does not lose the store for good.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from proxy.store.breaker import Breaker
from proxy.store.errors import StoreUnavailable
from proxy.store.replicas import HEARTBEAT_S, HORIZON_MS, Replicas
from proxy.store.shared import Shared

CONNECTS_WITHIN_S = 1.0
TRIES = 3  # of a probe to be fast enough
TELLS_WITHIN_S = 2.0  # what was used meanwhile is told so long before the store is asked again
PACE_S = 0.2  # how soon what cannot wait for the next heartbeat is done
NS_PER_MS = 1_000_000

log = structlog.get_logger("gauger.store")


class Watch:
    """Watches one store; `lost` and `found` are called once for each opening and closing."""

    def __init__(
        self,
        shared: Shared,
        id_: str,
        breaker: Breaker,
        replicas: Replicas,
        *,
        timeout_s: float,
        clock_s: Callable[[], float],
        wall_ns: Callable[[], int],
        tell: Callable[[int], Awaitable[bool]],
        lost: Callable[[], None],
        found: Callable[[float], None],
    ) -> None:
        self._shared = shared
        self._id = id_
        self._breaker = breaker
        self._replicas = replicas
        self._timeout_s = timeout_s
        self._clock_s = clock_s
        self._wall_ns = wall_ns
        self._tell = tell
        self._lost = lost
        self._found = found
        self._wake = asyncio.Event()
        self._suspected = False
        self._owing = False
        self._beats_at_s = 0.0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Ask once, so that a store that is gone is known to be before the first exchange."""
        await self._pings()  # connects
        await self.look()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def suspect(self) -> None:
        """Look soon: calls were late, and whose fault it is is not known."""
        self._suspected = True
        self._wake.set()

    def tell_soon(self) -> None:
        """There is something to tell although the store is there: calls that it did not answer.

        Soon, not at once: sums cost a busy store less than the calls that it was too busy for.
        """
        if not self._owing:
            self._owing = True
            self._wake.set()

    def wake(self) -> None:
        """The breaker has opened: begin to probe."""
        self._wake.set()

    async def look(self) -> None:
        """While closed: say that we live, and find out whether the store does.

        A heartbeat has as little time as an exchange, and a cluster may miss one node only: while
        exchanges are answered, the store is there.
        """
        self._suspected = False
        began_s = self._clock_s()
        self._beats_at_s = began_s + HEARTBEAT_S
        if await self._beats() or await self._pings():
            await self._tell(self._wall_ns())
        elif self._breaker.heard_s < began_s and self._breaker.trip(self._clock_s()):
            self._lost()

    async def probe(self) -> bool:
        """While open: close again if the store answers as fast as it should, and was told all.

        Nothing waits between the last thing that is told and the closing, so that nothing comes
        between them. Where telling takes too long the rest is told after.
        """
        if not await self._answers():
            return False
        try:
            async with asyncio.timeout(TELLS_WITHIN_S):
                if not await self._tell(self._wall_ns()):
                    return False
        except TimeoutError:
            self._suspected = True
        lasted_s = self._clock_s() - self._breaker.since_s
        self._breaker.close(self._clock_s())
        self._found(lasted_s)
        return True

    async def _run(self) -> None:
        while True:
            try:
                await self._turn()
            except Exception as error:  # a fault of ours must not end the watch: nobody would probe
                log.error("a look at the shared store failed", problem=type(error).__name__)
                await asyncio.sleep(HEARTBEAT_S)

    async def _turn(self) -> None:
        if self._breaker.open:
            await asyncio.sleep(self._breaker.probe_in_s(random.random()))  # noqa: S311
            await self.probe()
            return
        self._wake.clear()
        if self._owing or self._suspected:
            await asyncio.sleep(PACE_S)  # a busy process is not made busier
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._beats_at_s - self._clock_s())):
                    await self._wake.wait()
        if self._owing:
            self._owing = not await self._tell(self._wall_ns())
        if self._suspected or self._clock_s() >= self._beats_at_s:
            await self.look()

    async def _answers(self) -> bool:
        if not await self._pings():
            return False
        for _ in range(TRIES):
            began_s = self._clock_s()
            beaten = await self._beats()
            took_s = self._clock_s() - began_s
            if beaten and took_s - await self._late_s() <= self._timeout_s:
                return True
        return False

    async def _pings(self) -> bool:
        try:
            async with asyncio.timeout(CONNECTS_WITHIN_S):
                await self._shared.ping()
        except (StoreUnavailable, TimeoutError):
            return False
        return True

    async def _beats(self) -> bool:
        now_ms = self._wall_ns() // NS_PER_MS
        try:
            async with asyncio.timeout(CONNECTS_WITHIN_S):
                count = await self._shared.heartbeat(self._id, now_ms, HORIZON_MS)
        except (StoreUnavailable, TimeoutError):
            return False
        if self._replicas.saw(count, now_ms):
            await asyncio.to_thread(self._replicas.save)
        return True

    async def _late_s(self) -> float:
        """How long our own loop takes for nothing."""
        began_s = self._clock_s()
        await asyncio.sleep(0)
        return self._clock_s() - began_s
