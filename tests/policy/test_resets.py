"""Which counters a change of the policy set resets."""

import pytest

from proxy.policy.load import compile_texts
from proxy.policy.resets import counters_reset

BEFORE = """quotas:
  - {id: minute, match: {tiers: [free]}, mode: enforce, limit: {requests: 9}, window: 1m}
  - {id: day, match: {tiers: [free]}, mode: enforce, limit: {tokens: 9}, window: 1d}
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("requests: 9", "requests: 10", ()),
        ("requests: 9}", "requests: 9, tokens: 5}", ()),
        ("window: 1m", "window: 60s", ()),
        ("mode: enforce", "mode: shadow", ()),
        ("window: 1m", "window: 5m", ("minute (its window was 60 s and is 300 s)",)),
        (
            "window: 1m",
            "window: 1m, per: organization",
            ("minute (it counted account and counts organization)",),
        ),
        ("id: minute", "id: min", ("min (it was called minute)",)),
        ("id: minute, match: {tiers: [free]}", "id: min", ()),  # another rule, not a rename
    ],
)
def test_a_quota_counts_from_nothing_where_its_id_subject_or_window_changed(old, new, told):
    assert old in BEFORE
    before, after = (
        compile_texts([("p.yaml", text.encode())]) for text in (BEFORE, BEFORE.replace(old, new))
    )
    assert counters_reset(before, after) == told


def test_a_quota_beside_one_that_stays_is_no_rename_of_it():
    more = (
        BEFORE
        + "  - {id: m, match: {tiers: [free]}, mode: shadow, "
        + ("limit: {requests: 1}, window: 1m}\n")
    )
    before, after = (compile_texts([("p.yaml", text.encode())]) for text in (BEFORE, more))
    assert counters_reset(before, after) == ()
