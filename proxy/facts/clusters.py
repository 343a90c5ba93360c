"""Who is in which cluster, looked up by account id, and the facts that follow from it.

A map reads an SQLite index that another process built, so that a million accounts open in well
under a millisecond and cost the garbage collector nothing. It never changes: a file that was edited
gives another map.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Self
from urllib.parse import quote

import msgspec

from proxy.facts.cluster_index import FORMAT, Members, fill, look
from proxy.model.cluster import NO_CLUSTER, Cluster, Membership
from proxy.model.facts import ORDINARY_FACTS, FactValue
from proxy.model.sighting import ClusterIndex, Described

CACHED_ACCOUNTS = 8_192
MAPPED_BYTES = 1 << 32
_FIRST = "SELECT json FROM clusters ORDER BY number LIMIT ?"

# What is known of an account that is in no cluster, where it is known who is in one.
IN_NO_CLUSTER: Mapping[str, FactValue] = MappingProxyType(
    {
        "cluster.id": "",
        "cluster.ids": (),
        "cluster.lineage": (),
        "cluster.score": 0.0,
        "cluster.accounts": 0,
        "cluster.state": NO_CLUSTER,
        "cluster.account_weight": 0.0,
        "cluster.exchange_match": False,
    }
)


class ClustersError(Exception):
    """Why an index of clusters cannot be used."""


class ClusterMap:
    """Clusters by account. `version` is the digest of the file's content.

    `accounts` is how many are in a cluster that is not dismissed. Not for use by several threads
    at once.
    """

    def __init__(
        self, db: sqlite3.Connection, *, version: str, clusters: int, accounts: int
    ) -> None:
        self.version = version
        self.clusters = clusters
        self.accounts = accounts
        self._db = db
        self._decode = msgspec.json.Decoder(Cluster).decode
        self._found = lru_cache(maxsize=CACHED_ACCOUNTS)(self._look)

    @classmethod
    def of_clusters(cls, clusters: Iterable[tuple[Cluster, Members]], version: str) -> Self:
        """A map in memory."""
        db = sqlite3.connect(":memory:", check_same_thread=False)
        filled = fill(db, clusters)
        return cls(db, version=version, clusters=filled.clusters, accounts=filled.accounts)

    @classmethod
    def open(cls, index: Path | str) -> Self:
        """The map in an index that a builder wrote. Raises ClustersError."""
        db, meta = opened(index)
        clusters, accounts = int(meta["clusters"]), int(meta["accounts"])
        return cls(db, version=meta["version"], clusters=clusters, accounts=accounts)

    def of(self, account: str) -> tuple[Membership, ...]:
        """The clusters that an account is in, the surest first; dismissed ones are left out."""
        return self._found(account)

    def first(self, count: int) -> tuple[Cluster, ...]:
        """The first so many clusters as they stand in the file, dismissed ones too."""
        return tuple(self._decode(json) for (json,) in self._db.execute(_FIRST, (count,)))

    def close(self) -> None:
        """Let go of the index; look-ups are an error from then on."""
        self._found.cache_clear()
        self._db.close()

    def _look(self, account: str) -> tuple[Membership, ...]:
        try:
            rows = look(self._db, account)
            found = [Membership(self._decode(json), weight) for json, weight in rows]
        except (sqlite3.Error, msgspec.DecodeError) as error:
            msg = f"the index of clusters cannot be read: {error}"
            raise ClustersError(msg) from error
        return tuple(sorted(found, key=lambda membership: membership.rank))


def cluster_facts(
    clusters: ClusterMap | None,
    index: ClusterIndex | None,
    account: Described,
    tokens: Sequence[int],
) -> Mapping[str, FactValue]:
    """What is known of an exchange's clusters: of the surest, and of all of them by id.

    `clusters` are those that investigators wrote down, whose accounts match with every exchange,
    `index` those of the detector, which also says what ordinary accounts use, once it knows.
    """
    found = clusters.of(account.account) if clusters is not None else ()
    if index is not None and (detected := index.of(account, tokens)):
        found = tuple(sorted((*found, *detected), key=lambda m: m.rank)) if found else detected
    known = _facts_of(found) if found else IN_NO_CLUSTER
    if index is None or not index.ordinary:
        return known
    used = index.ordinary
    return {**known, **{fact: used[unit] for unit, fact in ORDINARY_FACTS.items() if unit in used}}


def _facts_of(found: tuple[Membership, ...]) -> Mapping[str, FactValue]:
    surest = found[0]
    return {
        "cluster.id": surest.cluster.id,
        "cluster.ids": tuple([membership.cluster.id for membership in found]),
        "cluster.lineage": lineage(found),
        "cluster.score": surest.cluster.score,
        "cluster.accounts": surest.cluster.accounts,
        "cluster.state": surest.cluster.state.value,
        "cluster.account_weight": surest.weight,
        "cluster.exchange_match": surest.match,
    }


def lineage(found: Iterable[Membership]) -> tuple[str, ...]:
    """Each cluster and a parent of it as child<parent."""
    return tuple([f"{m.cluster.id}<{parent}" for m in found for parent in m.cluster.parents])


def opened(index: Path | str) -> tuple[sqlite3.Connection, dict[str, str]]:
    """A read-only connection to a finished index, and what it says of itself. ClustersError.

    An index is replaced by renaming and never changed, so SQLite need not watch or lock it.
    """
    address = f"file:{quote(str(Path(index).absolute()))}?mode=ro&immutable=1"
    try:
        db = sqlite3.connect(address, uri=True, check_same_thread=False)
    except sqlite3.Error as error:
        msg = f"{index}: cannot open the index of clusters: {error}"
        raise ClustersError(msg) from error
    try:
        db.execute(f"PRAGMA mmap_size = {MAPPED_BYTES}")  # the pages are shared and reclaimable
        meta = dict(db.execute("SELECT name, value FROM meta").fetchall())
    except sqlite3.Error as error:
        db.close()
        msg = f"{index}: not a readable index of clusters: {error}"
        raise ClustersError(msg) from error
    if meta.get("format") != FORMAT:
        db.close()
        msg = f"{index}: an index of clusters of another version; it is built again"
        raise ClustersError(msg)
    return db, meta
