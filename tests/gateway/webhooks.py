"""A webhook's receiver on loopback: it keeps what came, and answers as it is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Receiver:
    """What came, and what is answered: a status, or (status, headers), the last one for ever."""

    url: str = ""
    answers: list[int | tuple[int, dict[str, str]]] = field(default_factory=lambda: [204])
    came: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    waits: float = 0.0

    async def take(self, request: web.Request) -> web.Response:
        self.came.append((dict(request.headers), await request.read()))
        await asyncio.sleep(self.waits)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        return web.Response(status=status, headers=headers)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver that listens until the block ends."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook/secret-path", receiver.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        receiver.url = f"http://{host}:{port}/hook/secret-path"
        yield receiver
    finally:
        await runner.cleanup()
