"""What quotas charge: units, subjects, windows, algorithms, clamps and clusters."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.engine.judge import judge
from proxy.engine.plan import plan
from proxy.engine.settle import settle
from proxy.model.plan import Charge
from proxy.model.usage import Outcome, Usage
from proxy.model.verdict import Algorithm, Durability, RefusalKind, Unit, Verdict
from proxy.policy.candidates import every_rule
from proxy.policy.load import compile_texts
from proxy.store.memory import MemoryStore
from tests.engine.conftest import NOON_NS, ORDINARY, Bench

Make = Callable[[str], Bench]
S = 1_000_000_000


def quota(**keys: object) -> str:
    said = {"id": "q", "mode": "enforce", "window": "1m", **keys}
    lines = [f"    {key}: {value}" for key, value in said.items() if value is not None]
    return "quotas:\n  -" + "\n".join(lines)[3:] + "\n"


PRICES = """
prices:
  - {models: [m-small], input: 1, output: 4, cached: 0.5, request: 0.001}
  - {models: [m-large], input: 10, output: 50}
"""


def charge(table: Bench, at: int = 0) -> Charge:
    assert table.plan is not None
    return table.plan.charges[at]


@pytest.mark.parametrize(
    ("unit", "reserved"),
    [
        ("requests", 1),
        ("tokens", 150),
        ("input_tokens", 100),
        ("output_tokens", 50),
        ("cached_tokens", 100),  # all of the input may come from a cache
        ("reasoning_tokens", 50),  # all of the output may be reasoning
        ("bytes", 700),
    ],
)
def test_what_an_exchange_may_use_at_most_is_reserved(bench: Make, unit: str, reserved: int):
    table = bench(quota(limit=f"{{{unit}: 100000}}"))
    table.judge(request__body_bytes=700)
    assert charge(table).amount == reserved


def test_cost_is_reserved_in_millionths_by_the_dearest_that_tokens_may_be(bench: Make):
    table = bench(quota(limit="{cost: 1}") + PRICES)
    table.judge()
    assert charge(table).amount == 100 * 1 + 50 * 4 + 1000
    table.judge(request__model="m-large")
    assert charge(table).amount == 100 * 10 + 50 * 50
    table.judge(request__model="m-unheard-of")
    assert charge(table).amount == 100 * 10 + 50 * 50 + 1000
    table.judge(request__model=None)
    assert charge(table).amount == 100 * 10 + 50 * 50 + 1000


def test_images_are_reserved_at_their_price(bench: Make):
    prices = "prices:\n  - {models: [m-image], input: 1, output: 0, image: 0.04}\n"
    table = bench(quota(limit="{cost: 100}") + prices)
    asked = {"request__surface": "images", "request__model": "m-image", "request__choices": 5}
    table.judge(request__max_tokens=None, **asked)
    assert charge(table).amount == 100 + 5 * 40_000
    table.judge(request__choices=5)
    assert charge(table).amount == 100


def test_no_amount_is_beyond_what_every_store_can_count(bench: Make):
    table = bench(quota(mode="shadow", limit="{tokens: 10, cost: 1}") + PRICES)
    table.judge(request__max_tokens=10**9, request__choices=10**9)
    assert [c.amount for c in table.plan.charges] == [10**15] * 2


def test_a_stream_under_a_hard_limit_has_what_that_limit_has_reserved(bench: Make):
    own = quota(hard="true", limit="{output_tokens: 500}", assume_output_tokens=100)
    other = quota(id="soft", limit="{tokens: 100000}").removeprefix("quotas:\n")
    shadow = quota(id="later", mode="shadow", limit="{tokens: 9}", assume_output_tokens=1)
    table = bench(own + other + shadow.removeprefix("quotas:\n"))
    table.judge(request__max_tokens=None)
    assert table.plan.output_tokens == charge(table).amount == 100


def test_prices_change_on_their_day(bench: Make):
    prices = """
prices:
  - {models: ["*"], input: 1, until: 2026-04-23}
  - {models: ["*"], input: 2, not_before: 2026-04-23}
