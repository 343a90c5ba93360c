"""Who is in which cluster, and what is known of it."""

import random
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from msgspec import Struct

from proxy.facts.clusters import IN_NO_CLUSTER, ClusterMap, ClustersError, cluster_facts
from proxy.model.cluster import Cluster, ClusterState, Membership
from proxy.model.facts import CATALOGUE
from proxy.model.sighting import ClusterIndex, Described

OPEN, CONFIRMED = ClusterState.OPEN, ClusterState.CONFIRMED
Given = tuple[Cluster, dict[str, float]]


def cluster(id_: str, state: ClusterState = OPEN, **given: object) -> Cluster:
    return Cluster(id_, state, **given)  # type: ignore[arg-type]  # any field


def map_of(*clusters: Given) -> ClusterMap:
    return ClusterMap.of_clusters(clusters, "sha256:test")


def known_of(clusters: ClusterMap | None, account: str, index: ClusterIndex | None = None):
    """What is known of an exchange of an account that the directory says nothing else of."""
    return cluster_facts(clusters, index, Described(account), (7, 8))


class Detected(Struct):
    """A detector's index of one account's clusters; it keeps what it was asked."""

    members: dict[str, tuple[Membership, ...]]
    asked: list[tuple[str, tuple[int, ...]]] = []
    version: str = "sha256:detected"
    ordinary: Mapping[str, int] = {}

    def of(self, account: Described, tokens: Sequence[int]) -> tuple[Membership, ...]:
        self.asked.append((account.account, tuple(tokens)))
        return self.members.get(account.account, ())


def ids(found: tuple[Membership, ...]) -> list[str]:
    return [membership.cluster.id for membership in found]


def test_everything_is_known_of_an_account_in_a_cluster():
    one = cluster("c-3", CONFIRMED, score=0.97, accounts=2, parents=("c-1", "c-2"))
    assert known_of(map_of((one, {"a": 1.0, "b": 0.6})), "b") == {
        "cluster.id": "c-3",
        "cluster.ids": ("c-3",),
        "cluster.lineage": ("c-3<c-1", "c-3<c-2"),
        "cluster.score": 0.97,
        "cluster.accounts": 2,
        "cluster.state": "confirmed",
        "cluster.account_weight": 0.6,
        "cluster.exchange_match": True,
    }


def test_of_an_account_in_no_cluster_it_is_known_that_it_is_in_none():
    facts = known_of(map_of((cluster("c-1"), {"a": 1.0})), "b")
    assert facts == {
        "cluster.id": "",
        "cluster.ids": (),
        "cluster.lineage": (),
        "cluster.score": 0.0,
        "cluster.accounts": 0,
        "cluster.state": "none",
        "cluster.account_weight": 0.0,
        "cluster.exchange_match": False,
    }


def test_the_facts_are_those_that_rules_may_read_of_clusters():
    catalogued = {name for name in CATALOGUE if name.startswith("cluster.")}
    assert set(IN_NO_CLUSTER) == catalogued
    assert set(known_of(map_of((cluster("c"), {"a": 1.0})), "a")) == catalogued


def test_the_surest_cluster_comes_first_confirmed_ones_before_all():
    clusters = (
        (cluster("weak", score=0.9), {"a": 0.5}),
        (cluster("sure", CONFIRMED, score=0.2), {"a": 0.2}),
        (cluster("b-even", score=0.8), {"a": 1.0}),
        (cluster("a-even", score=1.0, parents=("old",)), {"a": 0.8}),
    )
    clustered = map_of(*clusters)
    assert ids(clustered.of("a")) == ["sure", "a-even", "b-even", "weak"]
    facts = known_of(clustered, "a")
    assert (facts["cluster.id"], facts["cluster.account_weight"]) == ("sure", 0.2)
    assert facts["cluster.lineage"] == ("a-even<old",)


def test_what_the_detector_found_joins_what_people_wrote_down_by_how_sure_it_is():
    written = map_of((cluster("written", score=0.9), {"a": 1.0, "b": 1.0}))
    found = Membership(cluster("found", score=0.95, accounts=40), 0.5, match=False)
    sure = Membership(cluster("sure", CONFIRMED, score=0.7, accounts=9), 0.4)
    index = Detected({"a": (found,), "b": (sure,), "c": (found,)})

    assert known_of(written, "a", index)["cluster.ids"] == ("written", "found")
    assert known_of(written, "b", index)["cluster.ids"] == ("sure", "written")
    assert known_of(written, "d", index) is IN_NO_CLUSTER
    for clusters in (written, None):
        facts = known_of(clusters, "c", index)
        assert (facts["cluster.id"], facts["cluster.accounts"]) == ("found", 40)
        assert (facts["cluster.account_weight"], facts["cluster.exchange_match"]) == (0.5, False)
    assert ("a", (7, 8)) in index.asked


def test_a_dismissed_cluster_has_no_effect():
    wrong = (cluster("c-1", ClusterState.DISMISSED), {"a": 1.0, "b": 1.0})
    clustered = map_of(wrong, (cluster("c-2"), {"b": 1.0}))
    assert known_of(clustered, "a") is IN_NO_CLUSTER
    assert ids(clustered.of("b")) == ["c-2"]
    assert (clustered.clusters, clustered.accounts) == (2, 1)
    assert [one.id for one in clustered.first(9)] == ["c-1", "c-2"]


def test_an_id_that_no_utf_8_text_has_is_found_as_written():
    clustered = map_of((cluster("c"), {"\ud800": 1.0, "é": 1.0}))
    assert [len(clustered.of(account)) for account in ("\ud800", "é", "\ud801")] == [1, 1, 0]


def test_many_accounts_are_found_each_in_its_own_clusters():
    drawn = random.Random(4)
    accounts = [f"acct-{n}" for n in range(3_000)]
    given = {f"c-{n}": drawn.sample(accounts, 40) for n in range(120)}
    clustered = map_of(*((cluster(id_), dict.fromkeys(who, 0.5)) for id_, who in given.items()))
    for account in accounts:
        wanted = sorted(id_ for id_, who in given.items() if account in who)
        assert ids(clustered.of(account)) == wanted
    assert clustered.accounts == len(set().union(*given.values()))


@pytest.mark.parametrize("content", [None, b"", b"no database at all, but long enough" * 40])
def test_an_index_that_cannot_be_read_is_an_error(tmp_path: Path, content: bytes | None):
    index = tmp_path / "clusters.sqlite"
    if content is not None:
        index.write_bytes(content)
    with pytest.raises(ClustersError, match=r"clusters\.sqlite"):
        ClusterMap.open(index)


def test_an_index_of_another_version_is_an_error(tmp_path: Path):
    index = tmp_path / "clusters.sqlite"
    db = sqlite3.connect(index)
    db.execute("CREATE TABLE meta(name TEXT, value TEXT)")
    db.commit()
    db.close()
    with pytest.raises(ClustersError, match="of another version"):
        ClusterMap.open(index)


def test_a_map_that_was_closed_is_not_asked_any_more():
    clustered = map_of((cluster("c"), {"a": 1.0}))
    assert clustered.of("a")
    clustered.close()
    with pytest.raises(ClustersError):
        clustered.of("a")
