from collections.abc import Callable
from typing import Any

import pytest

from proxy.model.plan import Correction
from proxy.model.verdict import Durability, RefusalKind, Unit, Verdict

S = 1_000_000_000
NOON_NS = 1_776_816_000 * S

QUOTA = """
quotas:
  - id: per-minute
    match: {tiers: [free]}
    mode: enforce
    limit: {requests: 3, tokens: 1000}
    window: 1m
"""
EMBARGO = """
geography:
  - id: embargo
    match: {models: ["m-large*"]}
    mode: enforce
    deny_countries: [CU, IR]
"""
TEMPLATE = """
fingerprints:
  - id: shared
    mode: enforce
    template: {accounts: 8, within: 10m}
"""
Make = Callable[[str], Any]


def test_an_exchange_that_no_rule_refuses_is_allowed_and_shows_what_is_left(bench: Make):
    decision = bench(QUOTA).judge()
    assert decision.verdict is Verdict.ALLOW
    assert [(s.unit, s.remaining) for s in decision.limits] == [
        (Unit.REQUESTS, 2),
        (Unit.TOKENS, 850),
    ]
    assert decision.index == 7


def test_a_quota_refuses_with_the_time_at_which_its_window_ends(bench: Make):
    table = bench(QUOTA)
    for _ in range(3):
        assert not table.judge(at_s=20).verdict.refuses
    decision = table.judge(at_s=21)
    assert decision.verdict is Verdict.THROTTLE
    assert decision.refusal.kind is RefusalKind.RATE_LIMIT
    assert decision.refusal.retry_at_ns == NOON_NS + 60 * S
    assert decision.refusal.message == "Rate limit reached: 3 requests per minute."
    assert decision.limits[0].remaining == 0
    assert decision.spoke[0].why == "requests: 3 used and 1 asked for, limit 3 in 60 s"


@pytest.mark.parametrize(("window", "should_retry"), [("1m", None), ("1d", False)])
def test_an_sdk_is_told_not_to_sleep_for_hours(bench: Make, window: str, should_retry: bool | None):
    table = bench(QUOTA.replace("1m", window))
    for _ in range(3):
        table.judge()
    refusal = table.judge().refusal
    assert refusal.should_retry is should_retry
    assert refusal.retry_at_ns > NOON_NS


def test_a_request_that_never_fits_is_told_not_to_come_back(bench: Make):
    decision = bench(QUOTA).judge(request__max_tokens=5_000)
    assert decision.refusal.should_retry is False
    assert decision.refusal.retry_at_ns is None
    assert "asks for up to 5100 tokens; the limit is 1000 tokens per minute" in (
        decision.refusal.message
    )


def test_tokens_reserve_what_each_of_n_answers_may_use(bench: Make):
    table = bench(QUOTA)
    table.judge(request__choices=4)
    assert table.plan.charges[1].amount == 100 + 4 * 50


def test_without_max_tokens_the_rule_says_what_is_reserved(bench: Make):
    table = bench(QUOTA.replace("window: 1m", "window: 1m\n    assume_output_tokens: 70"))
    table.judge(request__max_tokens=None)
    assert table.plan.charges[1].amount == 170


def test_accounts_do_not_share_a_quota_and_keys_of_one_account_do(bench: Make):
    table = bench(QUOTA)
    for key in ("k1", "k2", "k3"):
        table.judge(account__key=key)
    assert table.judge(account__key="k4").verdict is Verdict.THROTTLE
    assert table.judge(account__id="acc-2").verdict is Verdict.ALLOW


def test_an_organization_quota_counts_an_account_without_one_for_itself(bench: Make):
    table = bench(QUOTA.replace("mode: enforce", "mode: enforce\n    per: organization"))
    for account in ("a", "b", "c"):
        table.judge(account__id=account, account__organization="org")
    assert table.judge(account__id="d", account__organization="org").verdict is Verdict.THROTTLE
    assert table.judge(account__id="e").verdict is Verdict.ALLOW


def test_an_account_without_a_tier_does_not_slip_past_the_quota_of_a_tier(bench: Make):
    table = bench(QUOTA)
    table.judge(account__tier=None)
    assert len(table.plan.charges) == 2
    lenient = bench(QUOTA.replace("mode: enforce", "mode: enforce\n    on_missing: abstain"))
    decision = lenient.judge(account__tier=None)
    assert lenient.plan.charges == ()
    assert decision.spoke[0].why == "account.tier is not known; on_missing: abstain"


