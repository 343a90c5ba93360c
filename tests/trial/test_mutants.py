"""Rules are loosened and widened one at a time, and cases notice it or do not."""

from pathlib import Path

import pytest

from proxy.policy.load import compile_texts
from proxy.policy.rules import PolicySet
from proxy.trial.compare_case import compared
from proxy.trial.guard import attempts, noticed, unexercised
from proxy.trial.mutate import mutants
from proxy.trial.run_cases import Trial, Worlds
from tests.trial.sets import DEFAULTS, read

QUOTA = "quotas: [{id: q, mode: enforce, limit: {requests: 3, tokens: 9000}, window: 1m%s}]"
ACCESS = "access: [{id: a, mode: %s%s}]"


def compiled(text: str) -> PolicySet:
    return compile_texts([("p.yaml", text.encode())])


def done(text: str) -> list[str]:
    """What is done to the rules of a set."""
    return [f"{m.rule}: {m.what} {m.of}".strip() for m in mutants(compiled(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            QUOTA % "",
            [
                "q: it is in shadow",
                "q: its limit of requests is 6",
                "q: its limit of tokens is 18000",
            ],
        ),
        (
            QUOTA % ", on_unavailable: deny, match: {tiers: [free]}, on_missing: apply",
            [
                "q: it is in shadow",
                "q: its limit of requests is 6",
                "q: its limit of tokens is 18000",
                "q: on_missing is abstain",
                "q: on_unavailable is allow",
                "q: without tiers: [free]",
            ],
        ),
        (
            "quotas: [{id: q, mode: enforce, limit: {requests: 60}, window: 1m, algorithm: gcra, "
            "burst: 5}]",
            [
                "q: it is in shadow",
                "q: its burst of requests is 10",
                "q: its limit of requests is 120",
                "q: it counts in fixed windows",
            ],
        ),
        (
            "quotas: [{id: q, mode: enforce, per: [account, model], limit: {tokens: 9, "
            "concurrent: 2}, window: 1m, algorithm: rolling, clamp: 9, hard: true}]",
            [
                "q: it is in shadow",
                "q: its limit of tokens is 18",
                "q: its limit of concurrent is 4",
                "q: it counts in fixed windows",
                "q: it does not clamp",
                "q: it clamps down to 4",
                "q: it is not hard",
                "q: it counts each account for itself",
            ],
        ),
        (
            "prices: [{models: [m-1, m-2], input: 1}, {models: ['*'], not_before: 2027-01-01, "
            "input: 2}]\n"
            "quotas: [{id: q, mode: enforce, per: account, limit: {cost: 2.5, concurrent: 3}, "
            "window: month, billing_day: 5, time_zone: Europe/Berlin}]",
            [
                "q: it is in shadow",
                "q: its limit of cost is 5.00",
                "q: its limit of concurrent is 6",
                "q: its time zone is UTC",
                "q: its billing day is 1",
                "prices: m-1, m-2 costs half",
                "prices: * from 2027-01-01 costs half",
            ],
        ),
        (
            "prices: [{models: [m-1], input: 1}]\n" + QUOTA % ", per: {cel: account.tier}",
            [
                "q: it is in shadow",
                "q: its limit of requests is 6",
                "q: its limit of tokens is 18000",
                "q: it counts each account for itself",
            ],
        ),
        (
            "quotas: [{id: q, mode: enforce, per: cluster, limit: {requests: {ordinary: 0.25, "
            "until_known: 20}}, window: 1d, algorithm: rolling}]",
            [
                "q: it is in shadow",
                "q: its limit of requests is 0.5 times what is ordinary",
                "q: its limit of requests is 40",
                "q: it counts in fixed windows",
                "q: it counts each account for itself",
            ],
        ),
        (
            "geography: [{id: g, mode: enforce, legal: true, deny_countries: [AQ, BV]}]",
            [
                "g: it is in shadow",
                "g: it does not refuse AQ",
                "g: it does not refuse BV",
                "g: on_missing is abstain",
                "g: its record need not be first",
            ],
        ),
        (
            "geography: [{id: g, mode: warn, allow_countries: [DE], on_missing: abstain}]",
            ["g: it is in shadow"],
        ),
        (
            ACCESS % ("shadow", ", then: delay, delay: 3s"),
            ["a: it is not there"],
        ),
        (
            ACCESS % ("enforce", ", then: delay, delay: 3s, modify: {max_tokens: 9}"),
            ["a: it is in shadow", "a: it delays for 1.5 s", "a: its bound is max_tokens: 18"],
        ),
        (
            ACCESS
            % ("enforce", ", modify: {strip: [logprobs, reasoning], reroute: m, cut_after: 5}"),
            [
                "a: it is in shadow",
                "a: it does not strip logprobs",
                "a: it does not strip reasoning",
                "a: it does not reroute",
                "a: its bound is cut_after: 10",
            ],
        ),
        (
            ACCESS % ("enforce", ", modify: {strip: [logprobs]}"),
            ["a: it is in shadow"],
        ),
        (
            "fingerprints: [{id: f, mode: enforce, template: {accounts: 3, within: 10m}}]",
            ["f: it is in shadow", "f: it speaks from 6 accounts"],
        ),
        (
            ACCESS % ("enforce", ", then: deny, on_error: apply, match: 'has(account.age_s)'"),
            ["a: it is in shadow", "a: on_error is abstain", "a: without has(account.age_s)"],
        ),
    ],
)
def test_each_rule_is_changed_in_the_ways_that_its_kind_has(text: str, expected: list[str]):
    assert done(text) == expected


