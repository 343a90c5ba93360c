"""A decision enacted: a refusal told, or a request sent on and its answer brought back.

Here is what must wait: for the disk, for the upstream, for the client. Whatever happens while it
waits (a client that hangs up, an upstream that breaks, SIGTERM), a charge that was taken is
settled and a forwarded exchange gets its completion record.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace

import aiohttp
import structlog
from aiohttp import web
from msgspec import structs
from multidict import CIMultiDict

from proxy.audit.errors import AuditUnavailable
from proxy.audit.log import AuditLog
from proxy.gateway.body import Body, BrokenOff, upload
from proxy.gateway.front import ends_connection, own
from proxy.gateway.headers import (
    BadHeaders,
    client_headers,
    credential_header,
    upstream_headers,
)
from proxy.gateway.metrics import Metrics
from proxy.gateway.relay import (
    ClientStalledError,
    PassedOn,
    Progress,
    cut_off,
    end_broken,
    is_gone,
    relay,
)
from proxy.gateway.upstream import Failure, Upstream, UpstreamPool, malformed
from proxy.model.decision import Decision, LimitState, Refusal
from proxy.model.exchange import Asked, Dialect, Prompt
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

log = structlog.get_logger("gauger.gateway")

NOT_RECORDED = Refusal(RefusalKind.OVERLOADED, "The service is not available. Try again shortly.")
STOPPING = Refusal(RefusalKind.OVERLOADED, "The service is restarting. Try again.")
NOTHING_ASKED = Asked()


@dataclass(slots=True)
class Judged:
    """An exchange with its decision; `position` is its place in the log, None if it has none.

    `body` is what remains to be sent of it. `spent_s` is the time that it took us so far.
    """

    weighed: Weighed
    readings: Readings
    decision: Decision
    position: int | None
    body: Body | None = None
    spent_s: float = 0.0

    def lighten(self) -> None:
        """Let go of the request's text, for as long as an answer streams."""
        asked = self.weighed.asked
        self.weighed = replace(
            self.weighed,
            arrival=structs.replace(self.weighed.arrival, headers=(), body=None),
            asked=structs.replace(asked, prompt=Prompt()) if asked else None,
        )


