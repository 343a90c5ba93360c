"""The listener's side of HTTP: limits on what has not yet become a request.

aiohttp's parser (llhttp, strict for requests) refuses malformed requests; this adds what it does
not do: a time limit for headers that trickle in, a limit on connections, a check of what
it lets pass and two servers could read differently (`suspicious`), a drain that lets bodies come
in which are still coming, and refusals with a body that a client can read.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler
from multidict import CIMultiDict

from proxy.gateway.headers import SERVER
from proxy.model.decision import Answer, Refusal
from proxy.model.verdict import RefusalKind

BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 21\r\n"
    b"Connection: close\r\n\r\nToo many connections."
)
_TARGET = re.compile(r"/[!\"$-~]*")  # visible ASCII without #
_HOST = re.compile(r"[A-Za-z0-9._~-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Refuse = Callable[[web.BaseRequest, Refusal], Answer]


class Front(web.Server):
    """An aiohttp server whose connections are `_Connection`s.

    `refuse` renders the refusal of what never came to the handler, or broke in it.
    """

    def __init__(
        self,
        handler: Handler,
        refuse: Refuse,
        *,
        max_connections: int,
        header_timeout_s: float,
        keepalive_s: float,
        max_header_bytes: int,
    ) -> None:
        super().__init__(
            handler,
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=keepalive_s,
            lingering_time=2.0,
            max_line_size=max_header_bytes,
            max_field_size=max_header_bytes,
            read_bufsize=2**16,
        )
        self.refuse = refuse
        self.max_connections = max_connections
        self.header_timeout_s = header_timeout_s
        self.draining = False

    def __call__(self) -> RequestHandler:
        """Make the protocol of one connection."""
        return _Connection(self, loop=asyncio.get_running_loop(), **self._kwargs)

    @property
    def open_connections(self) -> int:
        """Connections of callers, idle ones included."""
        return len(self._connections)

    def drain(self) -> None:
        """Close idle connections now, and each of the others after the answer under way."""
        self.draining = True
        for connection in self.connections:
            assert isinstance(connection, _Connection)
            connection.close_if_idle()


def own(request: web.BaseRequest, given: Answer) -> web.Response:
    """An answer of ours, ready to leave."""
    headers = CIMultiDict((*given.headers, ("Server", SERVER)))
    response = web.Response(status=given.status, headers=headers, body=given.body)
    if not request.content.is_eof() or ends_connection(request):
        response.force_close()
    return response


def ends_connection(request: web.BaseRequest) -> bool:
    """Whether no other request may follow on the connection.

    aiohttp's parser hands the last trailer of a chunked body to the next request as a header.
    """
    return "Transfer-Encoding" in request.headers


def suspicious(request: web.BaseRequest) -> str | None:
    """Why a request that could be parsed is refused all the same, or None.

    Only the origin form of a target is served, in ASCII and without a fragment; the one transfer
    coding is chunked, and not in HTTP/1.0; the host is a name or an address.
    """
    if request.method == "CONNECT" or not _TARGET.fullmatch(request.raw_path):
        return "The request target must be a path."
    coding = request.headers.get("Transfer-Encoding")
    if coding is not None and (coding.lower() != "chunked" or request.version < (1, 1)):
        return "The only transfer coding that is served is chunked."
    host = request.headers.get("Host")
    if host is not None and not _HOST.fullmatch(host):
        return "The Host header is not a host name or an address."
    return None


class _Connection(RequestHandler):
    __slots__ = ("_answered", "_body", "_front", "_header_timer")

    def __init__(self, front: Front, *, loop: asyncio.AbstractEventLoop, **options: Any) -> None:
        super().__init__(front, loop=loop, **options)
        self._front = front
        self._body: StreamReader | None = None  # of the request that came last
        self._answered = 0
        self._header_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._front.open_connections > self._front.max_connections:
            # uvloop's transports are no asyncio.Transport by their class.
            cast("asyncio.Transport", transport).write(BUSY)
            self.force_close()

    def data_received(self, data: bytes) -> None:
        known = self._request_count
        super().data_received(data)
        if self._request_count != known:
            self._stop_timer()
            self._break_off_body()
        elif self._answered == known and self._header_timer is None and not self._force_close:
            wait_s = self._front.header_timeout_s
            self._header_timer = self._loop.call_later(wait_s, self._headers_too_slow)

    def _break_off_body(self) -> None:
        """Tell the reader of a body that no more of it can be parsed; aiohttp lets it wait."""
        message, body = self._messages[-1]
        if isinstance(message, RawRequestMessage):
            self._body = body
        elif self._body is not None and not self._body.is_eof():
            self._body.set_exception(web.RequestPayloadError(message.message))

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def close_if_idle(self) -> None:
        """Close unless a request is being received or answered."""
        if self._answered == self._request_count:
            self.force_close()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """End an answer; while draining it is the connection's last."""
        if self._front.draining and not resp.prepared:
            resp.force_close()
        finished = await super().finish_response(request, resp, start_time)
        self._answered += 1
        if self._front.draining:
            self.close()
        return finished

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Refuse what could not be parsed, and close; anything else is a defect and is logged."""
        if isinstance(exc, ConnectionError):
            raise exc  # the client has left, which is nobody's defect
        if isinstance(exc, LineTooLong) or "Too many headers" in str(exc):
            message = "The request's headers are too large, or too many."
            refusal = Refusal(RefusalKind.BAD_REQUEST, message, status=431)
        elif isinstance(exc, HttpProcessingError):
            why = exc.message.partition("\n")[0].strip(" :")
            refusal = Refusal(RefusalKind.BAD_REQUEST, f"Malformed HTTP request: {why}")
        else:
            super().handle_error(request, status, exc, message)  # logs; raises in mid-answer
            refusal = Refusal(RefusalKind.INTERNAL, "The request could not be handled.")
        response = own(request, self._front.refuse(request, refusal))
        response.force_close()
        return response

    def _headers_too_slow(self) -> None:
        self._header_timer = None
        if self._answered == self._request_count:
            self.force_close()

    def _stop_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None
