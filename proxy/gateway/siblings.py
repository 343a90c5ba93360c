"""The other workers of a gateway, and what all of them together say to the admin listener.

Whoever of the workers gets a request on the shared admin address asks the others on inner
listeners, each worker's own, on loopback. Only health and metrics are to be had there.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
from aiohttp import web

from proxy.gateway.merged_metrics import merged
from proxy.gateway.worker import Worker
from proxy.model.record import Json

PATIENCE_S = 0.5  # whoever probes readiness waits for a second at most, often
SILENT: dict[str, Json] = {"status": "does not answer"}

Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Siblings:
    """What worker `worker` knows of the others, and tells them."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._runner: web.AppRunner | None = None

    async def listen(self, own: Mapping[str, Respond]) -> None:
        """Answer the others, by path."""
        app = web.Application()
        for path, respond in own.items():
            app.router.add_get(path, respond)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.SockSite(self._runner, self._worker.inner).start()

    async def close(self) -> None:
        """Answer no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def metrics(self, own: bytes) -> bytes:
        """The metrics of all workers."""
        found = await self._asked("/metrics")
        return merged(found | {self._worker.number: own})

    async def readiness(self, ready: bool, own: dict[str, Json]) -> tuple[bool, dict[str, Json]]:
        """Ready if every worker that answers is; one that does not is being started again.

        Its connections come to the others meanwhile.
        """
        status = "ready" if ready else "not ready"
        told: dict[int, dict[str, Json]] = {self._worker.number: {"status": status, **own}}
        for number, body in (await self._asked("/readyz")).items():
            told[number] = SILENT if body is None else json.loads(body)
        well = all(one["status"] in ("ready", SILENT["status"]) for one in told.values())
        workers: dict[str, Json] = {str(number): told[number] for number in sorted(told)}
        return well, {**own, "worker": self._worker.number, "workers": workers}

    async def _asked(self, path: str) -> dict[int, bytes | None]:
        """The others' answers, by number; None where none comes in time."""
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        others = [n for n in range(len(self._worker.siblings)) if n != self._worker.number]
        async with aiohttp.ClientSession(timeout=timeout) as session:
            urls = (f"http://{self._worker.siblings[n]}{path}" for n in others)
            answers = await asyncio.gather(*(_get(session, url) for url in urls))
        return dict(zip(others, answers, strict=True))


async def _get(session: aiohttp.ClientSession, url: str) -> bytes | None:
    try:
        async with session.get(url) as response:
            return await response.read()
    except (aiohttp.ClientError, TimeoutError):
        return None
