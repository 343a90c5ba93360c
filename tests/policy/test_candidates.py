"""What the index of rules remembers: little, whatever callers send."""

import pytest

from proxy.engine.plan import plan
from proxy.model.facts import Facts
from proxy.model.verdict import Durability
from proxy.policy import candidates
from proxy.policy.candidates import REMEMBERED_FROM, CandidateIndex, every_rule
from proxy.policy.load import compile_texts

POLICY = compile_texts(
    [
        (
            "p.yaml",
            b"""
access:
  - {id: large, match: {models: [m-large*]}, mode: enforce, then: deny}
  - {id: tiny, match: {models: ["*tiny*"], tiers: [free]}, mode: enforce, then: throttle}
  - {id: cel, match: 'request.model.startsWith("m-") && request.stream', mode: warn, then: deny}
  - {id: place, match: {countries: [CU]}, mode: enforce, then: deny}
""",
        )
    ]
)


def asking(model: str) -> Facts:
    return {"request.surface": "responses", "request.model": model, "account.tier": "free"}


def often(index: CandidateIndex, facts: Facts) -> candidates.Candidates:
    for _ in range(REMEMBERED_FROM):
        index.of(facts)
    return index.of(facts)


def test_names_of_models_that_settle_the_same_conditions_share_what_is_remembered():
    """A caller who makes up names fills the memory with names, and not with copies of the rules."""
    index = CandidateIndex(POLICY)
    made_up = [often(index, asking(f"made-up-{i}")) for i in range(50)]
    assert all(found is made_up[0] for found in made_up)
    assert often(index, asking("m-large-1")) is not made_up[0]


def test_a_memory_that_is_full_begins_anew_and_changes_no_plan(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(candidates, "MAX_SHELVED", 5)
    index, everything = CandidateIndex(POLICY), every_rule(POLICY)
    names = ["made-up", "m-large-1", "m-tiny", "m-x", "tiny"] * 2
    for facts in map(asking, names):
        wanted = plan(everything, facts, 0, Durability.ASYNC)
        assert plan(often(index, facts), facts, 0, Durability.ASYNC) == wanted
