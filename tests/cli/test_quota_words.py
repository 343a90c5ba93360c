"""Limits of every kind, in the words of the commands that explain decisions."""

from pathlib import Path

import pytest

from proxy.cli.explain_text import lines_of
from proxy.cli.policy_test_text import failure_text
from proxy.engine.judge import judge
from proxy.engine.plan import plan
from proxy.model.plan import NEVER_NS, Reading, Readings
from proxy.model.verdict import Durability
from proxy.policy.candidates import every_rule
from proxy.policy.load import compile_texts
from proxy.trial.explain import explain
from tests.engine.conftest import NOON_NS, ORDINARY
from tests.trial.sets import run

PRICES = "prices: [{models: ['*'], input: 1, output: 4}]\n"
SOON = NOON_NS + 60 * 10**9
CASES = [
    (
        "limit: {requests: 3}, window: 1m",
        Reading(1, SOON),
        "✓ room for requests: 1 before + 1 = 2 ≤ 3 in 60 s    begins anew 2026-04-22T00:01:00Z",
    ),
    (
        "limit: {tokens: 100}, window: lifetime",
        Reading(90, NEVER_NS),
        "✗ room for tokens: 90 before + 150 = 240 > 100 for ever",
    ),
    (
        "limit: {concurrent: 3}",
        Reading(3, SOON),
        "✗ room for concurrent requests: 3 before + 1 = 4 > 3 at the same time",
    ),
    (
        "limit: {cost: 12.5}, window: 1d",
        Reading(12_000_000, SOON),
        "✓ room for cost: 12.00 before + 0.0003 = 12.0003 ≤ 12.50 in 86400 s    "
        "begins anew 2026-04-22T00:01:00Z",
    ),
    (
        "limit: {requests: 60}, window: 1m, algorithm: gcra, burst: 5",
        Reading(1, SOON),
        "✓ room for requests: 1 before + 1 = 2 ≤ 5 at once, 60 in 60 s    "
        "begins anew 2026-04-22T00:01:00Z",
    ),
    (
        "limit: {tokens: 1000}, window: 1m, clamp: 16",
        Reading(870, SOON),
        "✓ room for tokens: 870 before + 150 = 1020 > 1000 in 60 s: given 130 of 150    "
        "begins anew 2026-04-22T00:01:00Z",
    ),
    (
        "limit: {tokens: 1000}, window: 1m",
        Reading(100, SOON, share=4),
        "✓ room for tokens: 100 before + 150 = 250 ≤ 250 in 60 s (the share of this replica, "
        "1 of 4)    begins anew 2026-04-22T00:01:00Z",
    ),
    (
        "limit: {cost: 12.5}, window: 1d",
        Reading(0, 0, known=False),
        "? cost: 0.0003 asked for, limit 12.50; not counted (the store could not answer)",
    ),
]


@pytest.mark.parametrize(("keys", "reading", "said"), CASES)
def test_an_explanation_tells_each_kind_of_limit_in_its_own_words(
    keys: str, reading: Reading, said: str
):
    text = f"{PRICES}quotas: [{{id: q, mode: enforce, {keys}}}]"
    policy = compile_texts([("p.yaml", text.encode())])
    wanted = plan(every_rule(policy), ORDINARY, NOON_NS, Durability.ASYNC)
    readings = Readings((reading,), taken=True)
    decision = judge(policy, wanted, readings, 0, ORDINARY)
    found = explain(policy, ORDINARY, wanted, readings, decision, NOON_NS)
    assert said in [str(line).strip() for line in lines_of(found, everything=False)]


@pytest.mark.parametrize(
    ("keys", "counted", "said"),
    [
        (
            "limit: {cost: 0.001}, window: month, clamp: 10",
            "{cost: 0.0008}",
            "room for 0.0002  cost: 0.0008 used and 0.004 asked for, limit 0.001 in 2592000 s",
        ),
        (
            "limit: {concurrent: 2}",
            "{concurrent: 2}",
            "no room          concurrent: 2 used and 1 asked for, limit 2 at the same time",
        ),
        (
            "limit: {tokens: 2000}, window: lifetime",
            "{tokens: 500}",
            "room             tokens: 500 used and 1000 asked for, limit 2000 for ever",
        ),
    ],
)
def test_a_case_that_fails_tells_what_was_counted(
    tmp_path: Path, keys: str, counted: str, said: str
):
    policy = f"{PRICES}quotas: [{{id: q, mode: enforce, {keys}}}]"
    case = (
        f"cases: [{{name: One., counters: {{q: {counted}}}, facts: {{request.max_tokens: 1000}}, "
        "expect: {verdict: deny}}]"
    )
    (result,) = run(tmp_path, case, policy)
    assert " ".join(said.split()) in " ".join(failure_text(result).split())