"""
    table = bench(quota(limit="{cost: 1}", window="lifetime") + prices)
    table.judge()
    before = charge(table).amount
    table.judge(at_s=86_400)
    assert (before, charge(table).amount) == (100, 200)


def test_a_cost_is_settled_by_what_each_kind_of_token_costs(bench: Make):
    table = bench(quota(limit="{cost: 1}") + PRICES)
    table.judge()
    usage = Usage(input_tokens=100, cached_tokens=60, output_tokens=10)
    (correction,) = settle(table.plan, table.readings, Outcome(200, True, usage))
    used = charge(table).amount + correction.delta
    assert used == 1000 + 40 * 1 + 60 // 2 + 10 * 4


@pytest.mark.parametrize(
    ("per", "other", "same"),
    [
        ("account", {"account__id": "b"}, {"request__model": "x"}),
        ("[account, model]", {"request__model": "x"}, {"client__country": "DE"}),
        ("model", {"request__model": "x"}, {"account__id": "b"}),
        ("country", {"client__country": "DE"}, {"account__id": "b"}),
        ("tier", {"account__tier": "paid"}, {"account__id": "b"}),
        ("surface", {"request__surface": "completions"}, {"account__id": "b"}),
        ("everybody", {}, {"account__id": "b", "request__model": "x"}),
        ("organization", {"account__organization": "o"}, {"request__model": "x"}),
        ("{cel: account.tier + client.country}", {"account__tier": "x"}, {"account__id": "b"}),
    ],
)
def test_each_subject_has_a_count_of_its_own(bench: Make, per: str, other: dict, same: dict):
    table = bench(quota(per=per, limit="{requests: 1}"))
    table.judge()
    assert table.judge(**same).verdict is Verdict.THROTTLE
    if other:
        assert table.judge(**other).verdict is Verdict.ALLOW


def test_a_caller_cannot_make_a_model_read_like_another_subject(bench: Make):
    table = bench(quota(per="[account, model]", limit="{requests: 1}"))
    names = ["m", "m|fixed:60", "m&account.id=b", "m%26", "m&", "%"]
    assert [table.judge(request__model=name).verdict for name in names] == [Verdict.ALLOW] * 6


def test_what_names_a_subject_and_is_not_known_counts_together_or_abstains(bench: Make):
    table = bench(quota(per="country", limit="{requests: 1}"))
    table.judge(client__country=None)
    assert table.judge(client__country=None, account__id="b").verdict is Verdict.THROTTLE
    lax = bench(quota(per="country", limit="{requests: 1}", on_missing="abstain"))
    said = [lax.judge(client__country=None) for _ in range(2)]
    assert [one.verdict for one in said] == [Verdict.ALLOW] * 2
    assert "client.country is not known" in said[1].spoke[0].why


def test_an_account_may_have_a_limit_of_its_own(bench: Make):
    table = bench(quota(limit="{requests: 1}"))
    own = {"q.requests": 3, "other.requests": 9}
    verdicts = [table.judge(account__limits=own).verdict for _ in range(4)]
    assert verdicts == [Verdict.ALLOW] * 3 + [Verdict.THROTTLE]
    assert table.judge(account__id="b").limits[0].limit == 1


def test_the_parent_binds_where_a_child_would_have_more(bench: Make):
    text = quota(id="org", per="organization", limit="{requests: 2}")
    text += quota(id="own", limit="{requests: 5}").removeprefix("quotas:\n")
    table = bench(text)
    members = [table.judge(account__organization="o", account__id=f"a{i}") for i in range(3)]
    assert [one.verdict for one in members] == [Verdict.ALLOW] * 2 + [Verdict.THROTTLE]


def test_a_bucket_gives_its_burst_and_then_its_rate(bench: Make):
    table = bench(quota(limit="{requests: 60}", algorithm="gcra", burst=3))
    assert [table.judge().verdict for _ in range(4)] == [Verdict.ALLOW] * 3 + [Verdict.THROTTLE]
    refused = table.judge()
    assert refused.refusal.retry_at_ns == NOON_NS + S  # exactly when one has come back
    assert table.judge(at_s=0.999).verdict is Verdict.THROTTLE
    assert table.judge(at_s=1).verdict is Verdict.ALLOW
    assert table.judge(at_s=1).verdict is Verdict.THROTTLE
    assert refused.limits[0].limit == 3
    assert refused.limits[0].window_s == 3


def test_a_rolling_window_never_holds_more_than_its_limit(bench: Make):
    table = bench(quota(limit="{requests: 10}", algorithm="rolling"))
    admitted = [t / 4 for t in range(1600) if not table.judge(at_s=t / 4).verdict.refuses]
    assert all(sum(a <= t < a + 60 for t in admitted) <= 10 for a in admitted)
    assert len(admitted) >= 60  # of 66 or so that 400 s have room for


def test_a_rolling_window_says_when_there_is_room_again(bench: Make):
    table = bench(quota(limit="{requests: 2}", algorithm="rolling"))
    table.judge()
    table.judge(at_s=30)
    refused = table.judge(at_s=40)
    wait_s = (refused.refusal.retry_at_ns - NOON_NS) / S
    assert 60 <= wait_s <= 61
    assert table.judge(at_s=wait_s - 0.001).verdict is Verdict.THROTTLE
    assert table.judge(at_s=wait_s).verdict is Verdict.ALLOW


def test_a_slot_is_free_again_when_its_exchange_has_ended(bench: Make):
    table = bench(quota(limit="{concurrent: 1}", window=None))
    assert table.judge().verdict is Verdict.ALLOW
    held, readings = table.plan, table.readings
    refused = table.judge()
    assert refused.verdict is Verdict.THROTTLE
    assert refused.refusal.message == "Rate limit reached: 1 concurrent requests."
    table.store.correct(held, settle(held, readings, Outcome(200, True, Usage())))
    assert table.judge().verdict is Verdict.ALLOW


def test_a_budget_for_ever_is_never_retried(bench: Make):
    table = bench(quota(limit="{requests: 1}", window="lifetime"))
    table.judge()
    refusal = table.judge(at_s=86_400 * 365).refusal
    assert (refusal.spent, refusal.should_retry, refusal.retry_at_ns) == (True, False, None)
    assert refusal.message == "Rate limit reached: 1 requests in all."


def test_money_is_told_in_the_currency(bench: Make):
    table = bench(quota(limit="{cost: 12.5}", window="month") + PRICES)
    refusal = table.judge(request__max_tokens=10_000_000).refusal
    assert refusal.kind is RefusalKind.RATE_LIMIT
    assert "up to a cost of 40.0011; the limit is a cost of 12.50 per month" in refusal.message


def test_a_request_that_does_not_fit_is_clamped_to_what_is_left(bench: Make):
    table = bench(quota(limit="{tokens: 1000}", clamp=16))
    table.judge(request__max_tokens=700)  # 800 are used then
    said = table.judge(request__max_tokens=700)
    assert said.verdict is Verdict.ALLOW
    assert said.modifiers.max_tokens == 100
    assert said.limits[0].remaining == 0
    assert table.judge(request__max_tokens=700).verdict is Verdict.THROTTLE


def test_a_request_is_not_clamped_below_what_the_rule_says_at_least(bench: Make):
    table = bench(quota(limit="{tokens: 1000}", clamp=101))
    table.judge(request__max_tokens=700)
    assert table.judge(request__max_tokens=700).verdict is Verdict.THROTTLE
    assert table.judge(request__max_tokens=100).verdict is Verdict.ALLOW


def test_a_clamp_by_cost_gives_the_output_that_the_money_is_for(bench: Make):
    table = bench(quota(limit="{cost: 0.0015}", clamp=1) + PRICES)
    said = table.judge(request__max_tokens=5000)
    assert said.modifiers.max_tokens == (1500 - 1000 - 100) // 4


def test_each_of_several_answers_is_clamped(bench: Make):
    table = bench(quota(limit="{output_tokens: 100}", clamp=10))
    said = table.judge(request__max_tokens=90, request__choices=3)
    assert said.modifiers.max_tokens == 33


CLUSTERS = quota(per="cluster", limit="{requests: 3}")


def in_clusters(*ids: str, lineage: tuple[str, ...] = ()) -> dict:
    return {"cluster__ids": ids, "cluster__id": ids[0], "cluster__lineage": lineage}


def test_all_accounts_of_a_cluster_have_what_one_would_get(bench: Make):
    table = bench(CLUSTERS)
    said = [table.judge(account__id=f"a{i}", **in_clusters("c1")) for i in range(4)]
    assert [one.verdict for one in said] == [Verdict.ALLOW] * 3 + [Verdict.THROTTLE]
    assert said[3].by_cluster
    assert said[3].limits == ()
    assert "cluster" not in said[3].refusal.message


def test_a_merge_carries_the_larger_count_and_a_split_inherits_it(bench: Make):
    table = bench(CLUSTERS)
    for _ in range(2):
        table.judge(**in_clusters("c1"))
    table.judge(**in_clusters("c2"))
    merged = in_clusters("c3", lineage=("c3<c1", "c3<c2"))
    assert [table.judge(**merged).verdict for _ in range(2)] == [Verdict.ALLOW, Verdict.THROTTLE]
    split = in_clusters("c4", lineage=("c4<c3",))
    assert table.judge(**split).verdict is Verdict.THROTTLE


def test_an_account_in_two_clusters_takes_the_stricter(bench: Make):
    table = bench(CLUSTERS)
    for _ in range(3):
        table.judge(**in_clusters("c1"))
    assert table.judge(**in_clusters("c2", "c1")).verdict is Verdict.THROTTLE
    assert table.judge(**in_clusters("c2")).verdict is Verdict.ALLOW


def test_an_account_in_no_cluster_is_not_charged_and_where_nobody_knows_the_rule_abstains(
    bench: Make,
):
    table = bench(CLUSTERS)
    assert table.judge(cluster__ids=(), cluster__lineage=()).spoke == ()
    assert table.plan.charges == ()
    (said,) = table.judge().spoke
    assert said.why == "cluster.ids is not known; on_missing: abstain"


def test_a_cluster_may_have_the_limits_of_another_quota(bench: Make):
    text = quota(id="own", limit="{requests: 2}", window="day")
    text += quota(per="cluster", like="own", window=None).removeprefix("quotas:\n")
    table = bench(text)
    said = [table.judge(account__id=f"a{i}", **in_clusters("c1")) for i in range(3)]
    assert [one.verdict for one in said] == [Verdict.ALLOW] * 2 + [Verdict.THROTTLE]
    assert said[2].refusal.limit.rule == "own"


def test_an_answer_without_max_tokens_reserves_what_the_model_usually_answers(bench: Make):
    table = bench(quota(limit="{output_tokens: 100000}"))
    table.judge(request__max_tokens=None)
    assert charge(table).amount == 1024
    table.judge(request__max_tokens=None, request__expected_output_tokens=300)
    assert charge(table).amount == 300
    fixed = bench(quota(limit="{output_tokens: 100000}", assume_output_tokens=50))
    fixed.judge(request__max_tokens=None, request__expected_output_tokens=300)
    assert charge(fixed).amount == 50


def test_a_batch_counts_each_of_its_requests(bench: Make):
    table = bench(quota(limit="{requests: 10, output_tokens: 100000}"))
    batch = {"request__requests": 8, "request__max_tokens": None}
    assert table.judge(**batch).verdict is Verdict.ALLOW
    assert [c.amount for c in table.plan.charges] == [8, 8 * 1024]
    assert table.judge(**batch).verdict is Verdict.THROTTLE


ALGORITHMS = st.sampled_from(["fixed", "rolling", "gcra"])
EXCHANGES = st.lists(
    st.tuples(
        st.integers(0, 1),  # account
        st.sampled_from(["m-small", "m-large"]),
        st.integers(0, 60),  # input
        st.one_of(st.none(), st.integers(0, 80)),  # max_tokens
        st.integers(0, 40),  # seconds since the last
        st.integers(0, 90),  # output used in the end
    ),
    max_size=30,
)


@settings(max_examples=120, deadline=None)
@given(EXCHANGES, ALGORITHMS, st.integers(1, 400), st.sampled_from([None, 8]), st.booleans())
def test_admission_and_settlement_agree_for_every_algorithm(exchanges, how, limit, clamp, costs):
    """What the store takes is what the judge admits, and what is used is what is counted."""
    unit = f"cost: 0.000{limit % 999 + 1:03}" if costs else f"tokens: {limit}"
    text = quota(limit=f"{{{unit}}}", algorithm=how, clamp=clamp)
    text += quota(id="slots", per="everybody", limit="{concurrent: 3}", window=None).removeprefix(
        "quotas:\n"
    )
    policy, store = compile_texts([("p.yaml", (text + PRICES).encode())]), MemoryStore()
    at_s, held = 0, []
    for number, (account, model, tokens, bound, after, used) in enumerate(exchanges):
        at_s += after
        facts = {
            **ORDINARY,
            "account.id": f"a{account}",
            "request.model": model,
            "request.input_tokens": tokens,
        }
        facts.pop("request.max_tokens")
        if bound is not None:
            facts["request.max_tokens"] = bound
        wanted = plan(every_rule(policy), facts, at_s * S, Durability.ASYNC, id_=str(number))
        readings = store.take(wanted)
        decision = judge(policy, wanted, readings, 0, facts)
        assert readings.taken == (not decision.verdict.refuses)
        for one, reading in readings.of(wanted):
            assert (
                readings.taken is False or reading.before + one.taken(reading.before) <= one.limit
            )
        if readings.taken:
            held.append((wanted, readings, Usage(input_tokens=tokens, output_tokens=used)))
        if len(held) > 2:
            before, read, usage = held.pop(0)
            store.correct(before, settle(before, read, Outcome(200, True, usage)))
    for before, read, usage in held:
        store.correct(before, settle(before, read, Outcome(200, True, usage)))
    assert not len(store._leases)


def test_every_unit_and_algorithm_has_a_word():
    assert all(unit.word for unit in Unit)
    assert {a.value for a in Algorithm} == {"fixed", "rolling", "gcra", "concurrent"}
