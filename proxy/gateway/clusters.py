"""Keeping the clusters current while serving: each map that comes into force is recorded.

A file with a fault changes nothing: the last good map stays in force, over a restart too, and log,
readiness and metrics say why. Where no file is named nothing is known of clusters.
"""

import asyncio
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import structlog

from proxy.audit.errors import AuditUnavailable, BadRecord
from proxy.audit.log import AuditLog
from proxy.facts.clusters import ClusterMap, cluster_facts
from proxy.gateway.cluster_source import ClusterSource
from proxy.gateway.ids import exchange_id
from proxy.gateway.logs import told
from proxy.model.cluster import Cluster
from proxy.model.record import Json, Record
from proxy.model.sighting import ClusterIndex
from proxy.pipeline.pipeline import Pipeline
from proxy.policy.problem import ProblemsError

LOOK_EVERY_S = 1.0
LATE = (
    "clusters that count already do not take over the counts of new parents "
    "(give what was merged a new id)"
)
MOST_LISTED = 2_000  # clusters that a record names

log = structlog.get_logger("gauger.clusters")


class Clusters:
    """The map in force, or None without a file; `error` is why the file's present state is not."""

    def __init__(self, source: ClusterSource | None, clusters: ClusterMap | None) -> None:
        self.clusters = clusters
        self.index: ClusterIndex | None = None  # what the detector found, beside what is written
        self.error: str | None = None
        self._source = source
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, path: Path | None, state: Path) -> "Clusters":
        """Read the file, or take up the last good map; ProblemsError if there is neither."""
        if path is None:
            return cls(None, None)
        source = ClusterSource(path, state)
        clusters, error = await source.start()
        opened = cls(source, clusters)
        opened._failed(error)
        return opened

    def close(self) -> None:
        """Close the map in force."""
        if self.clusters is not None:
            self.clusters.close()

    def begin(self, pipeline: Pipeline, audit: AuditLog) -> None:
        """Put the map that the process starts with in force."""
        if self.clusters is not None:
            self._in_force(self.clusters, pipeline, audit, last_good=self.error is not None)
            _told_late(self._source.late if self._source else ())

    async def watch(self, pipeline: Pipeline, audit: AuditLog) -> None:
        """Take up changes of the file, once it holds still, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.look(pipeline, audit)

    async def look(self, pipeline: Pipeline, audit: AuditLog) -> None:
        """Take up the file if it has changed, and not again since the look before this."""
        if self._source is None or not self._source.changed():
            return
        try:
            await self.reload(pipeline, audit)
        except Exception as error:  # the boundary: a file that trips us up is edited again
            self.error = "a defect: the log says where, and the clusters in force stay"
            log.error("defect", **told(error))

    async def reload(self, pipeline: Pipeline, audit: AuditLog) -> tuple[bool, str]:
        """Read the file now; whether it is in force now, and what to tell about it."""
        if self._source is None:
            return False, "no file of clusters is configured"
        async with self._turn:
            try:
                found = await self._source.refresh()
            except ProblemsError as error:
                self._failed(error)
                return False, str(error)
            self._failed(None)
            before = self.clusters
            if before is not None and before.version == found.version:
                found.close()
                return True, f"unchanged, {found.version}"
            self._in_force(found, pipeline, audit)
            if before is not None:
                before.close()
            said = f"{found.clusters} clusters, {found.accounts} accounts, {found.version}"
            return True, said + _told_late(self._source.late)

    def adopt(self, index: ClusterIndex, pipeline: Pipeline) -> None:
        """Look clusters up in what the detector found, too; whoever calls has recorded it."""
        self.index = index
        self._look_up(pipeline)

    def readiness(self) -> dict[str, Json]:
        """What readiness tells of the clusters."""
        return {
            "clusters": self.clusters.version if self.clusters else None,
            "clusters_problem": self.error,
        }

    def _in_force(
        self,
        clusters: ClusterMap,
        pipeline: Pipeline,
        audit: AuditLog,
        *,
        last_good: bool = False,
    ) -> None:
        # Recorded before a decision can rest on it.
        _record(clusters, audit, last_good=last_good)
        self.clusters = clusters
        self._look_up(pipeline)
        log.info(
            "clusters in force",
            version=clusters.version,
            clusters=clusters.clusters,
            accounts=clusters.accounts,
        )

    def _look_up(self, pipeline: Pipeline) -> None:
        pipeline.clusters = partial(cluster_facts, self.clusters, self.index)

    def _failed(self, error: ProblemsError | None) -> None:
        self.error = str(error) if error else None
        if error:
            log.error("clusters refused, the last good ones serve", problems=str(error))


def _told_late(late: tuple[str, ...]) -> str:
    """What is wrong where a merge was written under a name that counts already, or ""."""
    if not late:
        return ""
    log.warning(LATE, clusters=late)
    return f"; {LATE}: {', '.join(late)}"


def _record(clusters: ClusterMap, audit: AuditLog, *, last_good: bool) -> None:
    """Record the map; without the clusters themselves where they do not go on one line."""
    fields: dict[str, Json] = {"clusters": clusters.version, "accounts": clusters.accounts}
    if last_good:
        fields["last_good"] = True
    listed: list[Json] = [_listed(cluster) for cluster in clusters.first(MOST_LISTED)]
    left_out = clusters.clusters - len(listed)
    full = fields | {"listed": listed} | ({"left_out": left_out} if left_out else {})
    try:
        with suppress(BadRecord):
            return _append(audit, full)
        return _append(audit, fields | {"left_out": clusters.clusters})
    except (AuditUnavailable, BadRecord) as error:
        log.error("clusters not recorded", version=clusters.version, problem=str(error))


def _append(audit: AuditLog, fields: dict[str, Json]) -> None:
    at_ns = time.time_ns()
    audit.append(Record("clusters", exchange_id(at_ns), at_ns, fields))


def _listed(cluster: Cluster) -> dict[str, Json]:
    """What the record says of a cluster; evidence may name people and stays in the file."""
    said: dict[str, Json] = {
        "id": cluster.id,
        "state": cluster.state.value,
        "score": cluster.score,
        "accounts": cluster.accounts,
    }
    if cluster.parents:
        said["parents"] = list(cluster.parents)
    return said
