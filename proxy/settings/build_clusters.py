"""Build the clusters' index: `python -m proxy.settings.build_clusters CLUSTERS INDEX`.

Runs in a process of its own at low priority, so that reading a large file never holds up whoever
serves. A fault anywhere in the file leaves the index that is there in place.
"""

import gc
import os
import sqlite3
import sys
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from proxy.facts.cluster_index import FORMAT, fill
from proxy.facts.clusters import ClusterMap, ClustersError, opened
from proxy.facts.index_files import Signature, alone, put_in_place, signature
from proxy.policy.problem import Problem, ProblemsError
from proxy.settings.clusters import Written, checked, version_of
from proxy.settings.clusters_file import read_file

NICENESS = 10
MOST_LATE = 20  # clusters that are named


class BuildReport(Struct, frozen=True):
    """How a build ended. `problems` is empty where the index is in place.

    `source` is the signature of the file that was read, `version` the digest of the clusters.
    `late` are clusters that got a parent while they were there already, so that they carry on
    their own count and not its.
    """

    version: str = ""
    source: Signature = ()
    pid: int = 0
    problems: tuple[Problem, ...] = ()
    late: tuple[str, ...] = ()


def index_report(index: Path, source: Path) -> BuildReport | None:
    """The report of the build that made this index from this file, or None where it is another's.

    A missing, damaged or foreign index gives None.
    """
    try:
        db, meta = opened(index)
    except ClustersError:
        return None
    db.close()
    if meta.get("path") != os.path.abspath(source):  # noqa: PTH100 (resolve would follow links)
        return None
    return msgspec.json.decode(meta["report"], type=BuildReport)


def build_index(clusters: Path, index: Path) -> BuildReport:
    """Read a file of clusters and put its index in place, all or nothing.

    Returns at once where the index already stands for this state of the file. Every problem is in
    the report, and the index that was there before is still there then.
    """
    try:
        index.parent.mkdir(parents=True, exist_ok=True)
        with alone(index):
            done = index_report(index, clusters)
            if done and done.source == signature(clusters):
                return done
            return put_in_place(index, partial(_write, clusters, index))
    except (OSError, sqlite3.Error) as error:
        message = f"cannot be written ({error}); see that the disk has room"
        problem = Problem(str(index), 0, 0, message)
    return BuildReport(source=signature(clusters), pid=os.getpid(), problems=(problem,))


def _write(path: Path, index: Path, aside: Path) -> BuildReport:
    source = signature(path)
    try:
        clusters = checked(read_file(path))
    except ProblemsError as error:
        return BuildReport(source=source, pid=os.getpid(), problems=error.problems)
    if source != signature(path):
        changed = Problem(str(path), 0, 0, "changed while it was read; it is read again")
        return BuildReport(source=source, pid=os.getpid(), problems=(changed,))
    report = BuildReport(version_of(clusters), source, os.getpid())
    db = sqlite3.connect(aside)
    try:
        # A build that dies is started again from nothing; only the finished file is synced.
        db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        db.execute("PRAGMA cache_size = -65536")
        filled = fill(db, clusters)
        meta = {
            "format": FORMAT,
            "path": os.path.abspath(path),  # noqa: PTH100 (resolve would follow links)
            "version": report.version,
            "clusters": str(filled.clusters),
            "accounts": str(filled.accounts),
            "report": msgspec.json.encode(report).decode(),
        }
        db.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        db.commit()
    finally:
        db.close()
    return structs.replace(report, late=_late(clusters, index))


def _late(clusters: tuple[Written, ...], index: Path) -> tuple[str, ...]:
    """Clusters of the index that is to be replaced which have parents now that they had not."""
    try:
        before = ClusterMap.open(index)
    except ClustersError:
        return ()
    known = {cluster.id: cluster.parents for cluster in before.first(before.clusters)}
    before.close()
    found = (c.id for c, _ in clusters if set(c.parents).difference(known.get(c.id, c.parents)))
    return tuple(islice(found, MOST_LATE))


def main(arguments: list[str]) -> int:
    """Build, write the report to standard output as one line of JSON, and return 0 or 1."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m proxy.settings.build_clusters CLUSTERS INDEX\n")
        return 2
    os.nice(NICENESS)
    gc.disable()
    report = build_index(*map(Path, arguments))
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
