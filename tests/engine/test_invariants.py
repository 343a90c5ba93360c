"""Properties of plan and judge that hold for any rules, facts and counts."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.engine.judge import judge
from proxy.engine.plan import plan
from proxy.model.plan import Reading, Readings
from proxy.model.verdict import Durability, Verdict
from proxy.policy.candidates import REMEMBERED_FROM, CandidateIndex, every_rule
from proxy.policy.load import compile_texts
from proxy.store.memory import MemoryStore

S = 1_000_000_000


def policy_of(requests: int, tokens: int, tiers: str = "[free]"):
    text = f"""
quotas:
  - id: all
    mode: enforce
    limit: {{requests: {requests}}}
    window: 1m
  - id: tier
    match: {{tiers: {tiers}}}
    mode: enforce
    limit: {{tokens: {tokens}}}
    window: 1h
"""
    return compile_texts([("p.yaml", text.encode())])


def facts_of(account: int, tokens: int, tier: str | None):
    facts = {
        "account.id": f"a{account}",
        "request.input_tokens": tokens,
        "request.max_tokens": 0,
        "request.choices": 1,
    }
    return facts | ({"account.tier": tier} if tier else {})


exchanges = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 50),
        st.sampled_from(["free", "paid", None]),
        st.integers(0, 200),
    ),
    max_size=40,
)


@settings(max_examples=80)
@given(exchanges=exchanges, requests=st.integers(1, 6), tokens=st.integers(1, 120))
def test_judge_and_the_store_always_agree_on_admission(exchanges, requests, tokens):
    policy, store = policy_of(requests, tokens), MemoryStore()
    for account, amount, tier, at_s in sorted(exchanges, key=lambda e: e[3]):
        facts = facts_of(account, amount, tier)
        planned = plan(every_rule(policy), facts, at_s * S, Durability.ASYNC)
        readings = store.take(planned)
        decision = judge(policy, planned, readings, 0, facts)
        assert readings.taken == (not decision.verdict.refuses)
        assert (decision.refusal is None) == (decision.verdict is Verdict.ALLOW)


@settings(max_examples=80)
@given(
    before=st.tuples(st.integers(0, 100), st.integers(0, 100)),
    limits=st.tuples(st.integers(1, 100), st.integers(1, 100)),
    more=st.tuples(st.integers(0, 50), st.integers(0, 50)),
    amount=st.integers(0, 60),
)
def test_raising_a_limit_never_adds_a_denial(before, limits, more, amount):
    def refuses(requests: int, tokens: int) -> bool:
        policy = policy_of(requests, tokens)
        facts = facts_of(1, amount, "free")
        planned = plan(every_rule(policy), facts, 0, Durability.ASYNC)
        readings = Readings(tuple(Reading(b, 60 * S) for b in before), taken=False)
        return judge(policy, planned, readings, 0, facts).verdict.refuses

    tight = refuses(*limits)
    loose = refuses(limits[0] + more[0], limits[1] + more[1])
    assert tight or not loose


@settings(max_examples=40)
@given(tokens=st.integers(0, 50), before=st.integers(0, 50), at_s=st.integers(0, 10**6))
def test_the_same_plan_and_readings_give_the_same_decision(tokens, before, at_s):
    policy = policy_of(10, 40)
    facts = facts_of(1, tokens, "free")
    planned = plan(every_rule(policy), facts, at_s * S, Durability.ASYNC)
    readings = Readings((Reading(before, 1), Reading(before, 1)), taken=False)
    once = judge(policy, planned, readings, 3, facts)
    assert once == judge(policy, planned, readings, 3, facts)


def some(*values: object):
    return st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)


CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "models": some("m-*", "m-a", "x?"),
        "tiers": some("free", "paid"),
        "surfaces": some("files", "responses"),
        "accounts": some("a1", "a2"),
        "countries": some("CU", "SG", "DE"),
        "networks": some("10.0.0.0/8", "203.0.113.0/24"),
        "labels": some("trusted", "beta"),
        "cel": st.sampled_from(
            [
                'account.tier == "free" && client.country != "CU"',
                'account.tier == "free" || account.verified',
                "request.choices > 1",
                "10 / request.choices > 4",
                'has(account.tier) && account.tier in ["paid"]',
                "!account.verified",
            ]
        ),
    },
)
FACTS = st.fixed_dictionaries(
    {
        "account.id": st.sampled_from(["a1", "a2"]),
        "request.surface": st.sampled_from(["files", "responses"]),
        "request.dialect": st.just("openai"),
        "request.choices": st.integers(0, 2),
    },
    optional={
        "request.model": st.sampled_from(["", "m-a", "xy", "other"]),
        "account.tier": st.sampled_from(["free", "paid"]),
        "account.verified": st.booleans(),
        "account.labels": st.sampled_from([(), ("trusted",), ("beta", "trusted")]),
        "client.country": st.sampled_from(["CU", "SG"]),
        "client.address": st.sampled_from(["10.1.2.3", "203.0.113.7", "2001:db8::1"]),
    },
)


def policy_over(matches: list[dict[str, object]]):
    """A set with a rule of each kind for each match."""
    file: dict[str, list[dict[str, object]]] = {
        "quotas": [{"limit": {"requests": 5}, "window": "1m"}],
        "geography": [{"deny_countries": ["CU"]}],
        "access": [{"then": "deny"}, {"modify": {"max_tokens": 5}}],
    }
    rules = {
        kind: [
            {"id": f"{kind}-{i}-{j}", "match": match, "mode": "enforce", **keys}
            for i, match in enumerate(matches)
            for j, keys in enumerate(given)
        ]
        for kind, given in file.items()
    }
    granted = {"granted_by": "x", "reason": "y", "until": "2100-01-01", "rules": ["access-0-0"]}
    exceptions = [{"id": f"e-{i}", "match": m, **granted} for i, m in enumerate(matches) if m]
    text = json.dumps({**rules, "exceptions": exceptions})
    return compile_texts([("p.yaml", text.encode())])


@settings(max_examples=100, deadline=None)
@given(
    matches=st.lists(CONDITIONS, min_size=1, max_size=5),
    exchanges=st.lists(FACTS, min_size=1, max_size=6),
)
def test_the_index_of_rules_never_changes_a_plan(matches, exchanges):
    policy = policy_over(matches)
    index, everything = CandidateIndex(policy), every_rule(policy)
    for facts in exchanges:
        wanted = plan(everything, facts, 0, Durability.ASYNC)
        for _ in range(REMEMBERED_FROM + 1):  # until it is remembered, and after
            assert plan(index.of(facts), facts, 0, Durability.ASYNC) == wanted
