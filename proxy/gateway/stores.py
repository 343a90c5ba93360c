"""The store that a gateway counts in, as the settings name it: embedded, or Redis."""

import os
from pathlib import Path

from proxy.audit.log import AuditLog
from proxy.gateway.counts import open_counts
from proxy.model.plan import Plan
from proxy.settings.reach import reach
from proxy.settings.schema import Settings
from proxy.settings.schema_store import Redis
from proxy.settings.secrets import Keys
from proxy.store.embedded import EmbeddedStore
from proxy.store.guarded import GuardedStore
from proxy.store.redis.connect import route
from proxy.store.redis.remembered import InRedis
from proxy.store.redis.store import RedisStore
from proxy.store.remembered import OnDisk, Remembered
from proxy.store.sealed import Sealed

REMEMBERED = "batches.sqlite"  # in the state directory


async def open_stores(
    settings: Settings, state: Path, keys: Keys, audit: AuditLog
) -> tuple[EmbeddedStore | GuardedStore, Remembered]:
    """The counters, and what is remembered of files and batches.

    A Redis that does not answer is no fault: rules act by `on_unavailable` until it does.
    """
    redis = settings.store.redis
    if redis is None:
        counts = open_counts(state, keys, audit, settings.audit_directory)
        return counts, Sealed(OnDisk(state / REMEMBERED), keys.fingerprint)
    return await _shared(redis, state, keys)


async def _shared(redis: Redis, state: Path, keys: Keys) -> tuple[GuardedStore, Remembered]:
    way = route(reach(redis, os.environ))
    timeout_s = redis.timeout_ms / 1000

    def undelivered(plan: Plan) -> None:
        guarded.outage.forget(plan)

    shared = RedisStore(
        way,
        keys.fingerprint,
        prefix=redis.prefix,
        timeout_s=timeout_s,
        lease_s=redis.lease_s,
        undelivered=undelivered,
    )
    guarded = GuardedStore(
        shared, state_dir=state, max_replicas=redis.max_replicas, timeout_s=timeout_s
    )
    await guarded.start()
    remembered = InRedis(way, keys.fingerprint, redis.prefix)
    return guarded, Sealed(remembered, keys.fingerprint)
