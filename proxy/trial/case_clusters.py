"""What follows for the other facts of clusters where a case gives some of them."""

import re
from collections.abc import Iterable, Mapping

from proxy.facts.clusters import IN_NO_CLUSTER
from proxy.model.facts import FactValue
from proxy.policy.schema_texts import RULE_ID

ID, IDS, LINEAGE = "cluster.id", "cluster.ids", "cluster.lineage"
_CHILD_AND_PARENT = re.compile(f"{RULE_ID}<{RULE_ID}")


def with_clusters(given: Mapping[str, FactValue | None]) -> dict[str, FactValue | None]:
    """The same with the ids of all clusters where a case names one, and the other way round.

    One in cluster "" is in none: nothing else of clusters is unknown then.
    """
    facts = dict(given)
    id_, ids = facts.get(ID), facts.get(IDS)
    if id_ == "" or ids == ():
        return {**IN_NO_CLUSTER, **facts}
    if isinstance(id_, str):
        facts.setdefault(IDS, (id_,))
        facts.setdefault(LINEAGE, ())
    elif isinstance(ids, tuple):
        facts.setdefault(ID, ids[0])
        facts.setdefault(LINEAGE, ())
    return facts


def lineage_of(lines: Iterable[str]) -> tuple[str, ...]:
    """The same lines; ValueError for one that names no cluster and its parent."""
    for line in lines:
        if not _CHILD_AND_PARENT.fullmatch(line):
            msg = f'{LINEAGE}: "{line[:60]}" is not a cluster and its parent (write c-3<c-1)'
            raise ValueError(msg)
    return tuple(lines)