def test_a_guard_is_a_condition_only_where_the_rule_would_act_without_it():
    match = ", then: deny, match: 'has(account.age_s) && account.age_s < 9'"
    guard = "a: without has(account.age_s)"
    assert guard in done(ACCESS % ("enforce", match))
    assert guard not in done(ACCESS % ("enforce", match + ", on_missing: abstain"))


def test_an_exception_is_changed_rule_by_rule_and_widened():
    exception = (
        "exceptions: [{id: e, rules: [q, a], accounts: [acc-1], granted_by: j, reason: r, "
        "until: 2030-01-01}]\n"
    )
    said = done(exception + QUOTA % "" + "\n" + ACCESS % ("enforce", ", then: deny"))
    assert said[:3] == [
        "e: it does not lower a",
        "e: it does not lower q",
        "e: without accounts: [acc-1]",
    ]


def test_the_record_of_a_legal_rule_comes_first_anyway_where_another_law_governs_all():
    laws = (
        "geography:\n"
        "  - {id: g, mode: enforce, legal: true, deny_countries: [AQ]}\n"
        "  - {id: h, mode: enforce, legal: true, deny_countries: [BV], match: {models: [m]}}\n"
    )
    assert "g: its record need not be first" in done(laws)
    assert "h: its record need not be first" not in done(laws)


def test_a_changed_set_differs_in_one_rule_and_keeps_its_name():
    policy = compiled(QUOTA % "" + "\n" + ACCESS % ("enforce", ", then: deny"))
    for mutant in mutants(policy):
        changed = mutant.make()
        others = [(a, b) for a, b in zip(policy.rules, changed.rules, strict=True) if a != b]
        assert [a.id for a, _ in others] == [mutant.rule]
        assert changed.digest == policy.digest


def guarded(directory: Path, cases: str, policy_text: str) -> tuple[list[str], list[str]]:
    """Rules that no case exercises, and changes that none notices."""
    policy, held = read(directory, DEFAULTS + cases, policy_text)
    worlds = Worlds()
    results = [compared(Trial(policy, worlds).run(case)) for case in held]
    assert all(result.passed for result in results)
    tries = attempts(policy, results)
    unnoticed = [f"{a.mutant.rule}: {a.mutant.what}" for a in tries if not noticed(a, worlds)]
    return list(unexercised(policy, results)), unnoticed


RULES = QUOTA % "" + "\n" + ACCESS % ("enforce", ", then: deny, match: {tiers: [bad]}")
SPENT = "{name: Spent., facts: {account.tier: good}, counters: {q: {requests: 3}}, "


def test_a_rule_that_speaks_in_no_case_is_not_exercised(tmp_path: Path):
    cases = f"cases: [{SPENT}expect: {{verdict: throttle}}}}]\n"
    rules, unnoticed = guarded(tmp_path, cases, RULES)
    assert rules == ["a"]
    assert unnoticed == ["a: it is in shadow", "q: its limit of tokens is 18000"]


def test_a_case_that_expects_too_little_notices_nothing(tmp_path: Path):
    cases = f"cases: [{SPENT}expect: {{status: 429}}}}]\n"
    _, unnoticed = guarded(tmp_path, cases, RULES)
    assert "q: it is in shadow" not in unnoticed
    lax = cases.replace("status: 429", "delay_s: 0")
    _, unnoticed = guarded(tmp_path, lax, RULES)
    assert "q: it is in shadow" in unnoticed


def test_every_mutant_says_what_case_would_notice_it():
    policy = compiled(RULES)
    assert all(mutant.write for mutant in mutants(policy))
    by_what = {mutant.what: mutant.write for mutant in mutants(policy)}
    assert by_what["its limit of requests is 6"] == "counters: {q: {requests: 3}} and the refusal"
    assert by_what["without tiers: [bad]"] == "another account.tier, and expect: {no_rules: [a]}"
