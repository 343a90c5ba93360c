"""Each expectation notices what is otherwise, and says what was wanted and what came."""

from pathlib import Path

import pytest

from proxy.trial.parts import fits, within
from tests.trial.sets import run

# An exchange that is refused, one that is delayed, one that is changed, one that is let through.
REFUSED = "facts: {request.model: m-large, client.country: AQ, account.tier: build}"
DELAYED = "facts: {account.tier: slow}"
CHANGED = "facts: {account.tier: trial}"
PLAIN = "facts: {account.tier: build}"
WARNED = "facts: {account.tier: told}"
SHADOWED = "facts: {account.tier: tried}"
EXEMPT = "facts: {account.tier: trial, account.id: acc-acme}"


def differences(directory: Path, given: str, expect: str) -> list[tuple[str, str, str]]:
    (result,) = run(directory, f"cases:\n  - {{name: One., {given}, expect: {{{expect}}}}}\n")
    return [(d.what, d.wanted, d.came) for d in result.differences]


@pytest.mark.parametrize(
    ("given", "expect"),
    [
        (REFUSED, "verdict: deny, status: 403, only_rules: {embargo: deny}, message: Not *."),
        (
            REFUSED,
            "body: {error: {code: unsupported*, param: null}}, sent: null, durability: before",
        ),
        (REFUSED, "headers: {X-Should-Retry: 'false', retry-after: null}, counted: [per-minute]"),
        (REFUSED, "record: {verdict: deny, rules: [[embargo, '*', deny, '*']], shadow: null}"),
        (DELAYED, "verdict: delay, delay_s: 2, rules: {slow: delay}, modifiers: [], status: 200"),
        (CHANGED, "modifiers: [clamp:40], only_rules: {bound: allow}, by_cluster: false"),
        (PLAIN, "only_rules: {}, no_rules: [embargo, bound], warnings: [], lowered: {}"),
        (WARNED, "warned: {told: deny}, warnings: [The rule told would have denied this *]"),
        (WARNED, "headers: {x-gauger-warning: '* told *'}, only_rules: {}, verdict: allow"),
        (SHADOWED, "shadow: {tried: deny}, reasons: {tried: its match holds}"),
        (EXEMPT, "lowered: {bound: exception}, shadow: {bound: allow}, modifiers: []"),
        (EXEMPT, "lowered: {bound: acme}"),
    ],
)
def test_what_is_so_is_as_expected(tmp_path: Path, given: str, expect: str):
    assert differences(tmp_path, given, expect) == []


@pytest.mark.parametrize(
    ("given", "expect", "difference"),
    [
        (PLAIN, "verdict: deny", ("verdict", "deny", "allow")),
        (PLAIN, "status: 403", ("status", "403", "200")),
        (PLAIN, "rules: {slow: delay}", ("rules.slow", "delay", "nothing")),
        (DELAYED, "rules: {slow: deny}", ("rules.slow", "deny", "delay")),
        (SHADOWED, "rules: {tried: deny}", ("rules.tried", "deny", "deny, in shadow mode")),
        (WARNED, "rules: {told: deny}", ("rules.told", "deny", "deny, in warn mode")),
        (DELAYED, "only_rules: {}", ("only_rules.slow", "nothing", "delay")),
        (CHANGED, "only_rules: {}", ("only_rules.bound", "nothing", "allow")),
        (DELAYED, "no_rules: [slow]", ("no_rules.slow", "nothing", "delay")),
        (SHADOWED, "no_rules: [tried]", ("no_rules.tried", "nothing", "deny, in shadow mode")),
        (PLAIN, "counted: []", ("counted", "[]", "[per-minute]")),
        (PLAIN, "warned: {told: deny}", ("warned.told", "deny", "nothing")),
        (WARNED, "shadow: {told: deny}", ("shadow.told", "deny", "deny, in warn mode")),
        (PLAIN, "lowered: {bound: acme}", ("lowered.bound", "acme", "nothing")),
        (EXEMPT, "lowered: {bound: rollout}", ("lowered.bound", "rollout", "exception acme")),
        (DELAYED, "reasons: {slow: because}", ("reasons.slow", "because", "its match holds")),
        (PLAIN, "reasons: {slow: '*'}", ("reasons.slow", "*", "nothing")),
        (REFUSED, "message: There.", ("message", "There.", "Not there.")),
        (PLAIN, "message: There.", ("message", "There.", "nothing: it was let through")),
        (REFUSED, "headers: {retry-after: 5}", ("headers.retry-after", "5", "nothing")),
        (
            REFUSED,
            "headers: {x-should-retry: null}",
            ("headers.x-should-retry", "nothing", "false"),
        ),
        (REFUSED, "body: {error: {param: a}}", ("body.error.param", "a", "nothing")),
        (PLAIN, "body: {error: {}}", ("body", "{error: {}}", "nothing")),
        (PLAIN, "sent: {model: a}", ("sent", "{model: a}", "nothing")),
        (DELAYED, "delay_s: 1", ("delay_s", "1.0", "2.0")),
        (CHANGED, "modifiers: []", ("modifiers", "[]", "[clamp:40]")),
        (
            WARNED,
            "warnings: []",
            ("warnings", "[]", "[The rule told would have denied this request.]"),
        ),
        (PLAIN, "by_cluster: true", ("by_cluster", "true", "false")),
        (REFUSED, "durability: async", ("durability", "async", "before")),
        (PLAIN, "record: {verdict: deny}", ("record.verdict", "deny", "allow")),
    ],
)
def test_what_is_otherwise_is_told(
    tmp_path: Path, given: str, expect: str, difference: tuple[str, str, str]
):
    assert differences(tmp_path, given, expect) == [difference]