def test_a_shadow_quota_counts_and_says_what_it_would_have_done(bench: Make):
    table = bench(QUOTA.replace("enforce", "shadow"))
    for _ in range(3):
        table.judge()
    decision = table.judge()
    assert decision.verdict is Verdict.ALLOW
    assert decision.limits == ()
    assert [(o.rule, o.verdict) for o in decision.shadow] == [("per-minute", Verdict.THROTTLE)]


@pytest.mark.parametrize(
    ("model", "country", "verdict"),
    [
        ("m-large", "CU", Verdict.DENY),
        ("m-large-2", "IR", Verdict.DENY),
        ("m-large", "SG", Verdict.ALLOW),
        ("m-small", "CU", Verdict.ALLOW),
        ("m-large", None, Verdict.DENY),  # an unknown place
        ("m-small", None, Verdict.ALLOW),  # … is no matter for another model
        (None, "CU", Verdict.DENY),  # an unknown model, from a place that is denied
        (None, "SG", Verdict.ALLOW),
        ("", "CU", Verdict.ALLOW),  # no model is concerned
    ],
)
def test_geography(bench: Make, model: str | None, country: str | None, verdict: Verdict):
    decision = bench(EMBARGO).judge(request__model=model, client__country=country)
    assert decision.verdict is verdict
    if verdict is Verdict.DENY:
        assert decision.refusal.kind is RefusalKind.REGION
        assert decision.refusal.should_retry is False


def test_an_allow_list_refuses_every_place_that_it_does_not_name(bench: Make):
    table = bench(EMBARGO.replace("deny_countries: [CU, IR]", "allow_countries: [SG]"))
    assert table.judge(request__model="m-large").verdict is Verdict.ALLOW
    refused = table.judge(request__model="m-large", client__country="US")
    assert refused.verdict is Verdict.DENY
    assert refused.spoke[0].why == "client.country US is not among the countries allowed"


def test_a_rule_that_abstains_on_an_unknown_place_is_recorded(bench: Make):
    table = bench(EMBARGO.replace("mode: enforce", "mode: enforce\n    on_missing: abstain"))
    decision = table.judge(request__model="m-large", client__country=None)
    assert decision.verdict is Verdict.ALLOW
    assert decision.spoke[0].why == "client.country is not known; on_missing: abstain"


def test_an_exchange_refused_by_a_static_rule_is_not_charged(bench: Make):
    table = bench(QUOTA + EMBARGO)
    for _ in range(10):
        table.judge(request__model="m-large", client__country="CU")
    assert table.judge().limits[0].remaining == 2


def test_deny_is_stronger_than_throttle_and_both_are_heard(bench: Make):
    table = bench(QUOTA + EMBARGO)
    for _ in range(3):
        table.judge()
    decision = table.judge(request__model="m-large", client__country="CU")
    assert decision.verdict is Verdict.DENY
    assert {o.rule for o in decision.spoke} == {"embargo", "per-minute"}


SHARED = {"fingerprint__template_accounts": {600: 9}}


def test_a_fingerprint_rule_speaks_from_its_number_of_accounts(bench: Make):
    table = bench(TEMPLATE)
    assert table.judge(fingerprint__template_accounts={600: 7}).verdict is Verdict.ALLOW
    decision = table.judge(**SHARED)
    assert decision.verdict is Verdict.THROTTLE
    assert decision.by_cluster
    assert "9 accounts shared the template within 600 s" in decision.spoke[0].why


def test_a_refusal_by_fingerprint_cannot_be_told_from_one_by_the_accounts_own_limit(bench: Make):
    suspect, spender = bench(QUOTA + TEMPLATE), bench(QUOTA)
    by_fingerprint = suspect.judge(at_s=30, **SHARED)
    for _ in range(3):
        spender.judge(at_s=30, request__input_tokens=0, request__max_tokens=0)
    by_quota = spender.judge(at_s=30)
    assert by_fingerprint.refusal == by_quota.refusal
    assert by_fingerprint.limits == by_quota.limits
    assert not by_quota.by_cluster


