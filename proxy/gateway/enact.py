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

from proxy.audit.errors import AuditUnavailable
from proxy.audit.log import AuditLog
from proxy.engine.settle import so_far, unheard, unseen
from proxy.gateway.batch_watch import watching
from proxy.gateway.batches import Batches
from proxy.gateway.body import Body, BrokenOff, upload
from proxy.gateway.delays import Delays
from proxy.gateway.front import ends_connection, own
from proxy.gateway.incoming import incoming
from proxy.gateway.meter import Meter
from proxy.gateway.metrics import Metrics
from proxy.gateway.outgoing import Outgoing, outgoing
from proxy.gateway.recording import Recorder
from proxy.gateway.relay import (
    ClientStalledError,
    Progress,
    Watching,
    cut_off,
    end_broken,
    is_gone,
    relay,
)
from proxy.gateway.upstream import Failure, Upstream, UpstreamPool
from proxy.model.decision import Decision, LimitState, Refusal
from proxy.model.exchange import Dialect, Prompt
from proxy.model.plan import Correction, Readings
from proxy.model.verdict import Durability, RefusalKind
from proxy.pipeline.pipeline import Pipeline
from proxy.pipeline.weigh import Weighed
from proxy.settings.schema import Settings
from proxy.store.counters import Counters
from proxy.wire.refuse import answer

log = structlog.get_logger("gauger.gateway")

NOT_RECORDED = Refusal(RefusalKind.OVERLOADED, "The service is not available. Try again shortly.")
READ_AT_ONCE = 8192
PATIENT_S = 2.0  # a stream may take so long to begin without anybody having reasoned
STOPPING = Refusal(RefusalKind.OVERLOADED, "The service is restarting. Try again.")


