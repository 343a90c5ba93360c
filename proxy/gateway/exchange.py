"""One exchange at the edge: read it, have it judged, enact the decision, settle it.

The decision itself is the pipeline's. Here is what must wait: for the body, for the disk, for the
upstream. Whatever happens while it waits (a client that hangs up, an upstream that breaks,
SIGTERM), a charge that was taken is settled and a forwarded exchange gets its completion record.
"""

import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import aiohttp
import structlog
from aiohttp import web
from multidict import CIMultiDict

from proxy.audit.errors import AuditUnavailable
from proxy.audit.log import AuditLog
from proxy.facts.address import TrustedPeers, canonical, client_address
from proxy.gateway.body import Body, BodyTooLarge, bounded, expect_continue, read_body
from proxy.gateway.front import own, suspicious
from proxy.gateway.headers import (
    BadHeaders,
    client_headers,
    credential_header,
    header_pairs,
    upstream_headers,
)
from proxy.gateway.ids import exchange_id
from proxy.gateway.metrics import Metrics
from proxy.gateway.relay import PassedOn, Progress, relay
from proxy.gateway.upstream import Failure, Upstream, UpstreamPool
from proxy.model.account import Caller
from proxy.model.decision import Decision, LimitState, Refusal
from proxy.model.exchange import Arrival, Asked, BodyKind, Dialect, Headers, Surface
from proxy.model.plan import Readings
from proxy.model.verdict import Durability, RefusalKind
from proxy.pipeline.pipeline import Pipeline
from proxy.pipeline.weigh import Weighed
from proxy.settings.schema import Settings
from proxy.store.memory import MemoryStore
from proxy.wire.limit_headers import limit_headers
from proxy.wire.refuse import answer
from proxy.wire.response import ResponseReader
from proxy.wire.splice import ask_for_stream_usage
from proxy.wire.surfaces import dialect_of

log = structlog.get_logger("gauger.gateway")

OVERLOADED = Refusal(RefusalKind.OVERLOADED, "The service is overloaded. Try again shortly.")
NOT_RECORDED = Refusal(RefusalKind.OVERLOADED, "The service is not available. Try again shortly.")
NOTHING_ASKED = Asked()


@dataclass(slots=True)
class Judged:
    """An exchange with its decision; `position` is its place in the log, None if it has none."""

    weighed: Weighed
    readings: Readings
    decision: Decision
    position: int | None