def test_a_refusal_by_fingerprint_without_any_quota_still_says_when_to_come_back(bench: Make):
    decision = bench(TEMPLATE).judge(at_s=30, **SHARED)
    assert decision.refusal.retry_at_ns == NOON_NS + 60 * S
    assert decision.refusal.message == "Rate limit reached."


def test_a_fingerprint_in_shadow_changes_nothing_in_the_answer(bench: Make):
    plain = bench(QUOTA).judge(**SHARED)
    shadowed = bench(QUOTA + TEMPLATE.replace("enforce", "shadow")).judge(**SHARED)
    assert shadowed.limits == plain.limits
    assert shadowed.refusal is None
    assert not shadowed.by_cluster
    assert shadowed.shadow[0].rule == "shared"


def test_a_missing_fingerprint_abstains_and_is_recorded(bench: Make):
    decision = bench(TEMPLATE).judge(fingerprint__template_accounts=None)
    assert decision.verdict is Verdict.ALLOW
    assert "fingerprint.template_accounts is not known" in decision.spoke[0].why


def test_a_fingerprint_rule_that_reveals_denies_in_its_own_words(bench: Make):
    text = TEMPLATE.replace(
        "mode: enforce", "mode: enforce\n    then: deny\n    reveals: true\n    message: No."
    )
    decision = bench(text).judge(**SHARED)
    assert decision.refusal.kind is RefusalKind.PERMISSION
    assert decision.refusal.message == "No."


def test_a_fingerprint_rule_that_reveals_may_throttle_in_its_own_words(bench: Make):
    text = TEMPLATE.replace("mode: enforce", "mode: enforce\n    reveals: true\n    message: Slow.")
    borrowed = bench(QUOTA + TEMPLATE).judge(at_s=30, **SHARED).refusal
    refusal = bench(QUOTA + text).judge(at_s=30, **SHARED).refusal
    assert refusal.message == "Slow."
    assert (refusal.limit, refusal.retry_at_ns) == (borrowed.limit, borrowed.retry_at_ns)


def test_the_strictest_durability_of_the_governing_rules_counts(bench: Make):
    legal = EMBARGO + "    legal: true\n"
    table = bench(QUOTA.replace("mode: enforce", "mode: enforce\n    durability: async") + legal)
    assert table.judge(request__model="m-large").durability is Durability.BEFORE
    assert table.judge(request__model="m-small").durability is Durability.ASYNC
    ungoverned = table.judge(request__model="m-small", account__tier="other")
    assert ungoverned.durability is Durability.BEFORE_ANSWER


def test_an_account_without_an_organization_never_pays_for_one_of_the_same_name(bench: Make):
    table = bench(QUOTA.replace("mode: enforce", "mode: enforce\n    per: organization"))
    for _ in range(3):
        table.judge(account__id="acme")
    member = table.judge(account__id="b", account__organization="acme")
    assert member.verdict is Verdict.ALLOW


def test_what_uses_no_tokens_is_not_refused_where_a_stream_ran_past_the_limit(bench: Make):
    table = bench(QUOTA)
    table.judge()
    tokens = table.plan.charges[1]
    table.store.correct(table.plan, [Correction(tokens, 5_000)])
    listing = table.judge(request__input_tokens=0, request__max_tokens=0)
    assert listing.verdict is Verdict.ALLOW
    assert listing.limits[1].remaining == 0
    assert table.judge(request__max_tokens=0).verdict is Verdict.THROTTLE


TWO_WINDOWS = """
quotas:
  - id: per-day
    mode: enforce
    limit: {requests: 4}
    window: 1d
    message: Four a day.
  - id: per-minute
    mode: enforce
    limit: {requests: 4, tokens: 100000}
    window: 1m
  - id: unseen
    mode: shadow
    limit: {requests: 1}
    window: 1s
"""


def test_the_limit_that_holds_longest_is_the_one_that_is_told(bench: Make):
    table = bench(TWO_WINDOWS)
    for _ in range(4):
        table.judge()
    refusal = table.judge().refusal
    assert (refusal.message, refusal.limit.rule) == ("Four a day.", "per-day")
    assert refusal.should_retry is False


def test_a_wait_of_two_minutes_is_still_left_to_the_sdk(bench: Make):
    table = bench(QUOTA.replace("1m", "2m"))
    for _ in range(3):
        table.judge(at_s=0)
    assert table.judge(at_s=0).refusal.should_retry is None


