"""Rules over clusters may do whatever rules do; all but a throttle and a quota give it away."""

from collections.abc import Callable

import pytest

from proxy.model.verdict import Cause, RefusalKind, Verdict
from proxy.policy.load import compile_texts
from proxy.policy.problem import ProblemsError
from tests.engine.conftest import Bench

Make = Callable[[str], Bench]
CONTAINED = "cluster.score >= 0.9 && (cluster.account_weight >= 0.5 || cluster.exchange_match)"
ACTIONS = {
    "deny": "then: deny",
    "step_up": "then: step_up",
    "delay": "then: delay, delay: 2s",
    "strip": "modify: {strip: [reasoning, logprobs]}",
    "reroute": "modify: {reroute: m-tiny}",
    "bound": "modify: {max_tokens: 64}",
}


def rule(action: str, match: str = CONTAINED) -> str:
    return f"access: [{{id: one-hand, match: '{match}', mode: enforce, {action}}}]"


def clustered(**changed: object) -> dict:
    facts = {
        "id": "c-1",
        "state": "open",
        "score": 0.95,
        "accounts": 30,
        "account_weight": 0.8,
        "exchange_match": False,
    }
    return {f"cluster__{name}": value for name, value in (facts | changed).items()}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_what_gives_itself_away_needs_to_say_so(action: str):
    with pytest.raises(ProblemsError, match="reveals: true"):
        compile_texts([("p.yaml", rule(action).encode())])


@pytest.mark.parametrize(
    ("action", "verdict", "kind"),
    [
        ("deny", Verdict.DENY, RefusalKind.PERMISSION),
        ("step_up", Verdict.STEP_UP, RefusalKind.STEP_UP),
        ("delay", Verdict.DELAY, None),
        ("strip", Verdict.ALLOW, None),
        ("reroute", Verdict.ALLOW, None),
        ("bound", Verdict.ALLOW, None),
    ],
)
def test_a_rule_that_reveals_itself_does_it_to_clusters_and_to_nobody_else(
    bench: Make, action: str, verdict: Verdict, kind: RefusalKind | None
):
    table = bench(rule(f"{ACTIONS[action]}, reveals: true"))
    his = table.judge(**clustered())
    assert (his.verdict, his.refusal and his.refusal.kind, his.by_cluster) == (verdict, kind, True)
    assert (his.delay_s, bool(his.modifiers)) == (
        2.0 if action == "delay" else 0.0,
        action in ("strip", "reroute", "bound"),
    )
    for changed in ({"score": 0.89}, {"account_weight": 0.4}):
        assert table.judge(**clustered(**changed)).spoke == ()
    assert table.judge().spoke[0].verdict is Verdict.ALLOW  # nothing is known: it abstains


def test_an_exchange_that_matches_is_enough_and_so_is_an_account_that_belongs(bench: Make):
    table = bench(rule("then: throttle"))
    refused = [
        table.judge(**clustered(account_weight=weight, exchange_match=match)).verdict.refuses
        for weight, match in ((0.1, True), (0.5, False), (0.4, False))
    ]
    assert refused == [True, True, False]


@pytest.mark.parametrize("state", ["none", "open", "growing", "quiet", "confirmed"])
def test_a_rule_may_ask_for_the_state_of_a_cluster(bench: Make, state: str):
    table = bench(rule("then: throttle", 'cluster.state in ["open", "confirmed"]'))
    decision = table.judge(**clustered(state=state))
    assert decision.verdict.refuses is (state in ("open", "confirmed"))


@pytest.mark.parametrize("action", [*ACTIONS.values(), "then: throttle"])
def test_a_share_of_the_accounts_is_held_back_and_recorded(bench: Make, action: str):
    reveals = "" if action == "then: throttle" else ", reveals: true"
    table = bench(rule(f"{action}, rollout: 75{reveals}"))
    said = [table.judge(account__id=f"a{i}", **clustered()) for i in range(200)]
    held = [one for one in said if not one.spoke]
    assert 25 <= len(held) <= 75
    assert all(one.verdict is Verdict.ALLOW and not one.by_cluster for one in held)
    assert all(one.shadow[0].lowered is Cause.ROLLOUT for one in held)


def test_what_is_held_back_of_a_cluster_counts_for_it(bench: Make):
    text = f"""
quotas:
  - id: one-hand
    match: '{CONTAINED}'
    mode: enforce
    per: cluster
    rollout: 50
    limit: {{requests: 10}}
    window: 1d
    algorithm: rolling
"""
    table = bench(text)
    facts = clustered() | {"cluster__ids": ("c-1",), "cluster__lineage": ()}
    said = [table.judge(account__id=f"a{i}", **facts) for i in range(100)]
    served = [one for one in said if one.verdict is Verdict.ALLOW]
    refused = [one for one in said if one.verdict.refuses]
    assert not any(one.verdict.refuses for one in said[:10])
    assert all(one.shadow for one in said[10:] if one.verdict is Verdict.ALLOW)
    assert all(one.by_cluster for one in refused)
    assert min(len(served), len(refused)) >= 30
