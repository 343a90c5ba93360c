"""Delays enacted, within bounds: how long one is, how many are at once, how many begin in a second.

A delayed exchange holds a connection and one of `server.max_streams`, so whoever is delayed could
crowd out everybody else. Past a bound an exchange goes on at once, and is counted; a delay is never
an error.
"""

import asyncio
from collections.abc import Awaitable, Callable

from aiolimiter import AsyncLimiter

from proxy.gateway.metrics import Metrics

LONGEST_DELAY_S = 60.0


class Delays:
    """The delays of one gateway. Made for one event loop."""

    def __init__(
        self,
        *,
        at_once: int,
        per_s: int,
        metrics: Metrics,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._sleep = sleep
        self._at_once = at_once
        self._begun = AsyncLimiter(per_s, 1.0)
        self._metrics = metrics
        self._under_way = 0

    async def enact(self, delay_s: float) -> None:
        """Wait, unless too many do. A client that leaves meanwhile cancels this."""
        if delay_s <= 0:
            return
        if self._under_way >= self._at_once or not self._begun.has_capacity():
            self._metrics.delay("skipped")
            return
        self._under_way += 1
        self._metrics.delayed.inc()
        try:
            await self._begun.acquire()
            self._metrics.delay("enacted")
            await self._sleep(min(delay_s, LONGEST_DELAY_S))
        finally:
            self._under_way -= 1
            self._metrics.delayed.dec()
