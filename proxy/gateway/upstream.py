"""The client's side of HTTP: one pool of connections for each upstream.

What the caller sent goes on as it is: no redirect is followed, no cookie kept, nothing
decompressed, no header added but the credential. aiohttp repeats an idempotent request once
when a kept connection turns out to be closed; a POST is never sent twice by us, the caller's
SDK repeats it after a 502.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, cast
from urllib.parse import urlsplit

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict
from yarl import URL

from proxy.model.decision import Refusal
from proxy.model.exchange import Dialect
from proxy.model.verdict import RefusalKind
from proxy.settings.schema import Upstream as UpstreamSettings
from proxy.settings.schema import Upstreams

KEEPALIVE_S = 20.0  # shorter than what servers usually keep, so that we close first
WHOLE_BYTES = 2**20  # larger bodies are handed to the transport in pieces
PIECE_BYTES = 2**18


@dataclass(frozen=True, slots=True)
class Failure:
    """Why no answer came, or why it broke off. `sent` is False if nothing reached the upstream."""

    word: str  # for the record and the metrics: upstream_unreachable, idle_timeout …
    refusal: Refusal
    sent: bool = True


class Upstream:
    """One model API and the connections to it."""

    def __init__(self, settings: UpstreamSettings, dialect: Dialect, secret: str | None) -> None:
        self.dialect = dialect
        self.secret = secret
        self._base = settings.url
        self.path = urlsplit(settings.url).path
        self.idle_timeout_s = settings.idle_timeout_s
        timeout = aiohttp.ClientTimeout(
            total=None,
            sock_connect=settings.connect_timeout_s,
            sock_read=settings.first_byte_timeout_s,
        )
        self._session = aiohttp.ClientSession(
            connector=_Connector(
                limit=settings.max_connections, keepalive_timeout=KEEPALIVE_S, ttl_dns_cache=60
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            auto_decompress=False,
            timeout=timeout,
            trust_env=False,
            read_bufsize=2**16,
            max_line_size=32_768,
            max_field_size=32_768,
        )

    async def send(
        self,
        method: str,
        target: str,
        headers: "CIMultiDict[str]",
        body: bytes | AsyncIterator[bytes] | None,
    ) -> aiohttp.ClientResponse | Failure:
        """The answer, once its headers are here; its body has the idle time limit."""
        if isinstance(body, bytes):
            headers.add("Content-Length", str(len(body)))
            if len(body) > WHOLE_BYTES:
                body = _pieces(body)
        try:
            response = await self._session.request(
                method,
                URL(self._base + target, encoded=True),
                headers=headers,
                data=body,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return failure_of(error)
        if response.connection is not None and not response.content.is_eof():
            protocol = response.connection.protocol
            assert protocol is not None
            protocol.read_timeout = self.idle_timeout_s
            protocol.start_timeout()  # or the body's first piece would have the longer time
        return response

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


class _Protocol(ResponseHandler):
    """Mends two things of aiohttp's.

    It leaves the reader of a body waiting for ever where its chunks cannot be parsed. And where
    reading goes on after a pause, and the body ends thereby, it starts the time limit of that
    body once more, which then strikes the next request on the connection.
    """

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        super().set_exception(exc, *cause)
        body = self._payload
        if isinstance(exc, HttpProcessingError) and body and not body.is_eof():
            body.set_exception(aiohttp.ClientPayloadError("malformed body"))

    def resume_reading(self, resume_parser: bool = True) -> None:
        super().resume_reading(resume_parser)
        if self._payload is not None and self._payload.is_eof():
            self._drop_timeout()


class _Connector(aiohttp.TCPConnector):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = cast("partial[ResponseHandler]", partial(_Protocol, loop=self._loop))


class UpstreamPool:
    """The upstreams of the settings, by dialect."""

    def __init__(self, upstreams: dict[Dialect, Upstream]) -> None:
        self._upstreams = upstreams

    @classmethod
    def open(cls, settings: Upstreams, secrets: dict[Dialect, str]) -> Self:
        """Pools for the upstreams of the settings; `secrets` are the credentials to put in."""
        opened: dict[Dialect, Upstream] = {}
        for dialect in Dialect:
            upstream: UpstreamSettings | None = getattr(settings, dialect.value)
            if upstream is not None:
                opened[dialect] = Upstream(upstream, dialect, secrets.get(dialect))
        return cls(opened)

    def get(self, dialect: Dialect) -> Upstream | None:
        """The upstream of a dialect, or None where it is not served."""
        return self._upstreams.get(dialect)

    async def close(self) -> None:
        """Close every pool."""
        await asyncio.gather(*(upstream.close() for upstream in self._upstreams.values()))


def failure_of(error: BaseException) -> Failure:
    """What a client error means, in our words; the error's own text may name hosts and stays."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return _failure(
                "connect_timeout", RefusalKind.TIMEOUT, "could not be reached in time", False
            )
        case aiohttp.ClientConnectorError():
            return _failure(
                "upstream_unreachable", RefusalKind.UPSTREAM, "cannot be reached", False
            )
        case TimeoutError():
            return _failure("upstream_timeout", RefusalKind.TIMEOUT, "did not answer in time", True)
        case aiohttp.ClientResponseError():
            return malformed()
        case _:
            return _failure("upstream_reset", RefusalKind.UPSTREAM, "closed the connection", True)


def malformed() -> Failure:
    """The failure of an upstream whose answer is not HTTP."""
    return _failure("upstream_malformed", RefusalKind.UPSTREAM, "sent a malformed answer", True)


def arrived_before_the_break(content: aiohttp.StreamReader) -> bytes:
    """What the upstream had sent before its connection broke.

    aiohttp raises the break ahead of bytes that it holds already, and has no way to ask for them.
    """
    return b"".join(content._buffer)


def _failure(word: str, kind: RefusalKind, said: str, sent: bool) -> Failure:
    return Failure(word, Refusal(kind, f"The model API {said}."), sent)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    view = memoryview(body)
    for start in range(0, len(body), PIECE_BYTES):
        yield bytes(view[start : start + PIECE_BYTES])
