"""`gauger serve`: everything opened in order, served, drained, and closed in reverse."""

import asyncio
import gc
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import structlog
import uvloop

from proxy import __version__
from proxy.audit.errors import AuditUnavailable
from proxy.audit.log import AuditLog
from proxy.facts.directory import DirectoryError
from proxy.facts.watch import DirectorySource
from proxy.gateway import learned_file
from proxy.gateway.accounts import Accounts
from proxy.gateway.batches import Batches
from proxy.gateway.clusters import Clusters
from proxy.gateway.detecting.attached import Attached
from proxy.gateway.disarmed_file import DisarmedFile
from proxy.gateway.disarming import Disarming
from proxy.gateway.enact import Enactor
from proxy.gateway.exchange import Gateway
from proxy.gateway.last_good import begin
from proxy.gateway.logs import configure_logs
from proxy.gateway.metrics import Metrics
from proxy.gateway.policies import Policies
from proxy.gateway.server import Server
from proxy.gateway.stores import open_stores
from proxy.gateway.upstream import UpstreamPool
from proxy.gateway.worker import Worker
from proxy.model.exchange import Dialect
from proxy.model.verdict import RuleKind
from proxy.policy.archive import Archive
from proxy.policy.rules import PolicySet
from proxy.settings.assemble import assemble
from proxy.settings.load import state_directory
from proxy.settings.schema import Settings
from proxy.settings.secrets import ensured

log = structlog.get_logger("gauger")


def serve(settings: Settings, worker: Worker | None = None) -> int:
    """Run until a signal says to stop; the exit code. Faults are raised before it listens.

    As a worker it obeys its supervisor, and listens on the sockets that it was given.
    """
    configure_logs(worker.number if worker else None)
    return uvloop.run(_serve(settings, worker))


async def _serve(settings: Settings, worker: Worker | None) -> int:
    stopping, hurry = asyncio.Event(), asyncio.Event()
    if worker is None:
        _on_signals(stopping, hurry)
    else:
        worker.obey(stopping, hurry)
    async with running(settings, worker) as server:
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
        if worker is not None:
            _tell_what_is_apart(server.policies.policy, worker)
            worker.serving()
        await stopping.wait()
        log.info("draining", under_way=server.gateway.under_way, at_most_s=settings.server.drain_s)
        await server.drain(hurry)
    log.info("stopped")
    return 0


@asynccontextmanager
async def running(settings: Settings, worker: Worker | None = None) -> AsyncIterator[Server]:
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
        clusters = await Clusters.open(settings.clusters, state)
        stack.callback(clusters.close)
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
        learned = state / "learned.json"
        learned_file.restore(learned, pipeline.learned)
        if settings.store.redis is not None:
            pipeline.mark = None  # which only a store that forgets with its process needs
        store, remembered = await open_stores(settings, state, keys, audit)
        stack.push_async_callback(store.close)
        batches = Batches(
            remembered,
            store,
            pipeline,
            audit,
            refuse_unknown=settings.batches.unknown_files == "refuse",
        )
        stack.push_async_callback(batches.close)
        enactor = Enactor(settings, pipeline, store, audit, upstreams, metrics, batches)
        disarming = Disarming(disarmed, pipeline, audit, metrics)
        stack.push_async_callback(disarmed.save)
        gateway = Gateway(settings, enactor, disarming)
        policies = Policies(settings.policies, archive, audit, begun, disarming.adopt)
        policies.begin(begun)
        clusters.begin(pipeline, audit)
        detector = await Attached.open(settings, keys, pipeline, audit, clusters, worker)
        if detector is not None:
            stack.push_async_callback(detector.close)
        server = Server(
            settings,
            gateway,
            accounts,
            clusters,
            policies,
            disarming,
            audit,
            metrics,
            detector,
            worker,
        )
        stack.push_async_callback(server.close)
        await server.listen()
        watches = (
            accounts.watch(pipeline),
            clusters.watch(pipeline, audit),
            policies.watch(pipeline),
            disarmed.watch(),
            learned_file.keep(learned, pipeline.learned),
        )
        for task in (*watches, disarmed.keep(), store.keep(), server.step(), server.renew()):
            stack.push_async_callback(_ended, asyncio.create_task(task))
        yield server


def _tell_what_is_apart(policy: PolicySet, worker: Worker) -> None:
    """Name the rules that rest on what each worker counts for itself; the first speaks for all."""
    alone = [one.id for one in policy.rules if one.fuse or one.kind is RuleKind.FINGERPRINT]
    if alone and worker.number == 0:
        log.warning("each worker counts for itself what fuses and fingerprints ask", rules=alone)


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
        for reading in (
            server.policies.reload(pipeline),
            server.accounts.reload(pipeline),
            server.reload_clusters(),
        ):
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
