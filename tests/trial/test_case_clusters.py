"""Clusters in cases: what a case gives of them, and what follows from it."""

from pathlib import Path

import pytest

from proxy.trial.case_clusters import with_clusters
from tests.trial.sets import DEFAULTS, faults, read, run

RULES = """
access:
  - {id: sure, match: 'cluster.id == "c-1"', mode: enforce, then: throttle}
  - {id: among, match: '"c-2" in cluster.ids', mode: enforce, then: throttle}
  - {id: alone, match: 'cluster.accounts == 0 && cluster.state == "none"', mode: enforce,
     then: deny, reveals: true}
"""


def test_the_ids_of_all_clusters_follow_from_the_one_that_is_given():
    assert with_clusters({"cluster.id": "c-1"}) == {
        "cluster.id": "c-1",
        "cluster.ids": ("c-1",),
        "cluster.lineage": (),
    }


def test_the_surest_cluster_is_the_first_of_those_that_are_given():
    given = {"cluster.ids": ("c-2", "c-1"), "cluster.lineage": ("c-2<c-0",)}
    assert with_clusters(given) == {**given, "cluster.id": "c-2"}


def test_what_a_case_gives_stays_also_where_it_is_not_known():
    given = {"cluster.id": "c-1", "cluster.ids": None, "cluster.lineage": ("c-1<c-0",)}
    assert with_clusters(given) == given
    assert with_clusters({"cluster.score": 0.9}) == {"cluster.score": 0.9}


@pytest.mark.parametrize("given", [{"cluster.id": ""}, {"cluster.ids": ()}])
def test_who_is_in_no_cluster_is_known_to_be_in_none(given: dict[str, object]):
    facts = with_clusters(given)  # type: ignore[arg-type]  # any fact
    assert (facts["cluster.id"], facts["cluster.ids"], facts["cluster.score"]) == ("", (), 0.0)
    assert with_clusters({**given, "cluster.score": 0.5})["cluster.score"] == 0.5  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ("facts: {cluster.id: c-1}", "sure"),
        ("facts: {cluster.id: c-2}", "among"),
        ("facts: {cluster.ids: [c-1, c-3]}", "sure"),
        ('facts: {cluster.id: ""}', "alone"),
        ("facts: {}, cluster: {id: c-2}", "among"),
        ('facts: {}, cluster: {id: ""}', "alone"),
    ],
)
def test_rules_read_what_follows(tmp_path: Path, given: str, rule: str):
    verdict = "deny" if rule == "alone" else "throttle"
    expected = f"expect: {{only_rules: {{{rule}: {verdict}}}}}"
    (result,) = run(tmp_path, f"cases:\n  - {{name: One., {given}, {expected}}}\n", RULES)
    assert result.differences == ()


def test_a_lineage_names_a_cluster_and_its_parent(tmp_path: Path):
    case = "facts: {cluster.id: c-3, cluster.lineage: [%s]}, expect: {verdict: allow}"
    right = f"{DEFAULTS}cases:\n  - {{name: One., {case % 'c-3<c-1'}}}\n"
    _, (held,) = read(tmp_path, right, RULES)
    assert held.steps[0].facts["cluster.lineage"] == ("c-3<c-1",)
    told = faults(tmp_path, right.replace("c-3<c-1", "c-1"), RULES)
    assert told == [
        'tests/cases.yaml:3:60: cluster.lineage: "c-1" is not a cluster and its parent '
        "(write c-3<c-1)"
    ]