class Enactor:
    """Enacts the decisions of one gateway. `stopping` says that it is breaking off its work."""

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
        self.store = store
        self.audit = audit
        self.metrics = metrics
        self.open_streams = 0
        self.stopping = False
        self.upstreams = upstreams
        self._server = settings.server
        self._own_headers = frozenset(
            name.lower() for name in (settings.account_header, settings.ja4_header) if name
        )
        self._serve_unrecorded = settings.audit.on_failure == "serve"

    async def run(self, request: web.BaseRequest, judged: Judged) -> web.StreamResponse:
        """The answer. What it took is settled and recorded, also where this is cancelled."""
        decision = judged.decision
        if decision.refusal is not None:
            if not await self._durable(judged, Durability.BEFORE_ANSWER):
                return self._answer(request, judged.weighed, NOT_RECORDED)
            return self._answer(request, judged.weighed, decision.refusal, decision.limits)
        progress = Progress()
        try:
            if not await self._durable(judged, Durability.BEFORE):
                return self._not_recorded(request, judged, progress)
            if decision.delay_s > 0:
                await asyncio.sleep(decision.delay_s)
            return await self._forward(request, judged, progress)
        except asyncio.CancelledError as error:
            if not self.stopped(request):
                progress.broke_off(request, error)
                raise
            return await self._break_off(request, judged, progress)
        except BaseException as error:
            progress.broke_off(request, error)
            raise
        finally:
            self._settle(judged, progress)

    def stopped(self, request: web.BaseRequest) -> bool:
        """Whether a cancellation is our own, and somebody is there to be told; it ends here."""
        task = asyncio.current_task()
        if not self.stopping or task is None or is_gone(request):
            return False
        task.uncancel()
        return True

    async def _break_off(
        self, request: web.BaseRequest, judged: Judged, progress: Progress
    ) -> web.StreamResponse:
        """The process stops: tell the caller, in whatever way is still open."""
        progress.error = "stopped"
        stream, reader = progress.stream, progress.reader
        if stream is None or reader is None:
            return self._answer(request, judged.weighed, STOPPING)
        await end_broken(request, stream, STOPPING, reader, judged.weighed)
        return stream

    async def _durable(self, judged: Judged, at_least: Durability) -> bool:
        """Wait for the record where its class asks for it; False if it cannot be written."""
        if judged.decision.durability < at_least or judged.position is None:
            return True
        try:
            await self.audit.wait_durable(judged.position)
        except AuditUnavailable:
            return self._serve_unrecorded
        return True

    async def _forward(
        self,
        request: web.BaseRequest,
        judged: Judged,
        progress: Progress,
    ) -> web.StreamResponse:
        upstream = self.upstreams.get(judged.weighed.dialect)
        assert upstream is not None
        sending_s = time.perf_counter()
        response = await self._send(request, judged, progress, upstream)
        answered_s = time.perf_counter()
        if isinstance(response, Failure):
            return self._failed(request, judged.weighed, response, progress)
        progress.answered(response)
        self.metrics.upstream.observe(answered_s - sending_s)
        try:
            if not await self._durable(judged, Durability.BEFORE_ANSWER):
                return self._not_recorded(request, judged, progress)
            self.metrics.added.observe(judged.spent_s + time.perf_counter() - answered_s)
            return await self._pass_on(request, judged, response, progress, upstream)
        except ClientStalledError:
            progress.error = "client_stalled"
            cut_off(request)
            raise ConnectionResetError from None
        finally:
            response.close()  # given back to the pool at its end, cancelled before it

    async def _send(
        self, request: web.BaseRequest, judged: Judged, progress: Progress, upstream: Upstream
    ) -> aiohttp.ClientResponse | Failure:
        """Send the request on, and keep nothing of its body here."""
        weighed, body = judged.weighed, judged.body
        hide_usage = _asks_for_usage(weighed)
        content = self._content(request, body, hide_usage, progress)
        headers = self._upstream_headers(request, weighed, upstream, content, hide_usage, body)
        judged.body = None
        progress.forwarded = True
        return await upstream.send(request.method, request.raw_path, headers, content)

    def _content(
        self,
        request: web.BaseRequest,
        body: Body | None,
        hide_usage: bool,
        progress: Progress,
    ) -> bytes | AsyncIterator[bytes] | None:
        """What is sent upstream: the body as it came, spliced, or streamed through."""
        if isinstance(body, Body):
            return ask_for_stream_usage(body.text) if hide_usage else body.raw
        return self._streamed(request, progress) if request.body_exists else None

    async def _streamed(self, request: web.BaseRequest, progress: Progress) -> AsyncIterator[bytes]:
        server = self._server
        pieces = upload(request, max_bytes=server.max_body_bytes, timeout_s=server.body_timeout_s)
        try:
            async for piece in pieces:
                yield piece
        except BrokenOff as broken:
            progress.problem = broken.refusal
            raise

    def _upstream_headers(
        self,
        request: web.BaseRequest,
        weighed: Weighed,
        upstream: Upstream,
        content: object,
        hide_usage: bool,
        body: Body | None,
    ) -> "CIMultiDict[str]":
        secret = upstream.secret
        headers = upstream_headers(
            weighed.arrival.headers,
            own=self._own_headers,
            credential=credential_header(upstream.dialect, secret) if secret else None,
            identity=hide_usage,
            decoded=hide_usage,
        )
        if body is None and content is not None and request.content_length is not None:
            headers.add("Content-Length", str(request.content_length))
        return headers

    async def _pass_on(
        self,
        request: web.BaseRequest,
        judged: Judged,
        response: aiohttp.ClientResponse,
        progress: Progress,
        upstream: Upstream,
    ) -> web.StreamResponse:
        media_type = response.headers.get("Content-Type")
        streamed = media_type is not None and media_type.startswith("text/event-stream")
        if streamed:
            judged.lighten()
        weighed, limits = judged.weighed, judged.decision.limits
        assert weighed.surface is not None
        hide_usage = streamed and _asks_for_usage(weighed)
        progress.reader = ResponseReader(
            weighed.surface,
            weighed.asked or NOTHING_ASKED,
            content_type=media_type,
            content_encoding=response.headers.get("Content-Encoding"),
            hide_usage=hide_usage,
        )
        ours = limit_headers(weighed.dialect, limits, weighed.arrival.at_ns)
        try:
            headers = client_headers(response.raw_headers, ours, keep_length=not hide_usage)
        except BadHeaders:
            return self._failed(request, weighed, malformed(), progress)
        reason = response.reason if response.reason and response.reason.isascii() else None
        stream = PassedOn(status=response.status, reason=reason, headers=headers)
        if ends_connection(request):
            stream.force_close()
        self.open_streams += streamed
        try:
            failure = await relay(
                request, response, stream, progress, weighed, upstream.idle_timeout_s
            )
        finally:
            self.open_streams -= streamed
        if failure is not None:
            self.metrics.failed(failure.word)
        return stream

    def _failed(
        self, request: web.BaseRequest, weighed: Weighed, failure: Failure, progress: Progress
    ) -> web.StreamResponse:
        """No answer came: tell the caller in its dialect."""
        progress.forwarded = failure.sent
        if progress.problem is not None:
            progress.error = f"upload_{progress.problem.kind.value}"
            return self._answer(request, weighed, progress.problem)
        progress.error = failure.word
        self.metrics.failed(failure.word)
        log.warning("upstream failed", exchange=weighed.arrival.id, failure=failure.word)
        return self._answer(request, weighed, failure.refusal)

    def _not_recorded(
        self, request: web.BaseRequest, judged: Judged, progress: Progress
    ) -> web.StreamResponse:
        progress.error = "not_recorded"
        return self._answer(request, judged.weighed, NOT_RECORDED)

    def _settle(self, judged: Judged, progress: Progress) -> None:
        """Correct what was reserved, and record how it ended."""
        outcome = progress.outcome()
        weighed = judged.weighed
        corrections = self.pipeline.settle(weighed, judged.readings, outcome)
        self.store.correct(corrections)
        record = self.pipeline.completion_record(weighed, outcome, corrections, time.time_ns())
        with suppress(AuditUnavailable):  # told by `failed`, readiness and the metrics
            self.audit.append(record)

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
        response = rendered(request, weighed.dialect, refusal, limits, arrival.id, at_ns)
        if refusal.status == 408:
            response.force_close()
        return response


def rendered(
    request: web.BaseRequest,
    dialect: Dialect,
    refusal: Refusal,
    limits: tuple[LimitState, ...],
    identity: str,
    at_ns: int,
) -> web.Response:
    """A refusal in a dialect, as a response; `identity` is the exchange's id."""
    head = request.method == "HEAD"
    given = answer(dialect, refusal, limits, exchange_id=identity, at_ns=at_ns, head=head)
    return own(request, given)


def _asks_for_usage(weighed: Weighed) -> bool:
    """Whether usage must be asked for in the client's place, and hidden from it."""
    surface, asked = weighed.surface, weighed.asked or NOTHING_ASKED
    if surface is None or surface.name != "chat.completions":
        return False
    return asked.stream and not asked.stream_usage