class Gateway:
    """Takes requests from the front, and answers them."""

    def __init__(
        self,
        settings: Settings,
        pipeline: Pipeline,
        store: MemoryStore,
        audit: AuditLog,
        upstreams: UpstreamPool,
        metrics: Metrics,
    ) -> None:
        self.pipeline = pipeline
        self.metrics = metrics
        self.under_way = 0
        self._store = store
        self._audit = audit
        self._upstreams = upstreams
        self._server = settings.server
        self._trusted = TrustedPeers(settings.trusted_peers, header=settings.forwarded_header)
        self._account_header = settings.account_header
        self._ja4_header = settings.ja4_header
        self._own_headers = frozenset(
            name.lower() for name in (settings.account_header, settings.ja4_header) if name
        )
        self._serve_unrecorded = settings.audit.on_failure == "serve"

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        began_s = time.perf_counter()
        at_ns = time.time_ns()
        self.under_way += 1
        try:
            return await self._exchange(request, at_ns, began_s)
        finally:
            self.under_way -= 1

    async def _exchange(
        self, request: web.BaseRequest, at_ns: int, began_s: float
    ) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        if why := suspicious(request):
            return self._unread(request, path, at_ns, Refusal(RefusalKind.BAD_REQUEST, why))
        try:
            headers = header_pairs(request.raw_headers, self._server.max_header_bytes)
        except BadHeaders as bad:
            refusal = Refusal(RefusalKind.BAD_REQUEST, str(bad), status=bad.status)
            return self._unread(request, path, at_ns, refusal)
        if self.under_way > self._server.max_streams:
            return self._unread(request, path, at_ns, OVERLOADED)
        if self._audit.failed is not None and not self._serve_unrecorded:
            return self._unread(request, path, at_ns, NOT_RECORDED)
        pipeline = self.pipeline
        pipeline.advance(at_ns)
        surface = pipeline.surface(request.method, path, headers)
        peer = request.transport.get_extra_info("peername") if request.transport else None
        peer_ip = canonical(peer[0]) if peer else ""
        trusted = peer_ip in self._trusted
        named = _first(headers, self._account_header) if trusted else None
        who = pipeline.identify(headers, at_ns, named_account=named)
        body = await self._body(request, surface, who)
        text = body.text if isinstance(body, Body) else None
        arrival = Arrival(
            id=exchange_id(at_ns),
            at_ns=at_ns,
            method=request.method,
            path=path,
            query=query,
            headers=headers,
            client_ip=client_address(peer_ip, headers, self._trusted),
            body=text,
            body_bytes=len(text) if text is not None else (request.content_length or 0),
            ja4=_first(headers, self._ja4_header) if trusted else None,
            named_account=named,
        )
        problem = body if isinstance(body, Refusal) else None
        try:
            judged = self._judge(pipeline.weigh(arrival, surface, who, problem))
        except AuditUnavailable:
            return self._unread(request, path, at_ns, NOT_RECORDED)
        return await self._enact(request, judged, body, began_s)

    async def _body(
        self, request: web.BaseRequest, surface: Surface | None, who: Caller | Refusal
    ) -> Body | Refusal | None:
        """The body, where it is to be read: of known callers, on surfaces that have one."""
        if surface is None or surface.body is not BodyKind.JSON or isinstance(who, Refusal):
            return None
        return await read_body(
            request,
            max_bytes=self._server.max_body_bytes,
            timeout_s=self._server.body_timeout_s,
        )

    def _judge(self, weighed: Weighed) -> Judged:
        """Ask the store, decide, record. Nothing waits here, so that nothing comes between."""
        pipeline = self.pipeline
        readings = self._store.take(weighed.plan)
        decision = pipeline.decide(weighed, readings)
        position: int | None = None
        try:
            position = self._audit.append(pipeline.decision_record(weighed, readings, decision))
        except AuditUnavailable:
            if not self._serve_unrecorded:
                never_sent = Progress().outcome()
                self._store.correct(pipeline.settle(weighed, readings, never_sent))
                raise
        pipeline.observe(weighed, decision, position or 0)
        self.metrics.decided(weighed.surface.name if weighed.surface else "none", decision)
        return Judged(weighed, readings, decision, position)

    async def _enact(
        self, request: web.BaseRequest, judged: Judged, body: Body | Refusal | None, began_s: float
    ) -> web.StreamResponse:
        decision = judged.decision
        if decision.refusal is not None:
            if not await self._durable(judged, Durability.BEFORE_ANSWER):
                return self._answer(request, judged.weighed, NOT_RECORDED)
            return self._answer(request, judged.weighed, decision.refusal, decision.limits)
        progress = Progress()
        try:
            if not await self._durable(judged, Durability.BEFORE):
                return self._answer(request, judged.weighed, NOT_RECORDED)
            return await self._forward(request, judged, body, progress, began_s)
        except BaseException as error:
            progress.broke_off(request, error)
            raise
        finally:
            self._settle(judged, progress)

    async def _durable(self, judged: Judged, at_least: Durability) -> bool:
        """Wait for the record where its class asks for it; False if it cannot be written."""
        if judged.decision.durability < at_least or judged.position is None:
            return True
        try:
            await self._audit.wait_durable(judged.position)
        except AuditUnavailable:
            return self._serve_unrecorded
        return True

    async def _forward(
        self,
        request: web.BaseRequest,
        judged: Judged,
        body: Body | Refusal | None,
        progress: Progress,
        began_s: float,
    ) -> web.StreamResponse:
        weighed = judged.weighed
        upstream = self._upstreams.get(weighed.dialect)
        if upstream is None:
            progress.error = "no_upstream"
            refusal = Refusal(RefusalKind.NOT_FOUND, "This API is not served here.")
            return self._answer(request, weighed, refusal)
        asked = weighed.asked or NOTHING_ASKED
        hide_usage = _asks_for_usage(weighed.surface, asked)
        content = await self._content(request, body, hide_usage, progress)
        sending_s = time.perf_counter()
        progress.forwarded = True
        response = await upstream.send(
            request.method,
            request.raw_path,
            self._upstream_headers(request, weighed, upstream, content, hide_usage, body),
            content,
        )
        answered_s = time.perf_counter()
        if isinstance(response, Failure):
            return self._failed(request, weighed, response, progress)
        progress.answered(response)
        self.metrics.upstream.observe(answered_s - sending_s)
        try:
            if not await self._durable(judged, Durability.BEFORE_ANSWER):
                return self._answer(request, weighed, NOT_RECORDED)
            self.metrics.added.observe(sending_s - began_s + time.perf_counter() - answered_s)
            return await self._pass_on(request, judged, response, progress, hide_usage)
        finally:
            response.close()  # given back to the pool at its end, cancelled before it

    async def _content(
        self,
        request: web.BaseRequest,
        body: Body | Refusal | None,
        hide_usage: bool,
        progress: Progress,
    ) -> bytes | AsyncIterator[bytes] | None:
        """What is sent upstream: the body as it came, spliced, or streamed through."""
        if isinstance(body, Body):
            return ask_for_stream_usage(body.text) if hide_usage else body.raw
        if not request.body_exists:
            return None
        await expect_continue(request)
        return self._streamed(request, progress)

    async def _streamed(self, request: web.BaseRequest, progress: Progress) -> AsyncIterator[bytes]:
        limit = self._server.max_body_bytes
        try:
            async for piece in bounded(request, limit):
                yield piece
        except BodyTooLarge:
            message = f"The request body is larger than {limit} bytes."
            progress.problem = Refusal(RefusalKind.TOO_LARGE, message, should_retry=False)
            raise

    def _upstream_headers(
        self,
        request: web.BaseRequest,
        weighed: Weighed,
        upstream: Upstream,
        content: object,
        hide_usage: bool,
        body: Body | Refusal | None,
    ) -> "CIMultiDict[str]":
        secret = upstream.secret
        headers = upstream_headers(
            weighed.arrival.headers,
            own=self._own_headers,
            credential=credential_header(upstream.dialect, secret) if secret else None,
            identity=hide_usage,
            decoded=hide_usage,
        )
        if (
            not isinstance(body, Body)
            and content is not None
            and request.content_length is not None
        ):
            headers.add("Content-Length", str(request.content_length))
        return headers

    async def _pass_on(
        self,
        request: web.BaseRequest,
        judged: Judged,
        response: aiohttp.ClientResponse,
        progress: Progress,
        hide_usage: bool,
    ) -> web.StreamResponse:
        weighed, limits = judged.weighed, judged.decision.limits
        assert weighed.surface is not None
        progress.reader = ResponseReader(
            weighed.surface,
            weighed.asked or NOTHING_ASKED,
            content_type=response.headers.get("Content-Type"),
            content_encoding=response.headers.get("Content-Encoding"),
            hide_usage=hide_usage,
        )
        ours = limit_headers(weighed.dialect, limits, weighed.arrival.at_ns)
        headers = client_headers(response.raw_headers, ours, keep_length=not hide_usage)
        stream = PassedOn(status=response.status, reason=response.reason, headers=headers)
        with self.metrics.streams.track_inprogress():
            failure = await relay(request, response, stream, progress, weighed)
        if failure is not None:
            self.metrics.failed(failure.word)
        return stream

    def _failed(
        self, request: web.BaseRequest, weighed: Weighed, failure: Failure, progress: Progress
    ) -> web.StreamResponse:
        """No answer came: tell the caller in its dialect."""
        progress.forwarded = failure.sent
        if progress.problem is not None:
            progress.error = "request_too_large"
            return self._answer(request, weighed, progress.problem)
        progress.error = failure.word
        self.metrics.failed(failure.word)
        log.warning("upstream failed", exchange=weighed.arrival.id, failure=failure.word)
        return self._answer(request, weighed, failure.refusal)

    def _settle(self, judged: Judged, progress: Progress) -> None:
        """Correct what was reserved, and record how it ended."""
        outcome = progress.outcome()
        weighed = judged.weighed
        corrections = self.pipeline.settle(weighed, judged.readings, outcome)
        self._store.correct(corrections)
        record = self.pipeline.completion_record(weighed, outcome, corrections, time.time_ns())
        with suppress(AuditUnavailable):  # told by `failed`, readiness and the metrics
            self._audit.append(record)

    def _unread(
        self, request: web.BaseRequest, path: str, at_ns: int, refusal: Refusal
    ) -> web.StreamResponse:
        """Refuse what is not looked at any further, and has no record of its own."""
        pairs = tuple(request.headers.items())
        dialect = dialect_of(path, pairs)
        response = _rendered(request, dialect, refusal, (), exchange_id(at_ns), at_ns)
        if refusal.kind is RefusalKind.BAD_REQUEST:
            response.force_close()
        return response

    def _answer(
        self,
        request: web.BaseRequest,
        weighed: Weighed,
        refusal: Refusal,
        limits: tuple[LimitState, ...] = (),
    ) -> web.Response:
        arrival = weighed.arrival
        # Retry-After counts from when the answer leaves, not from when the request came.
        at_ns = max(arrival.at_ns, time.time_ns())
        response = _rendered(request, weighed.dialect, refusal, limits, arrival.id, at_ns)
        if refusal.status == 408:
            response.force_close()
        return response


def _rendered(
    request: web.BaseRequest,
    dialect: Dialect,
    refusal: Refusal,
    limits: tuple[LimitState, ...],
    identity: str,
    at_ns: int,
) -> web.Response:
    head = request.method == "HEAD"
    given = answer(dialect, refusal, limits, exchange_id=identity, at_ns=at_ns, head=head)
    return own(given)


def _asks_for_usage(surface: Surface | None, asked: Asked) -> bool:
    """Whether usage must be asked for in the client's place, and hidden from it."""
    if surface is None or surface.name != "chat.completions":
        return False
    return asked.stream and not asked.stream_usage


def _first(headers: Headers, name: str | None) -> str | None:
    if name is None:
        return None
    lowered = name.lower()
    return next((value for key, value in headers if key.lower() == lowered), None)
