"""What a file of clusters says, told beside what the account directory says: who is not there."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from proxy.facts.directory import Directory
from proxy.model.cluster import ClusterState
from proxy.policy.problem import Problem
from proxy.settings.clusters_file import Read, parents_of

MOST_TOLD = 20
NAMED = 10


def summary(read: Read) -> str:
    """How many clusters and accounts there are, in words; the file is in order."""
    clusters = [listed for listed in read.listed if listed.spec.state is not ClusterState.DISMISSED]
    accounts = len(set().union(*(listed.members for listed in clusters)))
    dismissed = len(read.listed) - len(clusters)
    said = f"{len(clusters):,} clusters of {accounts:,} accounts, {dismissed:,} dismissed"
    gone = _gone(read)
    if not gone:
        return said
    named = ", ".join([*islice(gone, NAMED), *(["…"] if len(gone) > NAMED else [])])
    return f"{said}; counts carried on of {len(gone):,} that it does not list: {named}"


def strangers(read: Read, directory: Directory, name: Path) -> Iterator[Problem]:
    """A warning for each account of a cluster that the directory, `name`, does not have."""
    found = (
        listed.problem(("accounts", i), f"accounts[{i}]: nobody in {name.name} has this id")
        for listed in read.listed
        for i, account in enumerate(listed.members)
        if directory.by_account(account) is None
    )
    yield from islice(found, MOST_TOLD)
    if next(found, None) is not None:
        yield Problem(read.file, 0, 0, f"and more accounts that nobody in {name.name} has")


def _gone(read: Read) -> list[str]:
    """Clusters that others were made from, and that the file does not list (any more)."""
    known = {listed.spec.id for listed in read.listed}
    parents = {parent for listed in read.listed for _, parent in parents_of(listed.spec)}
    return sorted(parents - known)
