"""What is wrong with files of cases is told with its place and the likely fix, all at once."""

from pathlib import Path

import pytest

from proxy.policy.problem import ProblemsError
from proxy.trial.cases import load_set
from tests.trial.sets import POLICY, faults, write

AT = "at: 2026-01-01"
ALLOW = "expect: {verdict: allow}"


def one(*keys: str) -> str:
    """A file with one case that has these keys."""
    return f"cases:\n  - {{name: One., {', '.join(keys)}}}\n"


@pytest.mark.parametrize(
    ("cases", "fault"),
    [
        (one("fatcs: {}", ALLOW), '2:18: unknown key "fatcs" (did you mean "facts"?)'),
        (one("facts: {}", AT), "2:5: say what must come of it: expect: {verdict: allow}"),
        (
            one("facts: {}", AT, "expect: {}"),
            "2:53: an expectation that expects nothing: say verdict: allow, for example",
        ),
        (one(AT, ALLOW), "2:5: say what comes: facts: {account.tier: free}, or an exchange"),
        (
            one("facts: {}", ALLOW),
            "2:5: say when: at: 2026-12-01T12:00:00Z (in the case, or under defaults)",
        ),
        (
            one("facts: {}", "at: 2026-01-01T00:00:00", ALLOW),
            '2:33: "2026-01-01T00:00:00" has no time zone: add Z, or write the day alone',
        ),
        (
            one("facts: {client.cuntry: DE}", AT, ALLOW),
            '2:26: there is no fact "client.cuntry" (did you mean "client.country"?)',
        ),
        (
            one("facts: {client.country: de}", AT, ALLOW),
            '2:42: "de" is not a country code (ISO 3166, two capitals) (did you mean "DE"?)',
        ),
        (
            one("facts: {time.now: 1}", AT, ALLOW),
            "2:26: time.now is not given as a fact: the clock is set with at: 2026-12-01T12:00:00Z",
        ),
        (
            one("facts: {quota.used_share: 1.0}", AT, ALLOW),
            "2:26: quota.used_share is not given as a fact: "
            "it follows from the counts: give counters: {RULE: {requests: 30}}",
        ),
        (
            one("facts: {account.tier: 7}", AT, ALLOW),
            "2:40: account.tier is a text (put it in quotes if it looks like a number)",
        ),
        (one("facts: {request.stream: 1}", AT, ALLOW), "2:42: request.stream is true or false"),
        (
            one("facts: {request.choices: true}", AT, ALLOW),
            "2:43: request.choices is a whole number",
        ),
        (
            one("facts: {account.id: null}", AT, ALLOW),
            "2:38: account.id is always known: give a value, or leave it out",
        ),
        (
            one("facts: {client.address: here}", AT, ALLOW),
            '2:42: "here" is not an address (write 203.0.113.7)',
        ),
        (
            one("facts: {cluster.score: 2}", AT, ALLOW),
            "2:41: cluster.score is a number from 0 to 1",
        ),
        (
            one("facts: {account.owners: [{share: 2, country: SG}]}", AT, ALLOW),
            "2:42: account.owners: an owner is not written as SHARE:COUNTRY",
        ),
        (
            one("facts: {}", "template_accounts: {1h: 3}", AT, ALLOW),
            "2:48: no fingerprint rule asks for 1h (windows that rules ask for: 10m)",
        ),
        (
            one("facts: {}", "cluster: {scor: 1}", AT, ALLOW),
            '2:39: there is no fact "cluster.scor" (did you mean "cluster.score"?)',
        ),
        (
            one("for_each: {client.country: []}", AT, ALLOW),
            "2:45: an empty list: the case would never be run",
        ),
        (
            one("for_each: {client.country: [AQ, aq]}", AT, ALLOW),
            '2:50: "aq" is not a country code (ISO 3166, two capitals) (did you mean "AQ"?)',
        ),
        (
            one("facts: {}", "counters: {per-minut: {requests: 1}}", AT, ALLOW),
            '2:40: there is no quota "per-minut" in this set (did you mean "per-minute"?)',
        ),
        (
            one("facts: {}", "counters: {embargo: {requests: 1}}", AT, ALLOW),
            '2:40: "embargo" is no quota: it counts nothing',
        ),
        (
            one("facts: {}", "counters: {per-minute: {input_tokens: 1}}", AT, ALLOW),
            '2:53: "per-minute" does not limit input_tokens (it limits requests, tokens)',
        ),
        (
            one("facts: {}", "counters: {per-minute: {requests: 1.5}}", AT, ALLOW),
            "2:63: requests are whole: 1.5 cannot have been counted",
        ),
        (
            one("facts: {}", "counters: {per-minute: {requests: -1}}", AT, ALLOW),
            "2:63: -1 is not between 0 and 1,000,000,000,000,000",
        ),
        (
            one("facts: {}", "counters: {per-minute: {requests: true}}", AT, ALLOW),
            "2:63: write a number: what was counted before",
        ),
        (
            one("facts: {account.limits: {per-minute: {request: 5}}}", AT, ALLOW),
            '2:42: limits: "per-minute" has the unknown unit "request" (did you mean "requests"?); '
            "use one of: requests, tokens, input_tokens, output_tokens, cached_tokens, "
            "reasoning_tokens, cost, bytes, concurrent",
        ),
        (
            one("facts: {account.limits: {per-minute: 5}}", AT, ALLOW),
            "2:42: account.limits is amounts by rule and unit: {free-day: {requests: 500}}",
        ),
        (
            one("facts: {}", "disarmed: [embargo]", AT, ALLOW),
            '2:40: "embargo" is a legal rule: nothing disarms it',
        ),
        (
            one("facts: {}", "disarmed: [sloww]", AT, ALLOW),
            '2:40: there is no rule "sloww" in this set (did you mean "slow"?)',
        ),
        (
            one("facts: {}", AT, "expect: {rules: {embarg: deny}}"),
            '2:62: there is no rule "embarg" in this set (did you mean "embargo"?)',
        ),
        (
            one("facts: {}", AT, "expect: {counted: [embargo]}"),
            '2:64: there is no quota "embargo" in this set',
        ),
        (
            one("facts: {}", AT, "expect: {lowered: {bound: acne}}"),
            '2:71: "acne" lowers nothing (did you mean "acme"?): say exception, rollout, disarmed',
        ),
        (
            one("facts: {}", AT, "expect: {rules: {slow: delay}, only_rules: {}}"),
            "2:54: only_rules says it all: remove rules",
        ),
        (
            one("facts: {}", AT, "expect: {modifiers: [clamp]}"),
            '2:66: "clamp" is not a modifier (strip:logprobs, strip:reasoning, reroute:MODEL, '
            "clamp:TOKENS, cut:TOKENS)",
        ),
        (
            one("facts: {}", AT, "expect: {headers: {retry-after: [1]}}"),
            "2:77: a header field is a text, a number, or null",
        ),
        (
            one("facts: {}", "accounts: []", AT, ALLOW),
            "2:29: accounts are looked up for whole exchanges only: give the facts themselves",
        ),
        (
            one("exchange: {path: /v1/models}", "facts: {}", AT, ALLOW),
            "2:48: give facts or whole exchanges, not both",
        ),
        (
            one("exchange: {path: /v1/models}", "exchanges: [{path: /v1/models}]", AT, ALLOW),
            "2:48: give exchange or exchanges, not both",
        ),
        (
            one("exchange: {}", AT, ALLOW),
            "2:28: say what is asked: path: /v1/chat/completions",
        ),
        (
            one("exchange: {path: /v1/models, headers: 7}", AT, ALLOW),
            "2:56: headers are a mapping ({User-Agent: curl}) or a list ([[User-Agent, curl]])",
        ),
        (
            one("exchange: {path: /v1/models, client_ip: here}", AT, ALLOW),
            "2:58: this is not an address (write 203.0.113.7)",
        ),
        (
            one("exchange: {path: /v1/models, body: 1, body_text: x}", AT, ALLOW),
            "2:56: give body or body_text, not both",
        ),
        (
            one("exchange: {path: /v1/models, after: 1s}", AT, ALLOW),
            "2:47: no exchange comes before this one: remove the key",
        ),
        (
            one("exchange: {path: /v1/models, expect: {status: 200}}", AT, ALLOW),
            "2:47: expect stands here and in the case itself: leave one of them",
        ),
        (
            one("exchange: {path: /v1/models}", "accounts: [{account: a, tire: b}]", AT, ALLOW),
            '2:72: unknown key "tire" (did you mean "tier"?)',
        ),
        (
            one(
                "exchange: {path: /v1/models}", "accounts: [{account: a, status: gone}]", AT, ALLOW
            ),
            '2:59: status: unknown value "gone"; use one of: active, suspended, closed',
        ),
        (
            one(
                "exchange: {path: /v1/models}",
                "accounts: [{account: a, key: k}, {account: b, key: k}]",
                AT,
                ALLOW,
            ),
            "2:58: b has a key of a: each key has one owner",
        ),
        (
            one("exchange: {path: /v1/models}", "places: {nowhere: {country: DE}}", AT, ALLOW),
            '2:57: "nowhere" is not an address or network (write "203.0.113.7")',
        ),
        (
            one("exchange: {path: /v1/models}", "anonymizers: {AS1: tpr}", AT, ALLOW),
            '2:67: unknown kind "tpr"; use one of: vpn, tor, hosting, proxy, residential_proxy',
        ),
        (
            "defaults: {facts: {}, exchange: {path: /v1/models}}\n" + one(AT, ALLOW),
            "3:5: defaults has facts and an exchange: say facts: {} or exchange: {}",
        ),
        (
            "defaults: {exchange: {expect: {status: 200}}}\n" + one("facts: {}", AT, ALLOW),
            "1:23: each case says itself what it expects",
        ),
        ("cases: []\n", "1:8: an empty list: write cases"),
        ("", " the file is empty: write cases"),
    ],
)
def test_a_fault_is_told_at_its_place_with_the_likely_fix(tmp_path: Path, cases: str, fault: str):
    assert faults(tmp_path, cases) == [f"tests/cases.yaml:{fault}"]


