"""Measures: when a campaign counts as flagged and contained, who was touched, whose clusters."""

from collections import Counter
from types import SimpleNamespace

import pytest

from bench.campaigns.measures import (
    Group,
    Observer,
    contained_from,
    interval,
    projected,
    served_before,
)
from bench.campaigns.replaced import Replaced
from bench.campaigns.scores import Scores
from bench.campaigns.stated import UNKNOWN, Stated, enough, found
from bench.campaigns.stream import Reinforcement
from proxy.model.cluster import Cluster, ClusterState, FoundCluster

HOUR = 60
DAY = 1440


def event(cast, account, at_s, *, extraction=False, expected="", path="/v1/messages", size=1):
    return SimpleNamespace(
        cast=cast,
        persona=SimpleNamespace(account=account, size=size),
        line={"ts": at_s, "id": "x", "path": path},
        extraction=extraction,
        expected=expected,
    )


def decision(verdict="allow", *, by_cluster=False, delay_s=0.0, modifiers=()):
    return {
        "verdict": verdict,
        "by_cluster": by_cluster,
        "delay_s": delay_s,
        "modifiers": list(modifiers),
    }


@pytest.fixture
def observer():
    groups = [Group("base", "base", 50), Group("c", "campaign", 100)]
    return Observer(groups, start_s=0.0, minutes=2 * DAY)


# --- contained


def test_a_campaign_is_contained_from_the_minute_after_the_last_day_that_is_too_much():
    served = Counter(dict.fromkeys(range(600), 1))
    assert contained_from(served, 3 * DAY, daily_use=24) == 600 - 24
    assert served_before(served, 600 - 24) == 576


def test_what_comes_again_a_day_later_is_judged_within_every_day():
    served = Counter({0: 100, 2 * DAY: 10, 2 * DAY + 700: 10})
    assert contained_from(served, 4 * DAY, daily_use=20) == 1
    assert contained_from(served, 4 * DAY, daily_use=19) == 2 * DAY + 1


def test_a_campaign_that_is_served_to_the_end_is_never_contained():
    assert contained_from(Counter(dict.fromkeys(range(2 * DAY), 5)), 2 * DAY, 100) is None


def test_a_campaign_that_never_exceeds_one_account_is_contained_from_the_start():
    assert contained_from(Counter(dict.fromkeys(range(0, 2 * DAY, 120), 1)), 2 * DAY, 24) == 0


def test_the_rest_of_a_short_run_may_hold_only_its_part_of_a_days_use():
    # 689 minutes are left from minute 31 on: of 24 a day not quite half.
    assert contained_from(Counter({30: 500, 400: 11}), 12 * HOUR, daily_use=24) == 31
    assert contained_from(Counter({30: 500, 400: 12}), 12 * HOUR, daily_use=24) == 401


def test_a_lull_at_the_very_end_is_no_containment():
    served = Counter(dict.fromkeys(range(DAY - 120), 1))
    assert contained_from(served, DAY, daily_use=100) is None


def test_the_rest_of_a_campaign_is_projected_from_the_last_day():
    served = Counter({10: 1000, DAY + 5: 7})
    assert projected(served, 2 * DAY, rest_days=10) == 1007 + 70
    assert projected(served, 2 * DAY, rest_days=0) == 1007
    assert projected(Counter({10: 1000, 70: 5}), 120, rest_days=1.0) == 1005 + 5 * 24


# --- tallies


def test_refusals_by_own_quota_and_by_cluster_are_counted_apart(observer):
    observer.saw(event("base", "b", 1.0), decision("throttle"))
    observer.saw(event("base", "b", 2.0), decision("throttle", by_cluster=True))
    observer.saw(event("base", "b", 3.0), decision("step_up", by_cluster=True))
    base = observer.groups["base"]
    assert (base.refused_own, base.all.by_cluster, base.all.served) == (1, 2, 0)
    assert base.touched == {"b": 2.0}


@pytest.mark.parametrize(
    "soft", [{"verdict": "delay", "delay_s": 0.5}, {"verdict": "allow", "modifiers": ["strip"]}]
)
def test_a_delay_or_a_strip_because_of_a_cluster_touches_but_serves(observer, soft):
    observer.saw(event("base", "b", 1.0), decision(**soft, by_cluster=True))
    base = observer.groups["base"]
    assert (base.all.served, base.slowed, len(base.touched)) == (1, 1, 1)


