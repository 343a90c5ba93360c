"""Limits that follow what ordinary accounts use in a day."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.engine.judge import judge
from proxy.engine.plan import plan
from proxy.model.plan import Reading, Readings
from proxy.model.verdict import Durability, Verdict
from proxy.policy.candidates import every_rule
from proxy.policy.load import compile_texts
from proxy.policy.resets import resets
from tests.engine.conftest import NOON_NS, ORDINARY, Bench, S

Make = Callable[[str], Bench]
HOUR_S, DAY_S = 3600, 86_400
ALGORITHMS = ("fixed", "rolling", "gcra")


def learned(
    unit: str = "requests",
    share: float = 0.5,
    until_known: int = 20,
    how: str = "fixed",
    more: str = "",
) -> str:
    return f"""
quotas:
  - id: learned
    mode: enforce
    per: cluster
    limit: {{{unit}: {{ordinary: {share}, until_known: {until_known}}}}}
    window: 1d
    algorithm: {how}
    {more}
"""


def in_cluster(**facts: object) -> dict:
    return {"cluster__ids": ("c-1",), "cluster__lineage": (), **facts}


def limit_of(table: Bench, **facts: object) -> int:
    table.judge(**in_cluster(**facts))
    assert table.plan
    (charge,) = table.plan.charges
    return charge.limit


@pytest.mark.parametrize(
    ("facts", "limit"),
    [
        ({"ordinary__requests": 80}, 40),
        ({"ordinary__requests": 81}, 40),  # rounded down
        ({"ordinary__requests": 1}, 1),  # and never below one
        ({"ordinary__requests": 0}, 1),
        ({}, 20),
        ({"ordinary__tokens": 80}, 20),  # of another unit
        ({"ordinary__requests": 10**15}, 10**9),
    ],
)
@pytest.mark.parametrize("how", ALGORITHMS)
def test_the_limit_is_a_share_of_ordinary_use_or_the_amount_until_that_is_known(
    bench: Make, facts: dict, limit: int, how: str
):
    assert limit_of(bench(learned(how=how)), **facts) == limit


def test_a_share_is_exact(bench: Make):
    for share, used, limit in ((0.1, 30, 3), (0.29, 100, 29), (0.000001, 1_000_000, 1)):
        assert limit_of(bench(learned(share=share)), ordinary__requests=used) == limit


def test_tokens_follow_ordinary_tokens(bench: Make):
    table = bench(learned("tokens", until_known=1000))
    assert limit_of(table, ordinary__tokens=3000, ordinary__requests=7) == 1500


def test_a_burst_changes_with_the_limit(bench: Make):
    table = bench(learned(how="gcra", more="burst: 5"))
    assert limit_of(table) == 5
    assert limit_of(table, ordinary__requests=80) == 10


@pytest.mark.parametrize("how", ["fixed", "rolling"])
def test_a_limit_that_changes_keeps_what_was_counted(bench: Make, how: str):
    table = bench(learned(how=how))
    for _ in range(4):
        assert table.judge(**in_cluster(ordinary__requests=8)).verdict is Verdict.ALLOW
    assert table.judge(**in_cluster(ordinary__requests=8)).verdict is Verdict.THROTTLE
    assert table.judge(**in_cluster(ordinary__requests=10)).verdict is Verdict.ALLOW
    assert table.judge(**in_cluster(ordinary__requests=10)).verdict is Verdict.THROTTLE


def test_a_bucket_whose_limit_changes_keeps_the_share_that_is_used(bench: Make):
    table = bench(learned(how="gcra"))
    for _ in range(2):
        table.judge(**in_cluster(ordinary__requests=8))
    allowed = 0
    while table.judge(**in_cluster(ordinary__requests=80)).verdict is Verdict.ALLOW:
        allowed += 1
    assert allowed == 20


def test_an_edit_of_the_share_resets_no_counter():
    before, after = (compile_texts([("p.yaml", learned(share=s).encode())]) for s in (0.5, 0.25))
    assert resets(before, after) == ()


def test_an_account_may_have_a_limit_of_its_own_instead(bench: Make):
    table = bench(learned().replace("per: cluster", "per: account"))
    own = {"account__limits": {"learned.requests": 7}}
    assert limit_of(table, ordinary__requests=80, **own) == 7


def test_another_quota_may_be_like_a_learned_one(bench: Make):
    table = bench(learned() + "  - {id: other, mode: shadow, per: cluster, like: learned}\n")
    table.judge(**in_cluster(ordinary__requests=80))
    assert table.plan
    assert [charge.limit for charge in table.plan.charges] == [40, 40]


def test_a_rule_with_a_learned_limit_reads_what_it_follows():
    policy = compile_texts([("p.yaml", learned().encode())])
    assert "ordinary.requests" in policy.reads
    assert "ordinary.tokens" not in policy.reads


@given(
    before=st.integers(0, 60),
    used=st.none() | st.integers(0, 200),
    share=st.integers(1, 2_000_000),
    more=st.integers(0, 1_000_000),
    until_known=st.integers(1, 50),
    how=st.sampled_from(ALGORITHMS),
)
def test_raising_what_is_ordinary_or_the_share_of_it_never_adds_a_denial(
    before: int, used: int | None, share: int, more: int, until_known: int, how: str
):
    def refuses(share: int, used: int | None) -> bool:
        text = learned(share=share / 1_000_000, until_known=until_known, how=how)
        policy = compile_texts([("p.yaml", text.encode())])
        facts = {**ORDINARY, "cluster.ids": ("c",), "cluster.lineage": ()}
        known = facts if used is None else {**facts, "ordinary.requests": used}
        planned = plan(every_rule(policy), known, NOON_NS, Durability.ASYNC)
        readings = Readings((Reading(before, NOON_NS + DAY_S * S),), taken=False)
        return judge(policy, planned, readings, 0, known).verdict.refuses

    tight = refuses(share, used)
    assert tight or not refuses(share + more, used)
    assert tight or used is None or not refuses(share, used + more)


def test_in_any_24_hours_a_rolling_limit_holds(bench: Make):
    table = bench(learned(how="rolling"))
    served = [
        at_s
        for at_s in range(0, 3 * DAY_S, HOUR_S)
        for _ in range(3)
        if table.judge(at_s, **in_cluster(ordinary__requests=20)).verdict is Verdict.ALLOW
    ]
    assert all(len([t for t in served if begins <= t < begins + DAY_S]) <= 10 for begins in served)
    assert len(served) >= 20