def test_a_rule_that_abstains_does_not_act(tmp_path: Path):
    unknown = "facts: {request.model: m-large}"
    for expect in ("only_rules: {}, no_rules: [embargo]", "only_rules: {embargo: allow}"):
        assert differences(tmp_path, unknown, expect) == []


def test_of_several_limits_of_a_quota_the_strongest_word_counts_and_either_reason(tmp_path: Path):
    counted = "counters: {per-minute: {requests: 3, tokens: 8999}}"
    expect = "rules: {per-minute: throttle}, reasons: {per-minute: 'tokens: 8999 used *'}"
    assert differences(tmp_path, f"facts: {{}}, {counted}", expect) == []


def test_a_count_that_no_exchange_comes_upon_is_told(tmp_path: Path):
    given = "facts: {request.surface: models}, counters: {per-minute: {requests: 3}}"
    assert differences(tmp_path, given, "verdict: allow") == [
        (
            "counters.per-minute.requests",
            "a count that the rule comes upon",
            "the rule counts nothing here",
        )
    ]


def test_differences_of_a_sequence_say_which_exchange_they_are_about(tmp_path: Path):
    cases = """
cases:
  - name: One.
    accounts: [{account: a}]
    exchanges:
      - {key: k-a, path: /v1/models, method: GET, expect: {status: 401}}
      - {key: k-b, path: /v1/models, method: GET}
    expect: {status: 200}
"""
    (result,) = run(tmp_path, cases)
    assert [(d.step, d.wanted, d.came) for d in result.differences] == [
        (0, "401", "200"),
        (1, "200", "401"),
    ]


@pytest.mark.parametrize(
    ("wanted", "came", "found"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, []),
        ({"a": None}, {"b": 2}, []),
        ({"a": None}, {"a": 2}, [("v.a", "nothing", "2")]),
        ({"a": {"b": "x*"}}, {"a": {"b": "xyz"}}, []),
        ({"a": 1}, [1], [("v", "{a: 1}", "[1]")]),
        ([1, "*"], [1, {"any": "thing"}], []),
        ([1, "*"], [1, None], [("v[1]", "*", "nothing")]),
        ([1], [1, 2], [("v", "[1]", "[1, 2]")]),
        (True, 1, [("v", "true", "1")]),
        (1, True, [("v", "1", "true")]),
        (1, 1.0, []),
        ("1", 1, [("v", "1", "1")]),
        ("a?", "ab", []),
        ("a?", "abc", [("v", "a?", "abc")]),
    ],
)
def test_a_part_is_found_in_what_came(wanted: object, came: object, found: list[object]):
    assert list(within("v", wanted, came)) == found


@pytest.mark.parametrize("text", ["a*b", "[?]", "", "a|b", "line\nbreak"])
def test_a_text_fits_itself(text: str):
    assert fits(text, text)
