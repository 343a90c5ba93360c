"""Reading a request's body, within limits on its size and on the sender's time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web

from proxy.model.decision import Refusal
from proxy.model.verdict import RefusalKind
from proxy.wire.encoding import decode_body

MAX_RATIO = 100.0  # of a decoded body to its compressed size


@dataclass(frozen=True, slots=True)
class Body:
    """A body that was read whole: as it came, and decoded (the same bytes if it was not coded)."""

    raw: bytes
    text: bytes


async def read_body(
    request: web.BaseRequest, *, max_bytes: int, timeout_s: float
) -> Body | Refusal:
    """The whole body, or why it is refused (413, 408, 415, 400)."""
    if declares_more(request, max_bytes):
        return too_large(max_bytes)
    expect_continue(request)
    content = request.content
    if content.is_eof() and content.exception() is None:
        raw = content.read_nowait(-1)  # it came with the headers: nothing to wait for
        return too_large(max_bytes) if len(raw) > max_bytes else _decoded(request, raw, max_bytes)
    try:
        async with asyncio.timeout(timeout_s):
            pieces = [piece async for piece in _bounded(request, max_bytes)]
    except TimeoutError:
        return _too_slow(timeout_s)
    except BrokenOff as broken:
        return broken.refusal
    raw = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    return _decoded(request, raw, max_bytes)


async def upload(
    request: web.BaseRequest, *, max_bytes: int, timeout_s: float
) -> AsyncIterator[bytes]:
    """The body's pieces as they come, each within the time; raises BrokenOff."""
    expect_continue(request)
    pieces = aiter(_bounded(request, max_bytes))
    while True:
        try:
            async with asyncio.timeout(timeout_s):
                piece = await anext(pieces, b"")
        except TimeoutError:
            raise BrokenOff(_too_slow(timeout_s)) from None
        if not piece:
            return
        yield piece


def _decoded(request: web.BaseRequest, raw: bytes, max_bytes: int) -> Body | Refusal:
    coding = request.headers.get("Content-Encoding")
    if coding is None:
        return Body(raw, raw)
    text = decode_body(raw, coding, max_bytes=max_bytes, max_ratio=MAX_RATIO)
    if isinstance(text, bytes):
        return Body(raw, text)
    kind = RefusalKind.TOO_LARGE if text.status == 413 else RefusalKind.BAD_REQUEST
    return Refusal(kind, text.message, status=text.status, should_retry=False)


class BrokenOff(Exception):  # noqa: N818 (says what happened)
    """A body ends before its end; `refusal` is what its sender is told."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


async def _bounded(request: web.BaseRequest, max_bytes: int) -> AsyncIterator[bytes]:
    seen = 0
    try:
        while piece := await request.content.readany():
            seen += len(piece)
            if seen > max_bytes:
                raise BrokenOff(too_large(max_bytes))
            yield piece
    except web.RequestPayloadError as error:
        message = f"The request body cannot be read: {str(error).splitlines()[0]}"
        refusal = Refusal(RefusalKind.BAD_REQUEST, message, should_retry=False)
        raise BrokenOff(refusal) from None


def declares_more(request: web.BaseRequest, max_bytes: int) -> bool:
    """Whether a body is too large by its own account."""
    return (request.content_length or 0) > max_bytes


def expect_continue(request: web.BaseRequest) -> None:
    """Ask for the body of a client that waits to be asked (RFC 9110, 10.1.1)."""
    expected = request.headers.get("Expect", "").lower() == "100-continue"
    if expected and request.version >= (1, 1) and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def too_large(max_bytes: int) -> Refusal:
    """The refusal of a body that passes the limit."""
    message = f"The request body is larger than {max_bytes} bytes."
    return Refusal(RefusalKind.TOO_LARGE, message, status=413, should_retry=False)


def _too_slow(timeout_s: float) -> Refusal:
    message = f"The request body did not arrive within {timeout_s:g} seconds."
    return Refusal(RefusalKind.TIMEOUT, message, status=408)
