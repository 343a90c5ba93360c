"""Measures: when a campaign counts as flagged and contained, and who was touched."""

from collections import Counter
from types import SimpleNamespace

import pytest

from bench.campaigns.measures import Group, Observer, contained_from, enough, interval


def event(cast, account, at_s):
    return SimpleNamespace(
        cast=cast, persona=SimpleNamespace(account=account), line={"ts": at_s, "id": "x"}
    )


def decision(verdict="allow", *, by_cluster=False, delay_s=0.0):
    return {"verdict": verdict, "by_cluster": by_cluster, "delay_s": delay_s}


@pytest.fixture
def observer():
    groups = [Group("base", "base", 50), Group("c", "campaign", 100)]
    return Observer(groups, start_s=0.0, hours=48)


def test_a_campaign_is_contained_from_the_hour_after_its_last_good_day():
    served = Counter(dict.fromkeys(range(10), 100)) + Counter({30: 1})
    assert contained_from(served, 48, daily_use=24) == 10


def test_a_campaign_that_is_served_to_the_end_is_never_contained():
    assert contained_from(Counter(dict.fromkeys(range(48), 5)), 48, daily_use=24) is None


def test_a_campaign_that_never_exceeds_one_account_is_contained_from_the_start():
    assert contained_from(Counter(dict.fromkeys(range(48), 1)), 48, daily_use=24) == 0


@pytest.mark.parametrize(("accounts", "needed"), [(1, 1), (35, 3), (250, 5), (25_000, 10)])
def test_two_percent_flag_a_campaign_but_three_to_ten_accounts(accounts, needed):
    assert enough(accounts) == needed


def test_refused_accounts_flag_the_campaign_once_they_are_enough_and_mostly_its_own(observer):
    for number in range(4):
        observer.saw(event("c", "c-9", 5.0), decision())
        observer.saw(event("c", f"c-{number}", 10.0 + number), decision("deny", by_cluster=True))
    at_s, served, by = observer.flagged["c"]
    assert (at_s, served, by) == (12.0, 3, "refusals")


def test_refusals_that_mostly_hit_others_flag_nothing(observer):
    for number in range(5):
        observer.saw(event("base", f"b-{number}", 1.0), decision("deny", by_cluster=True))
    for number in range(4):
        observer.saw(event("c", f"c-{number}", 2.0), decision("deny", by_cluster=True))
    assert "c" not in observer.flagged


def test_a_cluster_that_holds_the_campaign_flags_it(observer):
    for number in range(3):
        observer.saw(event("c", f"c-{number}", 1.0), decision())
    observer.cluster_event(
        {"ts": 60.0, "event": "open", "cluster": "k", "accounts": ["c-0", "c-1"], "into": None}
    )
    assert not observer.flagged
    observer.cluster_event(
        {"ts": 70.0, "event": "grow", "cluster": "k", "accounts": ["c-2"], "into": None}
    )
    assert observer.flagged["c"] == (70.0, 3, "cluster")


def test_merging_clusters_puts_their_members_together(observer):
    for number in range(3):
        observer.saw(event("c", f"c-{number}", 1.0), decision())
    for cluster, accounts in (("a", ["c-0"]), ("b", ["c-1", "c-2"])):
        observer.cluster_event(
            {"ts": 2.0, "event": "open", "cluster": cluster, "accounts": accounts, "into": None}
        )
    observer.cluster_event(
        {"ts": 3.0, "event": "merge", "cluster": "a", "accounts": ["c-0"], "into": "b"}
    )
    assert observer.flagged["c"][0] == 3.0


def test_refusals_by_own_quota_and_by_fingerprint_are_counted_apart(observer):
    observer.saw(event("base", "b", 1.0), decision("throttle"))
    observer.saw(event("base", "b", 2.0), decision("throttle", by_cluster=True))
    observer.saw(event("base", "b", 3.0), decision("step_up", by_cluster=True))
    base = observer.groups["base"]
    assert (base.refused_own, base.refused_fingerprint, base.served) == (1, 2, 0)
    assert list(base.touched) == ["b"]


def test_a_delay_because_of_a_cluster_touches_but_serves(observer):
    observer.saw(event("base", "b", 1.0), decision("delay", by_cluster=True, delay_s=0.5))
    base = observer.groups["base"]
    assert (base.served, base.slowed, len(base.touched)) == (1, 1, 1)


def test_ordinary_daily_use_is_the_99th_percentile_of_days_with_use(observer):
    for account in range(99):
        observer.saw(event("base", f"b-{account}", 1.0), decision())
    for _ in range(500):
        observer.saw(event("base", "heavy", 90_000.0), decision())
    assert observer.ordinary_daily_use() == 1


def test_the_interval_of_no_hits_still_has_an_upper_end():
    low, high = interval(0, 1000)
    assert low == pytest.approx(0.0, abs=1e-9)
    assert 0.003 < high < 0.005
