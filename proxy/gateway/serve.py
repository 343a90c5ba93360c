"""`gauger serve`: everything opened in order, served, drained, and closed in reverse."""

import asyncio
import gc
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import structlog
import uvloop
from aiohttp import web

from proxy import __version__
from proxy.audit.errors import AuditUnavailable
from proxy.audit.log import AuditLog
from proxy.facts.directory import DirectoryError
from proxy.facts.watch import DirectorySource
from proxy.gateway.accounts import Accounts
from proxy.gateway.admin import Action, Admin, Call, Told, Why
from proxy.gateway.disarmed_file import DisarmedFile
from proxy.gateway.disarming import Disarming
from proxy.gateway.enact import Enactor
from proxy.gateway.exchange import Gateway
from proxy.gateway.front import Front
from proxy.gateway.ids import exchange_id
from proxy.gateway.last_good import begin
from proxy.gateway.logs import configure_logs
from proxy.gateway.metrics import Metrics
from proxy.gateway.policies import Policies
from proxy.gateway.upstream import UpstreamPool
from proxy.model.decision import Answer, Refusal
from proxy.model.exchange import Dialect
from proxy.model.record import Json
from proxy.policy.archive import Archive
from proxy.policy.problem import Problem, ProblemsError
from proxy.settings.assemble import assemble
from proxy.settings.load import state_directory
from proxy.settings.schema import Settings
from proxy.settings.secrets import ensured
from proxy.store.memory import MemoryStore
from proxy.wire.refuse import answer
from proxy.wire.surfaces import dialect_of

BACKLOG = 4096
CLOSE_S = 2.0  # after the drain: what is broken off may tell its caller and settle
CUT_OFF_S = 0.001  # for aiohttp 0 means without end

log = structlog.get_logger("gauger")


def serve(settings: Settings) -> int:
    """Run until a signal says to stop; the exit code. Faults are raised before it listens."""
    configure_logs()
    return uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    stopping, hurry = asyncio.Event(), asyncio.Event()
    _on_signals(stopping, hurry)
    async with running(settings) as server:
        _on_hangup(server)
        log.info(
            "serving",
            version=__version__,
            listen=server.address,
            admin=server.admin_address,
            policy=server.gateway.pipeline.policy.digest,
            rules=len(server.gateway.pipeline.policy.rules),
            accounts=len(server.accounts.directory),
        )
        _spare_the_collector()
        await stopping.wait()
        log.info("draining", under_way=server.gateway.under_way, at_most_s=settings.server.drain_s)
        await server.drain(hurry)
    log.info("stopped")
    return 0


