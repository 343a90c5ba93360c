"""No answer tells a caller that he was recognized: what he gets could be his own limit's doing."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.engine.judge import judge
from proxy.engine.plan import plan
from proxy.model.decision import Decision
from proxy.model.exchange import Dialect
from proxy.model.facts import Facts, FactValue
from proxy.model.plan import Readings
from proxy.model.verdict import Durability, RefusalKind
from proxy.policy.candidates import every_rule
from proxy.policy.load import compile_texts
from proxy.policy.rules import PolicySet
from proxy.store.memory import MemoryStore
from proxy.wire.limit_headers import limit_headers
from proxy.wire.refuse import answer

S = 1_000_000_000
NOON_NS = 1_776_816_000 * S
CLUSTERED = "has(cluster.id) && cluster.score > 0.5"


def rule(section: str, **keys: object) -> tuple[str, dict[str, object]]:
    return section, {"mode": "enforce", **keys}


RECOGNIZING = [
    rule("quotas", match=CLUSTERED, limit={"requests": 1}, window="1d", on_unavailable="deny"),
    rule("quotas", match=CLUSTERED, limit={"tokens": 5}, window="1m"),
    rule("access", match=CLUSTERED, then="throttle", rollout=50),
    rule("access", match=f"{CLUSTERED} && quota.used_share > 0.3", then="throttle"),
    rule("access", match=CLUSTERED, mode="shadow", then="throttle"),
    rule("fingerprints", template={"accounts": 5, "within": "1h"}),
]
OWN = [
    rule("quotas", limit={"requests": 3}, window="1m", message="Slow down."),
    rule("quotas", limit={"requests": 5, "tokens": 900}, window="1h", on_unavailable="deny"),
    rule("quotas", mode="warn", limit={"requests": 1}, window="1d"),
    rule("access", match="quota.used_share > 0.5", then="delay", delay="2s"),
    rule("access", match="request.stream", modify={"max_tokens": 9}),
    rule("access", match="request.stream", then="throttle", retry_after="10m"),
    rule("geography", match="request.stream", deny_countries=["CU"], durability="before"),
]
STRANGER: dict[str, FactValue] = {
    "request.surface": "chat.completions",
    "request.dialect": "openai",
    "request.choices": 1,
    "request.input_tokens": 100,
    "request.max_tokens": 50,
    "account.id": "acc-1",
    "client.country": "SG",
    "fingerprint.template_accounts": {},
}
SUSPECT = STRANGER | {
    "cluster.id": "c-1",
    "cluster.score": 0.9,
    "fingerprint.template_accounts": {3600: 8},
}


def set_of(rules: list[tuple[str, dict[str, object]]]) -> PolicySet:
    file: dict[str, list[dict[str, object]]] = {}
    for i, (section, keys) in enumerate(rules):
        file.setdefault(section, []).append({"id": f"rule-{i}", **keys})
    return compile_texts([("p.yaml", json.dumps(file).encode())])


def decided(
    policy: PolicySet, store: MemoryStore, facts: Facts, at_ns: int, *, available: bool
) -> Decision:
    wanted = plan(every_rule(policy), facts, at_ns, Durability.BEFORE_ANSWER)
    readings = store.take(wanted) if available else Readings(available=False)
    return judge(policy, wanted, readings, 0, facts)


def noticed(decision: Decision, dialect: Dialect, at_ns: int) -> object:
    """All that a caller can notice of a decision."""
    waits = decision.durability is Durability.BEFORE
    if refusal := decision.refusal:
        return waits, answer(dialect, refusal, decision.limits, exchange_id="x", at_ns=at_ns)
    shown = limit_headers(dialect, decision.limits, at_ns)
    return waits, shown, decision.warnings, decision.delay_s, decision.modifiers


@settings(max_examples=150, deadline=None)
@given(
    rules=st.lists(st.sampled_from([*RECOGNIZING, *OWN]), min_size=1, max_size=6),
    before=st.integers(0, 4),
    stream=st.booleans(),
    available=st.booleans(),
    dialect=st.sampled_from(Dialect),
)
def test_a_recognized_caller_is_served_like_a_stranger_or_as_if_he_met_his_own_limit(
    rules, before, stream, available, dialect
):
    policy, store = set_of(rules), MemoryStore()
    stranger, suspect = ({**facts, "request.stream": stream} for facts in (STRANGER, SUSPECT))
    for _ in range(before):
        decided(policy, store, stranger, NOON_NS, available=True)
    at_ns = NOON_NS + 7 * S
    other = decided(policy, copy.deepcopy(store), stranger, at_ns, available=available)
    his = decided(policy, store, suspect, at_ns, available=available)
    if noticed(his, dialect, at_ns) == noticed(other, dialect, at_ns):
        return
    refusal = his.refusal
    assert refusal is not None
    assert (refusal.kind, his.by_cluster, other.refusal) == (RefusalKind.RATE_LIMIT, True, None)
    assert his.durability is other.durability
    published = [(limit.rule, limit.unit, limit.limit) for limit in other.limits]
    assert [(limit.rule, limit.unit, limit.limit) for limit in his.limits] == published
    if refusal.limit is None:
        assert (published, refusal.message) == ([], "Rate limit reached.")
        return
    assert refusal.limit in his.limits
    assert (refusal.limit.remaining, refusal.retry_at_ns) == (0, refusal.limit.resets_at_ns)
    own = policy.by_id[refusal.limit.rule]
    assert refusal.message == own.message or refusal.message.startswith("Rate limit reached: ")


BORROWED = """
quotas:
  - {id: own, mode: enforce, limit: {requests: 10}, window: 100s, algorithm: ALGORITHM}
  - {id: budget, mode: enforce, limit: {tokens: 100000}, window: lifetime}
access:
  - {id: hidden, mode: enforce, match: has(cluster.id) && cluster.score > 0.5, then: throttle}
"""


@pytest.mark.parametrize(
    ("algorithm", "retry_s", "reset_s"),
    [("fixed", 100, 100), ("rolling", 100, 100), ("gcra", 10, 100)],
)
def test_a_borrowed_limit_that_was_never_used_has_a_reset_to_wait_for(algorithm, retry_s, reset_s):
    policy = compile_texts([("p.yaml", BORROWED.replace("ALGORITHM", algorithm).encode())])
    his = decided(policy, MemoryStore(), SUSPECT, NOON_NS, available=True)
    assert his.refusal is not None
    assert his.refusal.limit is not None
    assert his.refusal.retry_at_ns == NOON_NS + retry_s * S
    assert his.refusal.limit.resets_at_ns == NOON_NS + reset_s * S
    assert his.refusal.limit in his.limits


def test_a_budget_for_ever_is_not_said_to_be_spent_where_it_is_not():
    text = BORROWED.replace("  - {id: own", "  # - {id: own")
    policy = compile_texts([("p.yaml", text.encode())])
    his = decided(policy, MemoryStore(), SUSPECT, NOON_NS, available=True)
    assert his.refusal is not None
    assert (his.refusal.spent, his.refusal.message) == (False, "Rate limit reached.")
    assert his.refusal.retry_at_ns == NOON_NS + 60 * S
