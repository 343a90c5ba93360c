"""One exchange at the edge: read it, have it judged, hand it on to be enacted.

The decision itself is the pipeline's. Nothing waits between the store's answer and the record of
what was decided, so that nothing comes between.
"""

import asyncio
import time

import structlog
from aiohttp import web

from proxy.audit.errors import AuditUnavailable
from proxy.facts.address import TrustedPeers, canonical, client_address
from proxy.gateway.body import Body, declares_more, read_body, too_large
from proxy.gateway.disarming import Disarming
from proxy.gateway.enact import NOT_RECORDED, STOPPING, Enactor, Judged, rendered
from proxy.gateway.front import suspicious
from proxy.gateway.headers import BadHeaders, header_pairs, single
from proxy.gateway.ids import exchange_id
from proxy.gateway.logs import told
from proxy.gateway.meter import Meter
from proxy.gateway.outgoing import BATCHED
from proxy.gateway.relay import Progress
from proxy.model.account import Caller
from proxy.model.batch import BatchCount
from proxy.model.decision import Decision, Refusal
from proxy.model.exchange import Arrival, BodyKind, Surface
from proxy.model.plan import Readings
from proxy.model.verdict import Durability, RefusalKind
from proxy.pipeline.weigh import Weighed
from proxy.settings.schema import Settings
from proxy.wire.surfaces import dialect_of

log = structlog.get_logger("gauger.gateway")

OVERLOADED = Refusal(RefusalKind.OVERLOADED, "The service is overloaded. Try again shortly.")
NOT_SERVED = Refusal(RefusalKind.NOT_FOUND, "This API is not served here.", should_retry=False)
DEFECT = Refusal(RefusalKind.INTERNAL, "The request could not be handled.")


