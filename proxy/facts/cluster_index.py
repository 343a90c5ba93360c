"""The layout of the clusters' SQLite index, and how it is filled.

Accounts stand in it by a hash: what is looked up needs no more, and the file names nobody. Of a
dismissed cluster there are no members, so that it has no effect. Members are kept in buckets,
because a million rows of their own take several times as long to write.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import groupby
from struct import Struct

import msgspec

from proxy.model.cluster import Cluster, ClusterState

FORMAT = "gauger-clusters-1"
_TABLES = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE clusters(number INTEGER PRIMARY KEY, json BLOB NOT NULL);
CREATE TABLE members(bucket BLOB PRIMARY KEY, records BLOB NOT NULL);
"""
_HASH_BYTES = 16
_BUCKET_BYTES = 2
_RECORD = Struct(f"<{_HASH_BYTES}sId")  # the account's hash, the cluster's number, the weight

Members = Mapping[str, float]  # weights by account id


@dataclass(frozen=True, slots=True)
class Filled:
    """How many clusters there are, and how many accounts are in one that is not dismissed."""

    clusters: int
    accounts: int


def fill(db: sqlite3.Connection, clusters: Iterable[tuple[Cluster, Members]]) -> Filled:
    """Make the tables and put all clusters in, with their accounts."""
    db.executescript(_TABLES)
    count = 0
    records: list[bytes] = []
    accounts: set[str] = set()
    for cluster, members in clusters:
        count += 1
        db.execute("INSERT INTO clusters VALUES (?, ?)", (count, msgspec.json.encode(cluster)))
        if cluster.state is not ClusterState.DISMISSED:
            accounts.update(members)
            records.extend(_RECORD.pack(_hash(a), count, weight) for a, weight in members.items())
    records.sort()
    db.executemany(
        "INSERT INTO members VALUES (?, ?)",
        ((bucket, b"".join(group)) for bucket, group in groupby(records, key=_bucket)),
    )
    db.commit()
    return Filled(count, len(accounts))


def look(db: sqlite3.Connection, account: str) -> list[tuple[bytes, float]]:
    """The clusters of an account as JSON, each with the account's weight. Raises sqlite3.Error."""
    wanted = _hash(account)
    row = db.execute("SELECT records FROM members WHERE bucket = ?", (_bucket(wanted),)).fetchone()
    if row is None:
        return []
    query = "SELECT json FROM clusters WHERE number = ?"
    return [
        (db.execute(query, (number,)).fetchone()[0], weight)
        for hashed, number, weight in _RECORD.iter_unpack(row[0])
        if hashed == wanted
    ]


def _hash(account: str) -> bytes:
    return blake2b(account.encode("utf-8", "surrogatepass"), digest_size=_HASH_BYTES).digest()


def _bucket(record: bytes) -> bytes:
    return record[:_BUCKET_BYTES]