class Server:
    """A running gateway: its listeners and what they share."""

    def __init__(
        self,
        settings: Settings,
        gateway: Gateway,
        accounts: Accounts,
        policies: Policies,
        disarming: Disarming,
        audit: AuditLog,
        metrics: Metrics,
    ) -> None:
        self.gateway = gateway
        self.accounts = accounts
        self.policies = policies
        self.disarming = disarming
        self.address = ""
        self.admin_address = ""
        self._settings = settings
        self._audit = audit
        self._metrics = metrics
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
        data = _bound(self._settings.server.listen, "server.listen")
        admin = _bound(self._settings.admin.listen, "admin.listen")
        self._listener = await loop.create_server(self._front, sock=data, backlog=BACKLOG)
        self.address = _name_of(data)
        self._admin_runner = web.AppRunner(self._admin().app(), access_log=None)
        await self._admin_runner.setup()
        await web.SockSite(self._admin_runner, admin).start()
        self.admin_address = _name_of(admin)

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
        deadline = asyncio.get_running_loop().time() + CLOSE_S
        # An event set by every exchange would cost more than looking a few times here.
        while self.gateway.under_way and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 (see above)
            await asyncio.sleep(0.01)
        await self._front.shutdown(CUT_OFF_S)
        if self._admin_runner is not None:
            await self._admin_runner.cleanup()

    async def step(self) -> None:
        """Let the detector step also while nothing comes in; runs until cancelled."""
        while True:
            await asyncio.sleep(min(1.0, self._settings.detector.step_s))
            self.gateway.pipeline.advance(time.time_ns())

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
        )

    def _actions(self) -> tuple[Action, ...]:
        async def reload(_: Call) -> Told:
            return _told(*await self.accounts.reload(self.gateway.pipeline))

        async def reload_policies(_: Call) -> Told:
            return _told(*await self.policies.reload(self.gateway.pipeline))

        rule, operator, rules = "/v1/rules/{rule}", "operator", self.disarming
        return (
            Action("directory.reload", "POST", "/v1/directory/reload", operator, reload),
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
        metrics.counters.set(sum(self.gateway.store.counters().values()))
        metrics.policy_failed.set(self.policies.error is not None)
        metrics.endings.set(self.policies.exceptions_ending(time.time_ns()))
        self.disarming.refresh()


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Server]:
    """A gateway that listens, on the running event loop; closed in order at the end.

    Raises ProblemsError, DirectoryError, PlacesError or AuditError for what cannot be used.
    """
    async with AsyncExitStack() as stack:
        state = state_directory(settings)
        keys = ensured(settings)
        if keys.made:
            log.warning("secrets come from the state directory; back them up", file="keys.json")
        source = DirectorySource(settings.accounts, state) if settings.accounts else None
        if source is None:
            log.warning("no account directory is configured: every caller is refused")
        accounts = await Accounts.open(source)
        stack.callback(accounts.close)
        archive = Archive(state / "policies")
        begun = begin(settings.policies, archive, time.time_ns())
        disarmed = DisarmedFile.open(state / "disarmed.json", begun.policy)
        pipeline = assemble(settings, keys, accounts.directory, begun.policy)
        audit = AuditLog.open(
            settings.audit_directory,
            segment_bytes=settings.audit.segment_bytes,
            group_ms=settings.audit.group_ms,
        )
        stack.callback(_close_log, audit)
        upstreams = UpstreamPool.open(settings.upstreams, _secrets(settings))
        stack.push_async_callback(upstreams.close)
        metrics = Metrics()
        enactor = Enactor(settings, pipeline, MemoryStore(), audit, upstreams, metrics)
        disarming = Disarming(disarmed, pipeline, audit, metrics)
        stack.push_async_callback(disarmed.save)
        gateway = Gateway(settings, enactor, disarming)
        policies = Policies(settings.policies, archive, audit, begun, disarming.adopt)
        policies.begin(begun)
        server = Server(settings, gateway, accounts, policies, disarming, audit, metrics)
        stack.push_async_callback(server.close)
        await server.listen()
        watches = (accounts.watch(pipeline), policies.watch(pipeline), disarmed.keep())
        for task in (*watches, server.step()):
            stack.push_async_callback(_ended, asyncio.create_task(task))
        yield server


def _told(went_well: bool, said: str) -> Told:
    return Told(200 if went_well else 409, said)


def _spare_the_collector() -> None:
    """Keep what was made at the start out of garbage collections, and make those rarer.

    Exchanges leave few cycles behind; walking all modules and rules again and again for them
    would stall the loop for milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


def _on_signals(stopping: asyncio.Event, hurry: asyncio.Event) -> None:
    """The first signal begins the drain, the second ends it."""

    def signalled() -> None:
        (hurry if stopping.is_set() else stopping).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled)


def _on_hangup(server: Server) -> None:
    """SIGHUP reads policies and accounts again, as daemons have always done."""
    under_way: set[asyncio.Task[object]] = set()

    def signalled() -> None:
        pipeline = server.gateway.pipeline
        for reading in (server.policies.reload(pipeline), server.accounts.reload(pipeline)):
            task: asyncio.Task[object] = asyncio.ensure_future(reading)
            under_way.add(task)  # the loop itself holds tasks only weakly
            task.add_done_callback(under_way.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, signalled)


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, DirectoryError):
        await task


def _close_log(audit: AuditLog) -> None:
    try:
        audit.close()
    except AuditUnavailable as error:
        log.error("the audit log could not be closed", problem=str(error))


def _secrets(settings: Settings) -> dict[Dialect, str]:
    """Credentials to put in, from the environment; the settings' check saw that they are there."""
    found: dict[Dialect, str] = {}
    for dialect in Dialect:
        upstream = getattr(settings.upstreams, dialect.value)
        if upstream is not None and upstream.credential == "replace" and upstream.credential_env:
            found[dialect] = os.environ[upstream.credential_env]
    return found


def _bound(listen: str, setting: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, int(port)))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        message = (
            f"cannot listen on {listen}: {error.strerror or error} ({setting} in the settings)"
        )
        raise ProblemsError([Problem("gauger serve", 0, 0, message)]) from error
    sock.setblocking(False)
    return sock


def _name_of(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