def test_exchanges_of_a_case_go_forward_in_time(tmp_path: Path):
    exchange = "path: /v1/models, method: GET, ts:"
    cases = one(f"exchanges: [{{{exchange} 20}}, {{{exchange} 10}}]", ALLOW)
    assert faults(tmp_path, cases) == [
        "tests/cases.yaml:2:107: this is before the exchange above it"
    ]


def test_two_cases_of_one_name_are_told_apart(tmp_path: Path):
    cases = f"cases:\n  - {{name: A., facts: {{}}, {AT}, {ALLOW}}}\n"
    fault = "tests/cases.yaml:3:12: the case on line 2 has this name: say how they differ"
    assert faults(tmp_path, cases + cases.partition("\n")[2]) == [fault]


def test_a_table_of_values_makes_a_thousand_cases_at_most(tmp_path: Path):
    values = f"[{', '.join(map(str, range(1, 35)))}]"
    keys = f"for_each: {{request.choices: {values}, request.max_tokens: {values}}}"
    assert faults(tmp_path, one(keys, AT, ALLOW)) == [
        "tests/cases.yaml:2:28: this makes 1156 cases; at most 1000"
    ]


def test_faults_of_policies_and_of_cases_are_told_together(tmp_path: Path):
    policy = POLICY.replace("mode: shadow", "mode: shade")
    said = faults(tmp_path, "cases: 7\n", policy)
    assert [line.partition(":")[0] for line in said] == ["policy.yaml", "tests/cases.yaml"]


def test_where_there_are_no_cases_that_is_said(tmp_path: Path):
    (tmp_path / "policy.yaml").write_text(POLICY)
    with pytest.raises(ProblemsError, match="tests: no such directory, so there is no case"):
        load_set(tmp_path)
    (tmp_path / "tests").mkdir()
    with pytest.raises(ProblemsError, match=r"tests: no \.yaml file here, so there is no case"):
        load_set(tmp_path)


def test_cases_are_not_taken_for_policies(tmp_path: Path):
    policy, cases = load_set(write(tmp_path, one("facts: {}", AT, ALLOW)))
    assert [Path(file).name for file in policy.files] == ["policy.yaml"]
    assert [case.name for case in cases] == ["One."]