@dataclass(slots=True)
class Judged:
    """An exchange with its decision; `position` is its place in the log, None if it has none.

    `body` is what remains to be sent of it. `spent_s` is the time that it took us so far.
    """

    weighed: Weighed
    readings: Readings
    decision: Decision
    position: int | None
    meter: Meter
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
        store: Counters,
        audit: AuditLog,
        upstreams: UpstreamPool,
        metrics: Metrics,
        batches: Batches,
    ) -> None:
        self.pipeline = pipeline
        self.batches = batches
        self.store = store
        self.audit = audit
        self.metrics = metrics
        self.recorder = Recorder(pipeline.fingerprint_key)
        self.open_streams = 0
        self.stopping = False
        self.upstreams = upstreams
        self._server = settings.server
        self._delays = Delays(
            at_once=settings.server.delayed_at_once,
            per_s=settings.server.max_delays_per_s,
            metrics=metrics,
        )
        self._own_headers = frozenset(
            name.lower() for name in (settings.account_header, settings.ja4_header) if name
        )
        self._serve_unrecorded = settings.audit.on_failure == "serve"
        self._open: dict[str, tuple[Judged, Progress]] = {}

    def renew(self) -> None:
        """Tell the store of every exchange under way that it goes on, and how far it has come."""
        for judged, progress in self._open.values():
            for wanted, readings in judged.meter.reservations():
                if readings.taken:
                    floor = so_far(wanted, readings, progress.outcome(), judged.meter.reserved)
                    self.store.renew(wanted, readings, floor)

    async def run(self, request: web.BaseRequest, judged: Judged) -> web.StreamResponse:
        """The answer. What it took is settled and recorded, also where this is cancelled."""
        decision = judged.decision
        if decision.refusal is not None:
            if not await self._durable(judged, Durability.BEFORE_ANSWER):
                return self._answer(request, judged.weighed, NOT_RECORDED)
            return self._answer(request, judged.weighed, decision.refusal, decision.limits)
        progress = Progress()
        self._open[judged.weighed.arrival.id] = (judged, progress)
        try:
            if not await self._durable(judged, Durability.BEFORE):
                return self._not_recorded(request, judged, progress)
            await self._delays.enact(decision.delay_s)
            progress.watching = await watching(self.batches, judged.weighed, judged.readings)
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
        judged.spent_s -= time.perf_counter()
        sent = outgoing(judged.weighed, judged.body, judged.decision.modifiers)
        if isinstance(sent, Refusal):
            progress.error = "not_modifiable"
            return self._answer(request, judged.weighed, sent)
        sending_s = time.perf_counter()
        judged.spent_s += sending_s
        response = await self._send(request, judged, sent, progress, upstream)
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
        self,
        request: web.BaseRequest,
        judged: Judged,
        sent: Outgoing,
        progress: Progress,
        upstream: Upstream,
    ) -> aiohttp.ClientResponse | Failure:
        """Send the request on, and keep nothing of its body here."""
        headers = sent.headers(judged.weighed, upstream, self._own_headers)
        content: bytes | AsyncIterator[bytes] | None = sent.content
        if judged.body is None and request.body_exists:
            content = self._streamed(request, progress)
            if request.content_length is not None:
                headers.add("Content-Length", str(request.content_length))
        judged.body = None
        progress.forwarded = True
        progress.sent_s = time.monotonic()
        self.metrics.modified(judged.decision.modifiers)
        return await upstream.send(request.method, request.raw_path, headers, content)

    async def _streamed(self, request: web.BaseRequest, progress: Progress) -> AsyncIterator[bytes]:
        server = self._server
        pieces = upload(request, max_bytes=server.max_body_bytes, timeout_s=server.body_timeout_s)
        try:
            async for piece in pieces:
                if progress.watching is not None:
                    await _read_by(progress.watching, piece)
                if request.content_length is None:
                    progress.unforeseen_bytes += len(piece)
                yield piece
        except BrokenOff as broken:
            progress.problem = broken.refusal
            raise

    async def _pass_on(
        self,
        request: web.BaseRequest,
        judged: Judged,
        response: aiohttp.ClientResponse,
        progress: Progress,
        upstream: Upstream,
    ) -> web.StreamResponse:
        weighed = judged.weighed
        origin = self._server.public_url or f"{request.scheme}://{request.host}"
        coming = incoming(weighed, judged.decision, response, origin, upstream.path)
        if isinstance(coming, Failure):
            return self._failed(request, weighed, coming, progress)
        stream, reader = coming.stream, coming.reader
        progress.reader = reader
        if coming.streamed:
            judged.lighten()
            weighed = judged.weighed
        else:
            judged.meter.grows = False  # all of it has been used when its first byte comes
        if ends_connection(request):
            stream.force_close()
        self.open_streams += coming.streamed
        try:
            failure = await relay(
                request, response, stream, progress, weighed, judged.meter, upstream.idle_timeout_s
            )
        finally:
            self.open_streams -= coming.streamed
        if failure is not None and progress.stream is None:
            return self._failed(request, weighed, failure, progress)
        if failure is not None:
            self.metrics.failed(failure.word)
        if reader.cut:
            self.metrics.cut()
        return stream

    def _failed(
        self, request: web.BaseRequest, weighed: Weighed, failure: Failure, progress: Progress
    ) -> web.StreamResponse:
        """No answer came: tell the caller in its dialect."""
        progress.forwarded = failure.sent
        if progress.problem is not None:
            progress.error = f"upload_{progress.problem.kind.value}"
            return self._answer(request, weighed, progress.problem)
        progress.error = progress.error or failure.word
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
        self._open.pop(judged.weighed.arrival.id, None)
        judged.meter.close()
        weighed, outcome = judged.weighed, progress.outcome()
        if progress.left_after_s and not (weighed.asked and weighed.asked.stream):
            outcome = unheard(weighed.plan, outcome, progress.left_after_s)
        elif progress.reader is not None and outcome.usage is None and not outcome.complete:
            until_s = progress.text_s or time.monotonic()
            outcome = unseen(weighed.plan, outcome, until_s - progress.sent_s - PATIENT_S)
        watched = progress.watching
        corrections: tuple[Correction, ...] = ()
        if watched is not None and watched.ended(progress):
            self.store.hold(weighed.plan, judged.readings)
        else:
            corrections = self.pipeline.settle(weighed, judged.readings, outcome)
            self.store.settle(weighed.plan, judged.readings, corrections)
        ended_ns = time.time_ns()
        self.recorder.ended(weighed.arrival.id, outcome, ended_ns)
        record = self.pipeline.completion_record(weighed, outcome, corrections, ended_ns)
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


async def _read_by(watched: Watching, piece: bytes) -> None:
    """Show a piece of an upload, in parts: reading many short lines at once would stall others."""
    for start in range(0, len(piece), READ_AT_ONCE):
        watched.sent(piece[start : start + READ_AT_ONCE])
        await asyncio.sleep(0)


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
