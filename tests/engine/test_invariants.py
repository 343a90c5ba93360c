"""Properties of plan and judge that hold for any rules, facts and counts."""

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.engine.judge import judge
from proxy.engine.plan import plan
from proxy.model.plan import Reading, Readings
from proxy.model.verdict import Durability, Verdict
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
        planned = plan(policy, facts_of(account, amount, tier), at_s * S, Durability.ASYNC)
        readings = store.take(planned)
        decision = judge(policy, planned, readings, 0)
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
        planned = plan(policy, facts_of(1, amount, "free"), 0, Durability.ASYNC)
        readings = Readings(tuple(Reading(b, 60 * S) for b in before), taken=False)
        return judge(policy, planned, readings, 0).verdict.refuses

    tight = refuses(*limits)
    loose = refuses(limits[0] + more[0], limits[1] + more[1])
    assert tight or not loose


@settings(max_examples=40)
@given(tokens=st.integers(0, 50), before=st.integers(0, 50), at_s=st.integers(0, 10**6))
def test_the_same_plan_and_readings_give_the_same_decision(tokens, before, at_s):
    policy = policy_of(10, 40)
    planned = plan(policy, facts_of(1, tokens, "free"), at_s * S, Durability.ASYNC)
    readings = Readings((Reading(before, 1), Reading(before, 1)), taken=False)
    assert judge(policy, planned, readings, 3) == judge(policy, planned, readings, 3)
