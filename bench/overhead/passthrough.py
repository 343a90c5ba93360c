"""The yardstick: the shortest aiohttp reverse proxy that streams both ways and does nothing else.

`python -m bench.overhead.passthrough PORT UPSTREAM_PORT`
"""

import asyncio
import sys

import uvloop
from aiohttp import ClientSession, TCPConnector, web

HOP = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding"})


async def serve(port: int, upstream: str) -> None:
    """Serve on the loopback address until cancelled."""
    connector = TCPConnector(limit=0)
    async with ClientSession(connector=connector, auto_decompress=False) as session:

        async def relay(request: web.BaseRequest) -> web.StreamResponse:
            headers = {
                name: text for name, text in request.headers.items() if name.lower() not in HOP
            }
            body = await request.read()
            url = upstream + request.raw_path
            async with session.request(request.method, url, data=body, headers=headers) as got:
                kept = {name: text for name, text in got.headers.items() if name.lower() not in HOP}
                answer = web.StreamResponse(status=got.status, headers=kept)
                answer.content_length = got.content_length
                await answer.prepare(request)
                async for data in got.content.iter_any():
                    await answer.write(data)
                await answer.write_eof()
                return answer

        runner = web.ServerRunner(web.Server(relay, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), f"http://127.0.0.1:{sys.argv[2]}"))
