"""Clusters as a file has them, checked against each other, to a map that facts are looked up in."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import msgspec

from proxy.facts.cluster_index import Members
from proxy.facts.clusters import ClusterMap
from proxy.model.cluster import Cluster, ClusterState
from proxy.policy.problem import Problem, ProblemsError
from proxy.settings.clusters_file import Listed, Read, parents_of, read_file

MAX_CLUSTERS_OF_ACCOUNT = 32  # an exchange may be charged to each of them
MAX_LINEAGE = 32
MAX_PROBLEMS = 50

Written = tuple[Cluster, Members]


def load_clusters(path: Path) -> ClusterMap:
    """The map of a file, in memory, read here and now: for replay and for checks.

    A gateway must not wait for that: it opens an index. ProblemsError names every fault.
    """
    clusters = checked(read_file(path))
    return ClusterMap.of_clusters(clusters, version_of(clusters))


def checked(read: Read) -> tuple[Written, ...]:
    """The clusters with their accounts; ProblemsError names every fault."""
    problems = [*read.problems, *_twice(read.listed), *_in_too_many(read.listed)]
    ancestors = _Ancestors(read.listed)
    clusters: list[Written] = []
    for listed in read.listed:
        found = ancestors.of(listed)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            clusters.append((_cluster(listed, found), listed.members))
    if problems:
        raise ProblemsError(_bounded(problems, read.file))
    return tuple(clusters)


def version_of(clusters: Iterable[Written]) -> str:
    """SHA-256 of what the clusters are; comments and order within a cluster do not matter."""
    digest = sha256()
    for cluster, members in sorted(clusters, key=lambda written: written[0].id):
        digest.update(msgspec.json.encode((cluster, sorted(members.items()))) + b"\n")
    return f"sha256:{digest.hexdigest()}"


def _cluster(listed: Listed, parents: tuple[str, ...]) -> Cluster:
    spec = listed.spec
    count = len(listed.members)
    return Cluster(spec.id, spec.state, spec.score, count, parents, spec.evidence)


def _bounded(problems: list[Problem], file: str) -> list[Problem]:
    ordered = sorted(set(problems))
    if len(ordered) <= MAX_PROBLEMS:
        return ordered
    more = Problem(file, 0, 0, f"and {len(ordered) - MAX_PROBLEMS} more faults")
    return [*ordered[:MAX_PROBLEMS], more]


def _twice(clusters: list[Listed]) -> Iterator[Problem]:
    first: dict[str, Listed] = {}
    for listed in clusters:
        before = first.setdefault(listed.spec.id, listed)
        if before is not listed:
            message = f'there is a cluster "{listed.spec.id}" already (line {before.line})'
            yield listed.problem(("id",), message)


def _in_too_many(clusters: list[Listed]) -> Iterator[Problem]:
    """Accounts in more clusters than an exchange can be charged to."""
    counts: Counter[str] = Counter()
    for listed in clusters:
        if listed.spec.state is ClusterState.DISMISSED:
            continue
        counts.update(listed.members.keys())
    for listed in clusters if counts and max(counts.values()) > MAX_CLUSTERS_OF_ACCOUNT else ():
        for i, account in enumerate(listed.members):
            if counts[account] > MAX_CLUSTERS_OF_ACCOUNT:
                counts[account] = 0  # told once
                message = (
                    f"accounts[{i}]: this account is in more than {MAX_CLUSTERS_OF_ACCOUNT} "
                    "clusters: merge those that are one"
                )
                yield listed.problem(("accounts", i), message)


class _Ancestors:
    """Whose counts a cluster carries on: its parents, and theirs as far as the file names them.

    A parent that has not counted anything yet would otherwise pass nothing on.
    """

    def __init__(self, clusters: list[Listed]) -> None:
        self._parents: Mapping[str, tuple[str, ...]] = {
            listed.spec.id: tuple(parent for _, parent in parents_of(listed.spec))
            for listed in clusters
        }

    def of(self, listed: Listed) -> tuple[str, ...] | Problem:
        """The ancestors, the nearest first; a fault where they are too many, or it itself."""
        own = listed.spec.id
        via: dict[str, str] = {}
        waiting = deque((parent, own) for _, parent in parents_of(listed.spec))
        while waiting:
            name, child = waiting.popleft()
            if name == own:
                return self._cycle(listed, via, child)
            if name in via:
                continue
            via[name] = child
            waiting.extend((parent, name) for parent in self._parents.get(name, ()))
        if len(via) > MAX_LINEAGE:
            message = (
                f'"{own}" carries on the counts of {len(via)} clusters, at most {MAX_LINEAGE}: '
                "remove the oldest that have not counted for a year"
            )
            return listed.problem(_where(listed, ""), message)
        return tuple(via)

    def _cycle(self, listed: Listed, via: Mapping[str, str], last: str) -> Problem:
        own, way = listed.spec.id, [last]
        while way[-1] != own:
            way.append(via[way[-1]])
        shown = " from ".join([*(f'"{name}"' for name in reversed(way)), f'"{own}"'])
        message = f"a cluster that is made from itself: {shown}"
        return listed.problem(_where(listed, way[-2] if len(way) > 1 else own), message)


def _where(listed: Listed, parent: str) -> tuple[str | int, ...]:
    """Where a parent of a cluster is written, or else its first one."""
    written = list(parents_of(listed.spec))
    return next((path for path, name in written if name == parent), written[0][0])
