"""Cases are run as exchanges are: the same facts, the same counts, the same way."""

import hashlib
from pathlib import Path

import pytest

from proxy.trial.case import Case
from proxy.trial.cases import load_set
from proxy.trial.run_cases import Trial
from tests.trial.sets import DEFAULTS, read, run

ROOT = Path(__file__).parents[2]
WHOLE = """
defaults:
  at: 2026-04-22T00:00:15.25Z
  accounts: [{account: acc-1, tier: free, key: sk-one}, {account: acc-2, labels: [a]}]
  places: {"203.0.113.0/24": {country: SG, asn: 64500}, "203.0.113.7": {country: AQ}}
  anonymizers: {AS64500: hosting}
  exchange:
    key: k-acc-1
    path: /v1/chat/completions?beta=true
    client_ip: 203.0.113.9
    headers: {User-Agent: curl, Accept: "*/*"}
    body: {model: m-small, max_tokens: 50, metadata: {a: 1, b: 2}}
"""


def first(directory: Path, cases: str) -> Case:
    """The first case of a file."""
    _, held = read(directory, cases)
    return held[0]


def arrival(directory: Path, exchange: str):
    cases = f"{WHOLE}cases: [{{name: One., exchange: {exchange}, expect: {{status: 200}}}}]\n"
    return first(directory, cases).steps[0].arrival


def test_a_request_is_laid_over_the_defaults_key_by_key(tmp_path: Path):
    changed = "{body: {model: m-large, metadata: {b: 3}}, headers: {accept: null, Accept: null}}"
    sent = arrival(tmp_path, changed)
    assert sent.body == (b'{"model":"m-large","max_tokens":50,"metadata":{"a":1,"b":3}}')
    assert sent.headers == (("User-Agent", "curl"),)
    assert (sent.path, sent.query) == ("/v1/chat/completions", "beta=true")
    assert sent.at_ns == 1_776_816_015_250_000_000


def test_headers_may_be_a_list_as_in_recordings(tmp_path: Path):
    sent = arrival(tmp_path, "{headers: [[X, 1], [x, b]], key: null, tls: {ja4: t13}}")
    assert sent.headers == (("X", "1"), ("x", "b"))
    assert (sent.named_key, sent.ja4) == (None, "t13")


def test_a_bare_key_is_hashed_when_it_is_read(tmp_path: Path):
    case = first(tmp_path, f"{WHOLE}cases: [{{name: One., expect: {{status: 200}}}}]\n")
    one, two = case.world.accounts
    assert hashlib.sha256(b"sk-one").hexdigest() in one.decode()
    assert b"sk-one" not in one
    assert b'"id":"k-acc-2"' in two


def test_an_account_of_a_case_replaces_that_of_the_defaults(tmp_path: Path):
    cases = f"""{WHOLE}
cases:
  - name: One.
    accounts: [{{account: acc-1, tier: trial}}]
    places: {{"203.0.113.9": {{country: BV}}}}
    expect: {{record: {{facts: {{account.tier: trial, client.country: BV, client.asn: null}}}}}}
  - name: Two.
    expect: {{record: {{facts: {{account.tier: free, client.country: SG, client.asn: 64500}}}}}}
"""
    policy, held = read(tmp_path, cases)
    trial = Trial(policy)
    facts = [trial.run(case).said[0].record.fields["facts"] for case in held]
    assert [f["account.tier"] for f in facts] == ["trial", "free"]
    assert [f["client.country"] for f in facts] == ["BV", "SG"]
    assert [f.get("client.anonymizer") for f in facts] == [None, "hosting"]


def test_what_was_counted_before_is_that_of_the_first_exchange_which_the_rule_counts(
    tmp_path: Path,
):
    cases = f"""{WHOLE}
cases:
  - name: One.
    counters: {{per-minute: {{requests: 2}}}}
    exchanges:
      - {{path: /v1/models, method: GET, body: null, expect: {{verdict: allow, counted: []}}}}
      - {{expect: {{verdict: allow}}}}
      - {{expect: {{verdict: throttle}}}}
      - {{key: k-acc-2, expect: {{verdict: allow}}}}
"""
    policy, held = read(tmp_path, cases)
    verdicts = [said.decision.verdict.word for said in Trial(policy).run(held[0]).said]
    assert verdicts == ["allow", "allow", "throttle", "allow"]


def test_cases_leave_nothing_behind_for_the_next_one(tmp_path: Path):
    case = "{name: %s., facts: {}, counters: {per-minute: {requests: 2}}, expect: {verdict: allow}}"
    results = run(tmp_path, f"cases: [{case % 'One'}, {case % 'Two'}]\n")
    assert [result.passed for result in results] == [True, True]


def test_what_follows_from_the_surface_need_not_be_given(tmp_path: Path):
    one = "cases: [{name: One., facts: {request.surface: %s}, expect: {verdict: allow}}]\n"
    cases = DEFAULTS + one
    facts = {
        surface: first(tmp_path, cases % surface).steps[0].facts
        for surface in ("messages", "embeddings", "models", "open")
    }
    assert [f["request.dialect"] for f in facts.values()] == [
        "anthropic",
        "openai",
        "openai",
        "openai",
    ]
    assert [f.get("request.max_tokens") for f in facts.values()] == [None, 0, 0, 0]
    assert [f.get("request.model") for f in facts.values()] == [None, None, "", ""]


def test_facts_that_are_not_known_are_absent(tmp_path: Path):
    cases = """
defaults: {at: 2026-01-01, facts: {account.tier: free, client.country: DE}}
cases: [{name: One., facts: {account.tier: null}, expect: {verdict: allow}}]
"""
    facts = first(tmp_path, cases).steps[0].facts
    assert "account.tier" not in facts
    assert facts["client.country"] == "DE"


DECISIONS, CASES = load_set(ROOT / "tests" / "policies" / "decisions")
WHOLE_CASES = [case for case in CASES if case.steps[0].arrival and len(case.steps) == 1]


@pytest.mark.parametrize("case", WHOLE_CASES, ids=lambda case: case.name)
def test_the_facts_of_a_request_alone_give_the_decision_of_the_request(case: Case):
    trial = Trial(DECISIONS)
    (whole,) = trial.run(case).said
    if whole.weighed.refusal is not None:
        pytest.fail("a case that is refused before any rule has no facts to compare")
    step = case.steps[0]
    known = Case(
        case.name,
        case.place,
        (type(step)(step.at_ns, facts=whole.weighed.facts),),
        counters=case.counters,
        disarmed=case.disarmed,
        store_answers=case.store_answers,
    )
    (alone,) = trial.run(known).said
    assert alone.decision == whole.decision
