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
    declared = request.content_length
    if declared is not None and declared > max_bytes:
        return _too_large(max_bytes)
    await expect_continue(request)
    content = request.content
    if content.is_eof():  # it came in one piece with the headers: nothing to wait for
        raw = content.read_nowait(-1)
    else:
        try:
            async with asyncio.timeout(timeout_s):
                pieces = [piece async for piece in bounded(request, max_bytes)]
        except TimeoutError:
            message = f"The request body did not arrive within {timeout_s:g} seconds."
            return Refusal(RefusalKind.TIMEOUT, message, status=408)
        except BodyTooLarge:
            return _too_large(max_bytes)
        except web.RequestPayloadError as error:
            message = f"The request body cannot be read: {str(error).splitlines()[0]}"
            return Refusal(RefusalKind.BAD_REQUEST, message, should_retry=False)
        raw = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if len(raw) > max_bytes:
        return _too_large(max_bytes)
    return _decoded(request, raw, max_bytes)


def _decoded(request: web.BaseRequest, raw: bytes, max_bytes: int) -> Body | Refusal:
    coding = request.headers.get("Content-Encoding")
    if coding is None:
        return Body(raw, raw)
    text = decode_body(raw, coding, max_bytes=max_bytes, max_ratio=MAX_RATIO)
    if isinstance(text, bytes):
        return Body(raw, text)
    kind = RefusalKind.TOO_LARGE if text.status == 413 else RefusalKind.BAD_REQUEST
    return Refusal(kind, text.message, status=text.status, should_retry=False)


class BodyTooLarge(Exception):  # noqa: N818
    """A body passed its limit while it was streamed."""


async def bounded(request: web.BaseRequest, max_bytes: int) -> AsyncIterator[bytes]:
    """The body's pieces as they come; raises BodyTooLarge where they pass the limit."""
    seen = 0
    while piece := await request.content.readany():
        seen += len(piece)
        if seen > max_bytes:
            raise BodyTooLarge
        yield piece


async def expect_continue(request: web.BaseRequest) -> None:
    """Ask for the body of a client that waits to be asked (RFC 9110, 10.1.1)."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.version >= (1, 1):
        assert request.transport is not None
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _too_large(max_bytes: int) -> Refusal:
    message = f"The request body is larger than {max_bytes} bytes."
    return Refusal(RefusalKind.TOO_LARGE, message, status=413, should_retry=False)