def test_an_exchange_that_a_cluster_left_alone_touches_nobody(observer):
    observer.saw(event("base", "b", 1.0), decision(by_cluster=True))
    assert not observer.groups["base"].touched


def test_where_exchanges_are_marked_only_those_count(observer):
    observer.saw(event("c", "c-1", 60.0), decision())
    assert observer.groups["c"].told.served == 1
    observer.saw(event("c", "c-1", 61.0, extraction=True), decision())
    observer.saw(event("c", "c-1", 62.0, extraction=True), decision("throttle", by_cluster=True))
    told = observer.groups["c"].told
    assert (told.sent, told.served, told.by_cluster) == (2, 1, 1)
    assert observer.groups["c"].all.sent == 3


def test_a_batch_counts_as_its_lines_and_an_uploaded_file_as_nothing(observer):
    observer.saw(event("c", "c-1", 1.0, path="/v1/files", size=40), decision())
    observer.saw(event("c", "c-1", 2.0, path="/v1/batches", size=40), decision())
    observer.saw(event("c", "c-1", 3.0, path="/v1/messages/batches", size=30), decision())
    assert observer.groups["c"].all.served == 70


def test_verdicts_that_the_law_does_not_allow_are_counted_by_what_they_are(observer):
    observer.saw(event("c", "c-1", 1.0, expected="deny"), decision("allow"))
    observer.saw(event("c", "c-1", 2.0, expected="allow|deny"), decision("deny"))
    observer.saw(event("c", "c-1", 3.0, expected="deny"), decision("deny"))
    group = observer.groups["c"]
    assert group.judged_by_law == 3
    assert dict(group.wrong) == {"allow where the law says deny": 1}


def test_ordinary_daily_use_is_the_99th_percentile_of_days_with_use(observer):
    for account in range(99):
        observer.saw(event("base", f"b-{account}", 1.0), decision())
    for _ in range(500):
        observer.saw(event("base", "heavy", 90_000.0), decision())
    assert observer.ordinary_daily_use() == 1
    observer.saw(event("base", "heavy", 1.0), decision())
    for _ in range(3):
        observer.saw(event("base", "other", 1.0), decision())
    assert observer.ordinary_daily_use() == 3


def test_the_interval_of_no_hits_still_has_an_upper_end():
    low, high = interval(0, 1000)
    assert low == pytest.approx(0.0, abs=1e-9)
    assert 0.003 < high < 0.005
    assert interval(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)


# --- clusters


def happened(kind, cluster, accounts=(), *, ts=60.0, into=None):
    return {"ts": ts, "event": kind, "cluster": cluster, "accounts": list(accounts), "into": into}


def names(letter, count, first=0):
    return [f"{letter}-{number}" for number in range(first, first + count)]


@pytest.fixture
def groups():
    return {
        group.name: group
        for group in (
            Group("base", "base", 50),
            Group("c", "campaign", 100),
            Group("d", "campaign", 60),
            Group("c-decoys", "decoy", 500),
        )
    }


@pytest.fixture
def stated(groups):
    casts = {"b": "base", "c": "c", "d": "d", "x": "c-decoys"}
    cast_of = {name: cast for letter, cast in casts.items() for name in names(letter, 100)}
    return Stated(groups, cast_of, {"c-decoys": "c"})


@pytest.mark.parametrize(("accounts", "needed"), [(1, 1), (35, 3), (250, 5), (25_000, 10)])
def test_two_percent_flag_a_campaign_but_three_to_ten_accounts(accounts, needed):
    assert enough(accounts) == needed


def test_a_cluster_that_holds_enough_of_a_campaign_flags_it(stated, groups):
    groups["c"].all.served = 17
    stated.happened(happened("open", "k", names("c", 2)))
    assert not stated.flags
    stated.happened(happened("grow", "k", names("c", 1, 2), ts=70.0))
    assert (stated.flags["c"].at_s, stated.flags["c"].served) == (70.0, 17)


def test_a_cluster_that_is_mostly_others_flags_nothing_until_they_leave(stated):
    stated.happened(happened("open", "k", [*names("c", 4), *names("b", 5)]))
    assert not stated.flags
    stated.happened(happened("shrink", "k", names("b", 3), ts=90.0))
    assert stated.flags["c"].at_s == 90.0


