"""A running gateway: its listeners, and what its admin listener tells and does."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from socket import socket

import structlog
from aiohttp import web

from proxy import __version__
from proxy.audit.log import AuditLog
from proxy.engine.settle import RENEWED_S
from proxy.gateway.accounts import Accounts
from proxy.gateway.admin import Action, Admin, Call, Told, Why
from proxy.gateway.clusters import Clusters
from proxy.gateway.detecting.attached import Attached
from proxy.gateway.disarming import Disarming
from proxy.gateway.exchange import Gateway
from proxy.gateway.front import Front
from proxy.gateway.ids import exchange_id
from proxy.gateway.metrics import Metrics
from proxy.gateway.policies import Policies
from proxy.gateway.record_action import RecordAction
from proxy.gateway.siblings import Siblings
from proxy.gateway.sockets import BACKLOG, bound, listening, name_of
from proxy.gateway.worker import Worker
from proxy.model.decision import Answer, Refusal
from proxy.model.record import Json
from proxy.settings.schema import Settings
from proxy.wire.refuse import answer
from proxy.wire.surfaces import dialect_of

CLOSE_S = 2.0  # after the drain: what is broken off may tell its caller and settle
CUT_OFF_S = 0.001  # for aiohttp 0 means without end

log = structlog.get_logger("gauger")


class Server:
    """A running gateway: its listeners and what they share."""

    def __init__(
        self,
        settings: Settings,
        gateway: Gateway,
        accounts: Accounts,
        clusters: Clusters,
        policies: Policies,
        disarming: Disarming,
        audit: AuditLog,
        metrics: Metrics,
        detector: Attached | None = None,
        worker: Worker | None = None,
    ) -> None:
        self.gateway = gateway
        self.accounts = accounts
        self.clusters = clusters
        self.policies = policies
        self.disarming = disarming
        self.detector = detector
        self.address = ""
        self.admin_address = ""
        self._settings = settings
        self._audit = audit
        self._metrics = metrics
        self._worker = worker
        self._siblings = Siblings(worker) if worker else None
        limits = settings.server
        self._front = Front(
            gateway.handle,
            self._refuse,
            max_connections=limits.max_connections,
            header_timeout_s=limits.header_timeout_s,
            keepalive_s=limits.keepalive_s,
            max_header_bytes=limits.max_header_bytes,
        )
        self._listener: asyncio.Server | None = None
        self._admin_runner: web.AppRunner | None = None

    async def listen(self) -> None:
        """Open both listeners; ProblemsError where an address cannot be had."""
        loop = asyncio.get_running_loop()
        data, admin = self._sockets()
        self._listener = await loop.create_server(self._front, sock=data, backlog=BACKLOG)
        self.address = name_of(data)
        answers = self._admin()
        if self._siblings is not None:
            await self._siblings.listen(answers.own)
        self._admin_runner = web.AppRunner(answers.app(), access_log=None)
        await self._admin_runner.setup()
        await web.SockSite(self._admin_runner, admin).start()
        self.admin_address = name_of(admin)

    async def drain(self, hurry: asyncio.Event) -> None:
        """Stop accepting; let exchanges finish until the deadline, or until told to hurry."""
        if self._listener is not None:
            self._listener.close()
        self._front.drain()
        deadline = asyncio.get_running_loop().time() + self._settings.server.drain_s
        while self.gateway.under_way and not hurry.is_set():
            left_s = deadline - asyncio.get_running_loop().time()
            if left_s <= 0:
                log.warning("drain deadline passed", cut_off=self.gateway.under_way)
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(hurry.wait(), min(0.1, left_s))

    async def close(self) -> None:
        """Cut off what is left, and close the listeners."""
        if self._listener is not None:
            self._listener.close()
        self._front.drain()
        self.gateway.stop()
        self.gateway.recorder.stop()
        deadline = asyncio.get_running_loop().time() + CLOSE_S
        # An event set by every exchange would cost more than looking a few times here.
        while self.gateway.under_way and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 (see above)
            await asyncio.sleep(0.01)
        await self._front.shutdown(CUT_OFF_S)
        if self._admin_runner is not None:
            await self._admin_runner.cleanup()
        if self._siblings is not None:
            await self._siblings.close()

    async def step(self) -> None:
        """Let the detector step also while nothing comes in; runs until cancelled."""
        while True:
            await asyncio.sleep(min(1.0, self._settings.detector.step_s))
            self.gateway.pipeline.advance(time.time_ns())

    async def renew(self) -> None:
        """Renew what exchanges under way have reserved; runs until cancelled."""
        redis = self._settings.store.redis
        every_s = RENEWED_S if redis is None else min(RENEWED_S, redis.lease_s / 3)
        while True:
            await asyncio.sleep(every_s)
            self.gateway.renew()

    async def reload_clusters(self) -> tuple[bool, str]:
        """Read the clusters' file again; whether that went well, and what is to be told."""
        return await self.clusters.reload(self.gateway.pipeline, self._audit)

    def _sockets(self) -> tuple[socket, socket]:
        """The listeners for callers and for the admin, listening."""
        settings, given = self._settings, self._worker
        data = given.listener if given else bound(settings.server.listen, "server.listen")
        admin = given.admin if given else bound(settings.admin.listen, "admin.listen")
        return listening(data, "server.listen"), listening(admin, "admin.listen")

    def _refuse(self, request: web.BaseRequest, refusal: Refusal) -> Answer:
        """What is told of a request that never came to judgement; unparsed, it has no dialect."""
        self._metrics.turned_away(refusal)
        at_ns = time.time_ns()
        dialect = dialect_of(request.raw_path.partition("?")[0], tuple(request.headers.items()))
        head = request.method == "HEAD"
        identity = exchange_id(at_ns)
        return answer(dialect, refusal, (), exchange_id=identity, at_ns=at_ns, head=head)

    def _admin(self) -> Admin:
        return Admin(
            self._settings.admin.principals,
            self._actions(),
            self._readiness,
            self._refresh_gauges,
            self._metrics,
            self._audit,
            self._siblings,
            self._recording,
        )

    def _recording(self, may: Callable[[web.Request], bool]) -> RecordAction:
        capture = self._settings.admin.capture
        return RecordAction(self.gateway.recorder, self._worker, may, capture=capture)

    def _actions(self) -> tuple[Action, ...]:
        async def reload(_: Call) -> Told:
            return _told(*await self.accounts.reload(self.gateway.pipeline))

        async def reload_clusters(_: Call) -> Told:
            return _told(*await self.reload_clusters())

        async def reload_policies(_: Call) -> Told:
            return _told(*await self.policies.reload(self.gateway.pipeline))

        rule, operator, rules = "/v1/rules/{rule}", "operator", self.disarming
        return (
            Action("directory.reload", "POST", "/v1/directory/reload", operator, reload),
            Action("clusters.reload", "POST", "/v1/clusters/reload", operator, reload_clusters),
            Action("policies.reload", "POST", "/v1/policies/reload", operator, reload_policies),
            Action("rules.disarm", "POST", f"{rule}/disarm", operator, rules.disarm, Why),
            Action("rules.arm", "POST", f"{rule}/arm", operator, rules.arm, Why),
            Action("rules.list", "GET", "/v1/rules", "viewer", rules.listed),
        )

    def _readiness(self) -> tuple[bool, dict[str, Json]]:
        failed = self._audit.failed
        ready = not self._front.draining and (
            failed is None or self._settings.audit.on_failure == "serve"
        )
        return ready, {
            "version": __version__,
            "draining": self._front.draining,
            **self.policies.readiness(time.time_ns()),
            "disarmed": [*sorted(self.disarming.names)],
            "disarmed_problem": self.disarming.file.unsaved,
            "accounts": len(self.accounts.directory),
            "accounts_problem": self.accounts.error,
            "places_problem": self.gateway.pipeline.places.damage,
            "audit_lag_records": self._audit.lag,
            "audit_problem": str(failed) if failed else None,
            "counts_problem": self.gateway.store.problem,
            "store": {**self.gateway.store.status()},
            **self.clusters.readiness(),
            **(self.detector.readiness() if self.detector else {}),
        }

    def _refresh_gauges(self) -> None:
        metrics = self._metrics
        metrics.under_way.set(self.gateway.under_way)
        metrics.streams.set(self.gateway.open_streams)
        metrics.connections.set(self._front.open_connections)
        metrics.audit_lag.set(self._audit.lag)
        metrics.audit_failed.set(self._audit.failed is not None)
        metrics.accounts.set(len(self.accounts.directory))
        metrics.directory_failed.set(self.accounts.error is not None)
        metrics.counters.set(self.gateway.store.counters())
        held = self.clusters.clusters
        metrics.clusters.set(held.clusters if held else 0)
        metrics.clusters_failed.set(self.clusters.error is not None)
        if self.detector is not None:
            self.detector.refresh(metrics)
        metrics.store(self.gateway.store.status(), self.gateway.store.problem)
        metrics.policy_failed.set(self.policies.error is not None)
        metrics.endings.set(self.policies.exceptions_ending(time.time_ns()))
        self.disarming.refresh()


def _told(went_well: bool, said: str) -> Told:
    return Told(200 if went_well else 409, said)
