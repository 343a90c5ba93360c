import pytest

from proxy.policy.compare import compare
from proxy.policy.load import compile_texts

OLD = """
lists:
  near: [DE, FR]
  large: [m-large]
exceptions:
  - id: acme
    rules: [per-minute]
    accounts: [acc-1]
    granted_by: ops
    reason: A test.
    until: 2027-01-01
geography:
  - {id: embargo, mode: shadow, deny_countries: $near}
access:
  - {id: verify, match: {models: $large}, mode: enforce, then: step_up}
  - {id: slow, match: request.stream, mode: warn, then: delay, delay: 60s}
quotas:
  - id: per-minute
    match: {tiers: [free]}
    mode: enforce
    limit: {requests: 600}
    window: 1m
"""


def lines(*changes: tuple[str, str]) -> list[str]:
    new = OLD
    for before, after in changes:
        assert before in new
        new = new.replace(before, after)
    old_set, new_set = (compile_texts([("p.yaml", text.encode())]) for text in (OLD, new))
    difference = compare(old_set, new_set)
    assert bool(difference) is bool(difference.lines())
    return list(difference.lines())


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("requests: 600", "requests: 300", ["quotas per-minute: limit.requests 600 → 300"]),
        (
            "requests: 600",
            "requests: 600, tokens: 9",
            ["quotas per-minute: limit.tokens (none) → 9"],
        ),
        (
            "window: 1m",
            "window: 1h",
            [
                "quotas per-minute: window 1m → 1h",
                "quotas per-minute: counts from nothing, its window was 60 s and is 3600 s",
            ],
        ),
        (
            "window: 1m",
            "window: 1m\n    per: key",
            [
                "quotas per-minute: per account → key",
                "quotas per-minute: counts from nothing, "
                "it counted account and counts key",
            ],
        ),
        ("mode: warn", "mode: enforce", ["access slow: mode warn → enforce"]),
        ("tiers: [free]", "tiers: [free, trial]", ["quotas per-minute: match.tiers added trial"]),
        ("tiers: [free]", "tiers: [x]", ["quotas per-minute: match.tiers added x; removed free"]),
        ("{tiers: [free]}", "{}", ["quotas per-minute: match.tiers [free] → (none)"]),
        (
            "request.stream",
            "request.stream && request.choices > 1",
            ['access slow: match.cel request.stream → "request.stream && request.choices > 1"'],
        ),
        ("[DE, FR]", "[DE, SG]", ["lists near: added SG; removed FR (read by embargo)"]),
        ("2027-01-01", "2028-01-01", ["exceptions acme: until 2027-01-01 → 2028-01-01"]),
        ("id: slow", "id: slower", ["access slow → slower: renamed"]),
        ("then: step_up}", "then: deny, legal: true}", [
            "access verify: then step_up → deny; legal false → true",
        ]),
        ("  - {id: slow, match: request.stream, mode: warn, then: delay, delay: 60s}\n", "", [
            "access slow: removed",
        ]),
        ("access:\n", "access:\n  - {id: new, match: {tiers: [x]}, mode: shadow, then: deny}\n", [
            "access new: added",
        ]),
        ("quotas:", "model_groups: {g: [m-1]}\nquotas:", ["model_groups g: added m-1"]),
        ("quotas:", "prices: [{models: [m], input: 0.5}]\nquotas:", [
            "prices: added models [m], input 0.5, output 0, request 0, image 0, second 0",
        ]),
        # The same in other words is no change.
        ("window: 1m", "window: 60s", []),
        ("delay: 60s", "delay: 1m", []),
        ("match: request.stream", "match: {cel: request.stream}", []),
        ("until: 2027-01-01", "until: 2027-01-01T01:00:00+01:00", []),
        ("mode: enforce\n", "mode: enforce\n    rollout: 100\n    labels: []\n", []),
    ],
)  # fmt: skip
def test_each_change_is_told_in_the_words_of_the_file(before: str, after: str, said: list[str]):
    assert lines((before, after)) == said


def test_a_renamed_quota_is_one_change_and_counts_from_nothing():
    assert lines(("per-minute", "each-minute")) == [
        "exceptions acme: rules added each-minute; removed per-minute",
        "quotas per-minute → each-minute: renamed",
        "quotas each-minute: counts from nothing, it was called per-minute",
    ]


def test_a_rule_that_becomes_another_kind_is_removed_and_added():
    new = OLD.replace("  - {id: embargo, mode: shadow, deny_countries: $near}\n", "").replace(
        "geography:\n", ""
    )
    new = new.replace("access:\n", "access:\n  - {id: embargo, mode: shadow, then: deny}\n")
    old_set, new_set = (compile_texts([("p.yaml", text.encode())]) for text in (OLD, new))
    assert compare(old_set, new_set).lines() == (
        "access embargo: added",
        "geography embargo: removed",
    )


def test_the_order_of_rules_is_part_of_what_they_mean():
    first, second = OLD.split("access:\n")[1].splitlines(keepends=True)[:2]
    assert lines((first + second, second + first)) == ["access: heard in another order"]


def test_a_list_that_is_gone_and_long_values_are_told_shortly():
    values = ", ".join(f"c-{i}" for i in range(9))
    assert lines(("large: [m-large]", f"large: [m-large, {values}]")) == [
        "lists large: added c-0, c-1, c-2, c-3, c-4, c-5 and 3 more (read by verify)"
    ]
    assert lines(("  large: [m-large]\n", ""), ("models: $large", "models: [m-large]")) == [
        "access verify: match.models $large → [m-large]",
        "lists large: removed m-large (read by verify)",
    ]


def test_nothing_changes_between_a_set_and_itself():
    assert lines() == []
