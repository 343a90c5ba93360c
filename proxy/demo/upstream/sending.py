"""Put a reply on the wire as its model's name asks: in time, whole, broken or never."""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aiohttp import web

from proxy.demo.upstream.encodings import encoded
from proxy.demo.upstream.faults import Ending, sending
from proxy.demo.upstream.reply import Reply
from proxy.model.exchange import Dialect


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds before the first byte, before each later event, and for the two slow faults."""

    first_s: float = 0.0
    event_s: float = 0.0
    slow_s: float = 0.25
    silence_s: float = 3600.0


async def send(
    request: web.BaseRequest,
    reply: Reply,
    model: str,
    dialect: Dialect,
    timing: Timing,
    wrote: Callable[[], None] = lambda: None,
) -> web.StreamResponse:
    """Send a reply; returns once its ending has happened. `wrote` is called for each piece."""
    plan = sending(model, reply, dialect)
    encoding = _encoding(request, model)
    if not plan.head:
        await _end(request, plan.ending, timing)
        return web.Response()
    response = web.StreamResponse(status=reply.status, headers=list(reply.headers))
    response.headers["Content-Type"] = reply.content_type
    chunks: Iterable[bytes] = plan.chunks
    if encoding:
        response.headers["Content-Encoding"] = encoding
        chunks = encoded(plan.chunks, encoding)
    elif not reply.events:
        promised = reply.body if plan.ending is not Ending.PROPER else b"".join(plan.chunks)
        response.content_length = len(promised)
    await asyncio.sleep(timing.first_s)
    await response.prepare(request)
    await _write(response, chunks, _pause_s(reply, model, timing), wrote)
    await _end(request, plan.ending, timing)
    if plan.ending is Ending.PROPER:
        await response.write_eof()
    return response


def _encoding(request: web.BaseRequest, model: str) -> str | None:
    """The encoding that a model's name asks for, where the client accepts it."""
    wanted = model.removeprefix("encoded-")
    accepted = request.headers.get("Accept-Encoding", "")
    return wanted if wanted != model and wanted in accepted else None


async def _write(
    response: web.StreamResponse,
    chunks: Iterable[bytes],
    pause_s: float,
    wrote: Callable[[], None],
) -> None:
    for chunk in chunks:
        if pause_s:
            await asyncio.sleep(pause_s)
        await response.write(chunk)
        wrote()


def _pause_s(reply: Reply, model: str, timing: Timing) -> float:
    if model == "fault-slow":
        return timing.slow_s
    return timing.event_s if reply.events else 0.0


async def _end(request: web.BaseRequest, ending: Ending, timing: Timing) -> None:
    transport = request.transport
    if ending is Ending.SILENCE:
        await asyncio.sleep(timing.silence_s)
    if transport is None or ending is Ending.PROPER:
        return
    if ending is Ending.RESET:
        await asyncio.sleep(0.02)  # so that what was written leaves before the reset
        # Lingering for no time makes the kernel send RST instead of FIN.
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        return
    transport.close()
