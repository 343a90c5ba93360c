"""What has come to its end in a policy set, or soon will."""

from proxy.policy.ending import SOON_NS, endings, utc_text
from proxy.policy.load import compile_texts

POLICY = b"""
exceptions:
  - {id: partner, rules: [limit], accounts: [a], granted_by: Ada, reason: launch, until: 2026-03-01}
  - {id: later, rules: [limit], accounts: [b], granted_by: Ada, reason: launch, until: 2026-06-01}
quotas:
  - {id: limit, mode: enforce, limit: {requests: 1}, window: 1m}
  - {id: spring, mode: enforce, limit: {requests: 1}, window: 1h, expires: 2026-02-20}
"""
DAY_NS = 86_400 * 1_000_000_000
MARCH_NS = 1_772_323_200 * 1_000_000_000  # 2026-03-01


def told(at_ns: int) -> list[str]:
    return list(map(str, endings(compile_texts([("p.yaml", POLICY)]), at_ns)))


def test_an_exception_is_told_from_two_weeks_before_its_end_and_a_rule_from_its_end():
    assert told(MARCH_NS - SOON_NS - 1) == []
    assert told(MARCH_NS - SOON_NS) == ["exception partner ends 2026-03-01T00:00:00Z"]
    assert told(MARCH_NS - 1) == [
        "rule spring ended 2026-02-20T00:00:00Z: renew it or remove it",
        "exception partner ends 2026-03-01T00:00:00Z",
    ]


def test_an_exception_that_has_run_out_is_told_on():
    assert told(MARCH_NS + 30 * DAY_NS)[1:] == [
        "exception partner ended 2026-03-01T00:00:00Z: renew it or remove it"
    ]


def test_an_instant_is_written_to_the_second():
    assert utc_text(MARCH_NS + 1_999_999_999) == "2026-03-01T00:00:01Z"