def test_a_refusal_by_fingerprint_borrows_requests_of_the_shortest_window(bench: Make):
    table = bench(TWO_WINDOWS + TEMPLATE)
    refused = table.judge(at_s=10, **SHARED)
    assert (refused.refusal.limit.rule, refused.refusal.limit.unit) == (
        "per-minute",
        Unit.REQUESTS,
    )
    assert refused.refusal.retry_at_ns == NOON_NS + 60 * S
    shown = {(s.rule, s.unit): s.remaining for s in refused.limits}
    assert shown == {
        ("per-day", Unit.REQUESTS): 4,
        ("per-minute", Unit.REQUESTS): 0,
        ("per-minute", Unit.TOKENS): 100_000,
    }


def test_a_borrowed_limit_keeps_the_words_of_its_own_rule(bench: Make):
    own = QUOTA.replace("window: 1m", "window: 1m\n    message: Three a minute.")
    assert bench(own + TEMPLATE).judge(**SHARED).refusal.message == "Three a minute."


def test_a_verdict_that_a_quota_shares_does_not_rest_on_the_fingerprint(bench: Make):
    table = bench(QUOTA + TEMPLATE)
    for _ in range(3):
        table.judge()
    decision = table.judge(**SHARED)
    assert {o.rule for o in decision.spoke} == {"per-minute", "shared"}
    assert not decision.by_cluster


def test_geography_speaks_before_a_fingerprint_that_denies_too(bench: Make):
    revealing = TEMPLATE.replace(
        "mode: enforce", "mode: enforce\n    then: deny\n    reveals: true"
    )
    decision = bench(EMBARGO + revealing).judge(
        request__model="m-large", client__country="CU", **SHARED
    )
    assert decision.refusal.kind is RefusalKind.REGION
    assert not decision.by_cluster


def test_a_fingerprint_counts_accounts_within_its_own_window_only(bench: Make):
    decision = bench(TEMPLATE).judge(fingerprint__template_accounts={3600: 50, 600: 8})
    assert decision.spoke[0].why.startswith("8 accounts")
    other = bench(TEMPLATE).judge(fingerprint__template_accounts={3600: 50})
    assert other.verdict is Verdict.ALLOW


def test_a_request_as_large_as_the_whole_limit_may_come_back(bench: Make):
    table = bench(QUOTA)
    table.judge()
    refusal = table.judge(request__input_tokens=0, request__max_tokens=1000).refusal
    assert refusal.retry_at_ns == NOON_NS + 60 * S
    assert refusal.message == "Rate limit reached: 1000 tokens per minute."


def test_a_shadow_quota_never_shows_in_a_refusal_however_long_it_holds(bench: Make):
    watched = """
  - id: watched
    mode: shadow
    limit: {requests: 1, tokens: 10}
    window: 1d
"""
    table = bench(QUOTA + watched)
    for _ in range(3):
        table.judge()
    decision = table.judge()
    assert decision.refusal.limit.rule == "per-minute"
    assert {s.rule for s in decision.limits} == {"per-minute"}
    assert {o.rule for o in decision.shadow} == {"watched"}


def test_a_shadow_rule_that_abstains_is_recorded_too(bench: Make):
    shadow = EMBARGO.replace("mode: enforce", "mode: shadow\n    on_missing: abstain")
    decision = bench(shadow).judge(request__model="m-large", client__country=None)
    assert decision.spoke == ()
    assert [(o.rule, o.verdict) for o in decision.shadow] == [("embargo", Verdict.ALLOW)]


def test_a_rule_that_abstains_does_so_also_where_only_its_match_is_unknown(bench: Make):
    table = bench(EMBARGO.replace("mode: enforce", "mode: enforce\n    on_missing: abstain"))
    decision = table.judge(request__model=None, client__country="CU")
    assert decision.verdict is Verdict.ALLOW
    assert decision.spoke[0].why == "request.model is not known; on_missing: abstain"


def test_a_quota_that_abstains_on_unknown_facts_counts_where_they_are_known(bench: Make):
    table = bench(QUOTA.replace("mode: enforce", "mode: enforce\n    on_missing: abstain"))
    assert len(table.judge().limits) == 2
