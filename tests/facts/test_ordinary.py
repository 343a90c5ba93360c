"""What an ordinary account uses: a fact once the detector knows it, of everybody alike."""

import pytest

from proxy.facts.clusters import IN_NO_CLUSTER, cluster_facts
from proxy.model.cluster import Cluster
from proxy.model.facts import CATALOGUE, ORDINARY_FACTS
from proxy.model.sighting import Described
from tests.replay.detectors import Index

HEAD, STRANGER = Described("head"), Described("stranger")
USED = {"requests": 80, "tokens": 60_000}
FACTS = {"ordinary.requests": 80, "ordinary.tokens": 60_000}


def index(**more: object) -> Index:
    return Index("v", Cluster("c-1"), frozenset({"head"}), **more)


@pytest.mark.parametrize("account", [HEAD, STRANGER], ids=lambda a: a.account)
def test_it_is_known_of_every_account(account: Described):
    known = cluster_facts(None, index(ordinary=USED), account, (7,))
    without = cluster_facts(None, index(), account, (7,))
    assert known == {**without, **FACTS}
    assert (without == IN_NO_CLUSTER) is (account is STRANGER)


def test_what_the_detector_does_not_know_is_no_fact():
    known = cluster_facts(None, index(ordinary={"requests": 80}), STRANGER, ())
    assert known == {**IN_NO_CLUSTER, "ordinary.requests": 80}
    assert cluster_facts(None, None, STRANGER, ()) == IN_NO_CLUSTER


def test_the_facts_are_in_the_catalogue_and_recognize_nobody():
    facts = [fact for fact in CATALOGUE.values() if fact.name.startswith("ordinary.")]
    assert {fact.name for fact in facts} == set(ORDINARY_FACTS.values())
    assert all(fact.optional and not fact.recognizes and not fact.personal for fact in facts)