class Gateway:
    """Takes requests from the front, and answers them."""

    def __init__(
        self,
        settings: Settings,
        enactor: Enactor,
        disarming: Disarming,
    ) -> None:
        self.pipeline = enactor.pipeline
        self.metrics = enactor.metrics
        self.store = enactor.store
        self._audit = enactor.audit
        self._upstreams = enactor.upstreams
        self._server = settings.server
        self._trusted = TrustedPeers(settings.trusted_peers, header=settings.forwarded_header)
        self._account_header = settings.account_header
        self._ja4_header = settings.ja4_header
        self._serve_unrecorded = settings.audit.on_failure == "serve"
        self.recorder = enactor.recorder
        self._enactor = enactor
        self._disarming = disarming
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def under_way(self) -> int:
        """Exchanges under way."""
        return len(self._tasks)

    @property
    def open_streams(self) -> int:
        """Streamed answers under way."""
        return self._enactor.open_streams

    def renew(self) -> None:
        """Renew the reservations of all that is under way."""
        self._enactor.renew()

    def stop(self) -> None:
        """Break off what is under way: callers are told, and what was delivered is settled."""
        self._enactor.stopping = True
        for task in self._tasks:
            task.cancel()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        at_ns = time.time_ns()
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            met = await self._meet(request, at_ns)
            return await self._enactor.run(request, met) if isinstance(met, Judged) else met
        except asyncio.CancelledError:
            if not self._enactor.stopped(request):
                raise
            path = request.raw_path.partition("?")[0]
            return self._unread(request, path, at_ns, STOPPING)
        finally:
            self._tasks.discard(task)

    async def _meet(self, request: web.BaseRequest, at_ns: int) -> web.StreamResponse | Judged:
        """Read a request and have it judged; its refusal where it does not come to that."""
        began_s = time.perf_counter()
        path, _, query = request.raw_path.partition("?")
        if why := suspicious(request):
            return self._unread(request, path, at_ns, Refusal(RefusalKind.BAD_REQUEST, why))
        peer = request.transport.get_extra_info("peername") if request.transport else None
        peer_ip = canonical(peer[0]) if peer else ""
        trusted = peer_ip in self._trusted
        try:
            headers = header_pairs(request.raw_headers, self._server.max_header_bytes)
            named = single(headers, self._account_header) if trusted else None
            ja4 = single(headers, self._ja4_header) if trusted else None
        except BadHeaders as bad:
            refusal = Refusal(RefusalKind.BAD_REQUEST, str(bad), status=bad.status)
            return self._unread(request, path, at_ns, refusal)
        if len(self._tasks) > self._server.max_streams:
            return self._unread(request, path, at_ns, OVERLOADED)
        if self._audit.failed is not None and not self._serve_unrecorded:
            return self._unread(request, path, at_ns, NOT_RECORDED)
        pipeline = self.pipeline
        pipeline.advance(at_ns)
        surface = pipeline.surface(request.method, path, headers)
        who = pipeline.identify(headers, at_ns, named_account=named)
        waited_s = -time.perf_counter()
        body = await self._body(request, surface, who)
        waited_s += time.perf_counter()
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
            ja4=ja4,
            named_account=named,
        )
        problem = body if isinstance(body, Refusal) else None
        batch = None
        if surface is not None and text is not None and surface.name in BATCHED:
            ordered = await self._enactor.batches.ordered(request.method, path, surface, text)
            problem = ordered if isinstance(ordered, Refusal) else problem
            batch = ordered if isinstance(ordered, BatchCount) else None
        try:
            judged = await self._judged(arrival, surface, who, problem, batch)
        except AuditUnavailable:
            return self._unread(request, path, at_ns, NOT_RECORDED)
        judged.body = body if isinstance(body, Body) else None
        judged.spent_s = time.perf_counter() - began_s - waited_s
        return judged

    async def _body(
        self, request: web.BaseRequest, surface: Surface | None, who: Caller | Refusal
    ) -> Body | Refusal | None:
        """The body, where it is to be read: of known callers, on surfaces that have one."""
        if surface is None or isinstance(who, Refusal):
            return None
        if self._upstreams.get(surface.dialect) is None:
            return NOT_SERVED
        limit = self._server.max_body_bytes
        if surface.body is BodyKind.JSON:
            timeout_s = self._server.body_timeout_s
            return await read_body(request, max_bytes=limit, timeout_s=timeout_s)
        return too_large(limit) if declares_more(request, limit) else None

    async def _judged(
        self,
        arrival: Arrival,
        surface: Surface | None,
        who: Caller | Refusal,
        problem: Refusal | None,
        batch: BatchCount | None,
    ) -> Judged:
        """Judge an exchange; a defect on the way refuses it, and is recorded as any refusal."""
        try:
            return await self._judge(self.pipeline.weigh(arrival, surface, who, problem, batch))
        except AuditUnavailable:
            raise
        except Exception as error:  # the boundary
            log.error("defect", exchange=arrival.id, **told(error))
            return await self._judge(self.pipeline.weigh(arrival, surface, who, DEFECT))

    async def _judge(self, weighed: Weighed) -> Judged:
        """Ask the store, decide, record. Nothing waits once the store has answered."""
        pipeline = self.pipeline
        readings = await self.store.take(weighed.plan)
        given_back = False
        try:
            decision = pipeline.decide(weighed, readings)
            if decision.refusal is not None:  # by a rule over what the store read, perhaps
                self._give_back(weighed, readings)
                given_back = True
            position = self._recorded(weighed, readings, decision)
            pipeline.observe(weighed, decision, position or 0)
            self.recorder.decided(weighed, forwarded=decision.refusal is None)
            self._disarming.observe(weighed, decision)
            self.metrics.decided(weighed.surface.name if weighed.surface else "none", decision)
            meter = Meter.of(self.store, weighed, readings)
        except Exception:
            if not given_back:
                self._give_back(weighed, readings)
            raise
        return Judged(weighed, readings, decision, position, meter)

    def _give_back(self, weighed: Weighed, readings: Readings) -> None:
        """What the store took for an exchange that will never be forwarded."""
        corrections = self.pipeline.settle(weighed, readings, Progress().outcome())
        self.store.settle(weighed.plan, readings, corrections)

    def _recorded(self, weighed: Weighed, readings: Readings, decision: Decision) -> int | None:
        """The decision's place in the log; None where it is served without one."""
        record = self.pipeline.decision_record(weighed, readings, decision)
        try:
            return self._audit.append(record, wanted=decision.durability is not Durability.ASYNC)
        except AuditUnavailable:
            if not self._serve_unrecorded:
                raise
            return None

    def _unread(
        self, request: web.BaseRequest, path: str, at_ns: int, refusal: Refusal
    ) -> web.StreamResponse:
        """Refuse what is not looked at any further, and has no record of its own."""
        self.metrics.turned_away(refusal)
        pairs = tuple(request.headers.items())
        dialect = dialect_of(path, pairs)
        response = rendered(request, dialect, refusal, (), exchange_id(at_ns), at_ns)
        if refusal.kind is RefusalKind.BAD_REQUEST:
            response.force_close()
        return response