def test_decoys_neither_flag_their_campaign_nor_hide_it(stated):
    stated.happened(happened("open", "k", names("x", 50)))
    assert not stated.flags
    stated.happened(happened("grow", "k", names("c", 3)))
    assert "c" in stated.flags
    assert stated.share([*names("x", 50), *names("c", 3), "b-1"]) == ("c", 0.75, 4)
    assert stated.share(names("x", 3)) == (UNKNOWN, 0.0, 0)


def test_merged_and_split_clusters_take_their_members_along(stated):
    stated.happened(happened("open", "k", names("c", 2), ts=1.0))
    stated.happened(happened("open", "l", names("c", 1, 2), ts=2.0))
    stated.happened(happened("merge", "l", ts=3.0, into="k"))
    assert stated.flags["c"].at_s == 3.0
    stated.happened(happened("split", "k", names("c", 1), ts=4.0, into="m"))
    assert stated.members_at(2.5) == {"k": set(names("c", 2)), "l": {"c-2"}}
    assert stated.members_at(9.0) == {"k": {"c-1", "c-2"}, "m": {"c-0"}}
    stated.happened(happened("close", "k", ts=5.0))
    assert stated.members_at(9.0) == {"m": {"c-0"}}


def test_recall_is_over_the_accounts_that_had_sent_and_precision_over_the_clusters(stated, groups):
    stated.happened(happened("open", "k", [*names("c", 8), "b-1", "b-2", *names("x", 9)]))
    first_s = dict.fromkeys(names("c", 10), 10.0) | {"c-50": 500.0}
    told = found(stated, 100.0, groups["c"], first_s)
    assert told == {"clusters": 1, "recall": 0.8, "precision": 0.8, "merged": []}
    assert found(stated, 10.0, groups["c"], first_s)["precision"] is None


def test_a_cluster_of_two_campaigns_is_merged_though_it_should_not_be(stated, groups):
    stated.happened(happened("open", "k", [*names("c", 8), *names("d", 3)]))
    assert found(stated, 100.0, groups["c"], {"c-0": 1.0})["merged"] == ["d"]
    assert found(stated, 100.0, groups["d"], {"d-0": 1.0})["clusters"] == 0


def cluster(name, score, members, state=ClusterState.OPEN):
    return FoundCluster(Cluster(name, state, score), 0, 0, tuple(members))


def test_the_best_score_of_an_account_is_that_of_its_cluster_times_its_weight(stated):
    scores = Scores(stated)
    scores.look([cluster("k", 0.8, [("c-1", 1.0), ("b-1", 0.5)])])
    scores.look([cluster("k", 0.6, [("c-1", 1.0), ("c-2", 1.0)])])
    assert scores.best == {"c-1": 0.8, "b-1": 0.4, "c-2": 0.6}
    counts = scores.histogram(["c-1", "b-1", "b-2"])
    assert (counts[0], counts[40], counts[80], sum(counts)) == (1, 1, 1, 3)


def test_a_cluster_is_judged_at_its_best_score_and_a_dismissed_one_not_at_all(stated):
    scores = Scores(stated)
    scores.look([cluster("k", 0.5, [("b-1", 1.0)]), cluster("m", 0.9, [("b-2", 1.0)], "dismissed")])
    scores.look([cluster("k", 0.9, [("c-1", 1.0), ("c-2", 1.0), ("b-1", 1.0)])])
    scores.look([cluster("k", 0.7, [("b-1", 1.0)])])
    (told, other) = scores.clusters()
    assert told == {"score": 0.9, "accounts": 3, "of": "c", "share": 0.6667}
    assert other["score"] == 0.9


# --- replaced


def test_a_replacement_is_followed_from_the_ban_to_its_first_refusal_by_cluster():
    fresh = SimpleNamespace(persona=SimpleNamespace(account="new"))

    def react(persona, line, judged):
        return Reinforcement((fresh,), retired="old") if line["ts"] == 100.0 else None

    cast = SimpleNamespace(react=react)
    replaced = Replaced([cast, SimpleNamespace(react=None)])
    assert cast.react(None, {"ts": 50.0}, {}) is None
    cast.react(None, {"ts": 100.0}, {})
    replaced.saw(event("c", "new", 1900.0), decision())
    replaced.saw(event("c", "new", 2000.0), decision("throttle"))
    assert replaced.summary()["contained"] == 0
    replaced.saw(event("c", "new", 3700.0), decision("throttle", by_cluster=True))
    replaced.saw(event("c", "new", 3800.0), decision())
    told = {"banned": 1, "started": 1, "contained": 1, "hours": [1.0], "served": [1]}
    assert replaced.summary() == told
