"""Baselines: each joins accounts by one thing, and what it joins shares one quota."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from bench.campaigns.baselines import (
    DAY_S,
    TOGETHER,
    NearDuplicates,
    OwnQuotas,
    Pool,
    Shared,
    Sight,
    all_baselines,
    sight_of,
)
from bench.campaigns.lengths import full, rest_days
from bench.campaigns.minhash import bands
from bench.campaigns.plans import PRESETS, VARIANTS, days_of
from bench.campaigns.scenarios import SCENARIOS
from bench.campaigns.stream import Event
from proxy.model.trait import Family

LONG = (
    "You are a careful analyst. Write down every step of your reasoning, number the steps, say "
    "what you tried and why you gave it up, check the result in another way, and only then give "
    "the answer in a line of its own after the word result. This is the question for today: "
)
ONE = Sight("a", 0.0, "build", "192.0.2.1", "192.0.2", "", "", "prompt", "short")


def seen(number, at_s=0.0, **changed):
    told = {
        "account": f"a-{number}",
        "at_s": at_s,
        "address": f"192.0.{number}.1",
        "network": f"192.0.{number}",
        "prompt": f"prompt {number}",
        "asked": f"what is the sum of {number} apples and some unrelated fruit {number * 7919}",
    }
    return replace(ONE, **(told | changed))


def refused(baseline, sights):
    return [baseline.refuses(one) for one in sights]


def test_accounts_that_share_one_value_are_free_until_there_are_eight():
    shared = Shared(Pool(2), "card")
    first = [seen(number, card="pay-1") for number in range(TOGETHER - 1)]
    assert not any(refused(shared, first * 5))
    # The eighth joins them, and they have two in a day together.
    later = [seen(number, 10.0, card="pay-1") for number in range(TOGETHER)]
    assert refused(shared, later[::-1]) == [False, False] + [True] * 6
    assert not shared.refuses(seen(99, 11.0, card="pay-2"))


def test_what_was_used_comes_back_a_day_later():
    shared = Shared(Pool(1), "system")
    joined = [seen(number, system="same") for number in range(TOGETHER)]
    refused(shared, joined)
    assert shared.refuses(replace(joined[0], at_s=DAY_S - 1))
    assert not shared.refuses(replace(joined[0], at_s=DAY_S + 1))


def test_who_was_joined_stays_joined_with_all_that_it_sends():
    shared = Shared(Pool(1), "address")
    refused(shared, [seen(number, address="192.0.2.9") for number in range(TOGETHER)])
    assert shared.refuses(seen(0, 5.0, address="198.51.100.1"))


def test_nothing_is_shared_by_accounts_that_lack_the_field():
    shared = Shared(Pool(0), "card", "system")
    assert not any(refused(shared, [seen(number) for number in range(50)]))


def test_a_batch_takes_as_much_as_it_has_lines():
    pool = Pool(50)
    assert pool.takes("g", seen(1, weight=40))
    assert not pool.takes("g", seen(1, weight=11))
    assert pool.takes("g", seen(1, weight=10))


def test_near_duplicates_share_a_band_and_other_texts_do_not():
    rows = [LONG + f"{number} times the fifth prime" for number in range(20)]
    shared = [len(set(bands(rows[0])) & set(bands(row))) for row in rows[1:]]
    assert min(shared) > 0
    other = "The weather in the mountains changes faster than most of the visitors expect it to."
    assert not set(bands(rows[0])) & set(bands(other))
    assert bands("two words") == ()
    assert bands(rows[0].upper()) == bands(rows[0])


def test_accounts_are_joined_through_others_that_they_do_not_resemble():
    near = NearDuplicates(Pool(0))
    texts = [" ".join(f"word{n}" for n in range(at, at + 100)) for at in range(0, 24, 3)]
    sights = [seen(number, asked=text) for number, text in enumerate(texts)]
    assert not set(bands(texts[0])) & set(bands(" ".join(f"word{n}" for n in range(90, 190))))
    joined = refused(near, sights * 2)
    assert joined[-1]
    assert not near.refuses(seen(77))


def test_joined_components_bring_what_each_has_used():
    pool = Pool(3)
    for at in (0.0, 1.0):
        assert pool.takes("one", seen(1, at))
    assert pool.takes("other", seen(2, 0.5))
    pool.merge("one", "other")
    assert not pool.takes("other", seen(2, 2.0))
    assert pool.takes("other", seen(2, DAY_S + 0.7))


def test_each_account_has_the_containment_sets_minute_by_its_tier():
    own = OwnQuotas()
    free = [seen(1, 5.0, tier="free")] * 601
    assert refused(own, free) == [False] * 600 + [True]
    assert not own.refuses(seen(1, 61.0, tier="free"))
    assert not any(refused(own, [seen(2, 5.0, tier="scale")] * 601))


def test_account_quotas_alone_join_nobody_and_all_baselines_have_a_name():
    named = all_baselines(100.0)
    same = [seen(number, card="c", system="s", address="192.0.2.1") for number in range(9)]
    assert not any(refused(named["account quotas"], same * 9))
    assert len(named) == 8


def test_a_sight_has_what_was_said_in_either_dialect():
    openai = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]
    anthropic = {"system": "S", "messages": [{"role": "user", "content": "U"}]}
    account = {"tier": "free", "links": {"payment": "pay-1"}}
    for body in ({"messages": openai}, anthropic, {"requests": [{"params": anthropic}]}):
        line = {"ts": 1.0, "client_ip": "192.0.2.7", "path": "/v1/messages", "body": body}
        one = sight_of(Event("c", _persona("a"), line), account)
        assert (one.system, one.asked, one.card) == ("S", "U", "pay-1")
        assert (one.network, one.tier) == ("192.0.2", "free")


def _persona(name):
    return SimpleNamespace(account=name)


# --- plans


def test_ablations_name_families_and_every_family_has_one():
    left_out = [name for variant in VARIANTS.values() for name in variant.without]
    assert sorted(left_out) == sorted(Family)


@pytest.mark.parametrize(
    ("preset", "accounts", "exchanges"),
    [
        ("full-150k", 500, 150e3),
        ("full-3.4m", 273, 3.4e6),
        ("full-13m", 4_000, 13e6),
        ("full-28.8m", 25_000, 28.8e6),
    ],
)
def test_presets_are_the_reported_campaigns_at_their_full_size(preset, accounts, exchanges):
    scenario = SCENARIOS[PRESETS[preset].scenario]
    assert scenario.accounts == accounts
    assert scenario.exchanges(1.0, None) == pytest.approx(exchanges, rel=0.03)


def test_the_whole_of_a_campaign_is_what_its_table_says_at_the_scale():
    assert full("low-and-slow", 1.0, 1.0) == pytest.approx(29.25e6)
    assert full("mixed-hydra-10", 0.05, 0.1) == pytest.approx(0.05 * 18e6 * 0.1)
    assert full("batch-bypass", 1.0, 1.0) == pytest.approx(150e3)
    assert rest_days("pivot", 1.0) == 9.0
    assert rest_days("warm-up", 14.0) == 7.0


def test_runs_are_as_long_as_asked_or_by_the_table():
    assert days_of("pivot", 2.0) == 2.0
    assert days_of("pivot", 0.0) is None
    assert days_of("low-and-slow", None) == 1.0
    assert days_of("pivot+low-and-slow", None) == 1.0
