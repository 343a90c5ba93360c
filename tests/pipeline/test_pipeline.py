import json

import msgspec
import pytest

from proxy.audit.format import Chain
from proxy.model.batch import BatchUsage, UsedPart
from proxy.model.decision import Refusal
from proxy.model.facts import CATALOGUE, FactType
from proxy.model.sighting import Sighting
from proxy.model.usage import Outcome, Usage
from proxy.model.verdict import RefusalKind, Verdict

S = 1_000_000_000
NOON_NS = 1_776_816_000 * S
SECRETS = ("sk-one", "acc-1", "org-1", "k-acc-1", "203.0.113.7", "the launch code is 0000")


def bearer(secret: str):
    return (("Authorization", f"Bearer {secret}"),)


def chat(text: str, **more: object):
    return {"model": "m-small", "messages": [{"role": "user", "content": text}], **more}


def test_a_known_caller_is_allowed_and_pays_from_his_own_quota(desk):
    table = desk()
    assert [table.send().verdict for _ in range(4)] == [Verdict.ALLOW] * 3 + [Verdict.THROTTLE]
    assert table.send(headers=bearer("sk-two")).verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ((), RefusalKind.AUTHENTICATION),
        (bearer("sk-nobody"), RefusalKind.AUTHENTICATION),
        (bearer("sk-later"), RefusalKind.AUTHENTICATION),
        (bearer("sk-suspended"), RefusalKind.PERMISSION),
        ((*bearer("sk-one"), ("x-api-key", "sk-two")), RefusalKind.BAD_REQUEST),
    ],
)
def test_a_caller_who_cannot_be_identified_is_refused_and_charged_nothing(desk, headers, kind):
    table = desk()
    decision = table.send(headers=headers)
    assert decision.verdict is Verdict.DENY
    assert decision.refusal.kind is kind
    assert table.weighed.plan.charges == ()


def test_an_account_exists_from_the_moment_it_was_created(desk):
    decision = desk().send(headers=bearer("sk-later"), at_ns=NOON_NS + 60 * S)
    assert decision.verdict is Verdict.ALLOW


def test_a_path_that_no_surface_claims_is_refused_unless_it_is_opened(desk):
    refused = desk().send(path="/v1/secret")
    assert refused.refusal.kind is RefusalKind.NOT_FOUND
    assert refused.spoke[0].rule == "gauger.surface"
    opened = desk(open_paths=["/v1/sec*"])
    assert opened.send(path="/v1/secret").verdict is Verdict.ALLOW
    assert opened.weighed.surface.name == "open"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/own/../chat/completions",
        "/v1/own/%2e%2e/chat/completions",
        "/v1/own/..%2fchat/completions",
        "/v1//chat/completions",
        "/v1/chat%2Fcompletions",
        "/v1/./chat/completions",
        "/v1/chat/completions/",
        "/v1/own\\..\\chat",
        "/v1/own;x/a",
        "/v1/own/%252e%252e/chat/completions",
    ],
)
def test_an_opened_path_never_leads_to_a_surface_behind_it(desk, path):
    decision = desk(open_paths=["/v1/*"]).send(path=path)
    assert decision.refusal.kind is RefusalKind.NOT_FOUND


@pytest.mark.parametrize("path", ["/v1/own", "/v1/own/", "/v1/own/a.b%20c/~x"])
def test_plain_paths_are_opened(desk, path):
    assert desk(open_paths=["/v1/*"]).send(path=path).verdict is Verdict.ALLOW


TIERED = """
quotas:
  - id: free
    match: {tiers: [free]}
    mode: enforce
    limit: {requests: 3, tokens: 9000}
    window: 1m
"""


def test_an_empty_tier_is_a_missing_one(desk):
    table = desk(TIERED)
    table.pipeline.directory.add(
        {"account": "acc-blank", "tier": "", "keys": [{"id": "k-b", "sha256": "0" * 64}]}
    )
    table.send(headers=(), named_key="k-b")
    assert len(table.weighed.plan.charges) == 2


@pytest.mark.parametrize(
    ("code", "verdict"),
    [("CU", Verdict.DENY), ("SG", Verdict.ALLOW), ("EU", Verdict.DENY), ("ZZ", Verdict.DENY)],
)
def test_what_a_database_says_of_places_that_are_no_country_is_an_unknown_place(
    desk, code, verdict
):
    table = desk(
        "geography:\n  - {id: embargo, mode: enforce, deny_countries: [CU], on_missing: apply}\n"
    )
    table.pipeline.places = Somewhere(code)
    assert table.send().verdict is verdict


class Somewhere:
    """Places that have every address in one country."""

    def __init__(self, code: str) -> None:
        self.code = code

    def country(self, _: str) -> str:
        return self.code

    def asn(self, _: str) -> None:
        return None


def test_an_unknown_path_with_a_wrong_key_tells_only_that_the_path_is_unknown(desk):
    decision = desk().send(path="/nowhere", headers=bearer("sk-nobody"))
    assert decision.refusal.kind is RefusalKind.NOT_FOUND


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b'{"model": 5}'])
def test_a_body_that_cannot_be_read_is_refused_with_400(desk, body):
    decision = desk().send(body=body)
    assert decision.refusal.kind is RefusalKind.BAD_REQUEST
    assert decision.refusal.should_retry is False


def test_what_the_edge_found_wrong_is_the_refusal(desk):
    problem = Refusal(RefusalKind.TOO_LARGE, "too large")
    assert desk().send(problem=problem).refusal is problem


def test_a_template_shared_by_accounts_is_seen_at_the_next_step_and_not_before(desk):
    table = desk()
    prompt = "Please grade the following essay number {} against the rubric and explain each point."
    first = table.send(body=chat(prompt.format(1)))
    second = table.send(body=chat(prompt.format(22)), headers=bearer("sk-two"))
    later = table.send(body=chat(prompt.format(333)), at_ns=NOON_NS + 6 * S)
    other = table.send(body=chat("Where is the nearest library in my town?"), at_ns=NOON_NS + 6 * S)
    assert [d.verdict for d in (first, second, later, other)] == [
        Verdict.ALLOW,
        Verdict.ALLOW,
        Verdict.THROTTLE,
        Verdict.ALLOW,
    ]
    assert later.by_cluster
    assert later.index > first.index


def test_settling_gives_back_what_was_not_used(desk):
    table = desk()
    table.send(body=chat("hello there my friend", max_tokens=8500))
    held = table.readings
    outcome = Outcome(200, True, Usage(input_tokens=10, output_tokens=20))
    corrections = table.pipeline.settle(table.weighed, held, outcome)
    table.store.correct(table.weighed.plan, corrections)
    again = table.send(body=chat("hello there my friend", max_tokens=8500))
    assert again.verdict is Verdict.ALLOW
    assert table.readings.readings[1].before == 30


def test_fetching_a_stored_answer_is_not_charged_for_the_tokens_it_reports(desk):
    table = desk()
    table.send(method="GET", path="/v1/responses/resp_1", body=None)
    outcome = Outcome(200, True, Usage(input_tokens=500, output_tokens=500))
    assert table.pipeline.settle(table.weighed, table.readings, outcome) == ()


def test_a_refused_exchange_settles_to_nothing(desk):
    table = desk()
    for _ in range(4):
        table.send()
    assert table.pipeline.settle(table.weighed, table.readings, Outcome(0, False, None)) == ()


def records_of(table) -> list[str]:
    decision = table.send(body=chat("the launch code is 0000", user="bob"))
    outcome = Outcome(200, True, Usage(10, 0, 0, 5, 0))
    corrections = table.pipeline.settle(table.weighed, table.readings, outcome)
    made = [
        table.pipeline.decision_record(table.weighed, table.readings, decision),
        table.pipeline.completion_record(table.weighed, outcome, corrections, NOON_NS + S),
    ]
    return [msgspec.json.encode(record.fields).decode() for record in made]


def test_records_hold_pseudonyms_and_never_a_key_an_address_or_a_prompt(desk):
    decision, completion = records_of(desk())
    for secret in SECRETS:
        assert secret not in decision
        assert secret not in completion


def test_the_record_of_a_refused_caller_holds_no_raw_address_either(desk):
    table = desk()
    decision = table.send(headers=bearer("sk-nobody"))
    record = table.pipeline.decision_record(table.weighed, table.readings, decision)
    text = msgspec.json.encode(record.fields).decode()
    assert "203.0.113.7" not in text
    assert "sk-nobody" not in text
    assert record.fields["refusal"] == "authentication"


def test_records_say_what_was_read_and_what_was_charged(desk):
    decision, completion = map(json.loads, records_of(desk()))
    assert decision["verdict"] == "allow"
    assert decision["charges"][0] == ["per-minute", "requests", 1, 3, 60, 0, "enforce"]
    assert decision["taken"] is True
    assert decision["facts"]["request.model"] == "m-small"
    assert completion["usage"]["output"] == 5
    assert completion["duration_ms"] == 1000


def test_the_lines_of_an_ordinary_exchange_stay_short(desk):
    table = desk()
    decision = table.send(body=chat("the launch code is 0000", max_tokens=1024))
    outcome = Outcome(200, True, Usage(143, 0, 0, 812, 0))
    corrections = table.pipeline.settle(table.weighed, table.readings, outcome)
    chain = Chain(seq=1_000_000)
    decided = chain.line(table.pipeline.decision_record(table.weighed, table.readings, decision))
    ended = chain.line(
        table.pipeline.completion_record(table.weighed, outcome, corrections, NOON_NS + S)
    )
    assert len(decided) < 850
    assert len(ended) < 450


@pytest.mark.parametrize(
    ("ja4", "verdict"),
    [("t13d1516h2_8daaf6152771_aa", Verdict.DENY), ("t13d9_bb_cc", Verdict.ALLOW)],
)
def test_a_rule_may_name_the_tls_client_that_a_trusted_terminator_saw(desk, ja4, verdict):
    rule = """
geography:
  - {id: r, mode: enforce, match: {ja4: ["*_8daaf6152771_*"]}, allow_countries: [SG]}
"""
    table = desk(rule)
    decision = table.send(ja4=ja4)
    record = table.pipeline.decision_record(table.weighed, table.readings, decision)
    assert decision.verdict is verdict
    assert record.fields["facts"]["client.ja4"] == ja4


def test_every_fact_is_in_the_catalogue_and_of_its_type(desk):
    kinds = {
        FactType.STRING: str,
        FactType.INT: int,
        FactType.BOOL: bool,
        FactType.STRINGS: tuple,
        FactType.COUNTS: dict,
        FactType.TIME: int,
    }
    table = desk()
    table.send(
        body=chat("Please tell me how tall the highest lighthouse is", max_tokens=5), ja4="t"
    )
    facts = table.weighed.facts
    assert {"request.max_tokens", "account.tier", "client.ja4", "fingerprint.template"} <= set(
        facts
    )
    for name, value in facts.items():
        assert type(value) is kinds[CATALOGUE[name].type], name


def test_a_record_holds_every_fact_that_a_rule_of_the_set_reads(desk):
    reading = """
access:
  - {id: big, mode: shadow, match: request.body_bytes > 10, then: deny}
"""

    def recorded(*policy: str):
        table = desk(*policy)
        decision = table.send()
        record = table.pipeline.decision_record(table.weighed, table.readings, decision)
        return record.fields["facts"], table.weighed.facts

    facts, known = recorded(reading)
    assert facts["request.body_bytes"] == known["request.body_bytes"]
    assert "request.body_bytes" not in recorded()[0]


def test_a_throttle_by_quota_stands_in_the_charges_and_not_twice(desk):
    table = desk()
    for _ in range(4):
        decision = table.send()
    record = table.pipeline.decision_record(table.weighed, table.readings, decision)
    assert record.fields["rules"] == [["per-minute", "quota", "throttle"]]
    assert record.fields["charges"][0] == ["per-minute", "requests", 1, 3, 60, 3, "enforce"]
    assert record.fields["taken"] is False


def test_the_same_account_has_the_same_pseudonym_in_every_record_and_no_other_has_it(desk):
    table = desk()

    def account(secret: str):
        decision = table.send(headers=bearer(secret))
        record = table.pipeline.decision_record(table.weighed, table.readings, decision)
        return record.fields["account"]

    assert account("sk-one") == account("sk-one") != account("sk-two")


class Watching:
    """A detector that keeps what it is shown."""

    def __init__(self) -> None:
        self.seen: list[Sighting] = []

    def observe(self, sighting: Sighting) -> None:
        self.seen.append(sighting)


def test_the_detector_is_told_whether_an_exchange_was_served(desk):
    table = desk()
    weighed = []
    for _ in range(4):
        decision = table.send(body=chat("Grade the following essay against the rubric, please."))
        weighed.append((table.weighed, decision))
    table.pipeline.detector = Watching()
    for position, (one, decision) in enumerate(weighed):
        table.pipeline.observe(one, decision, position)
    seen = table.pipeline.detector.seen
    assert [sighting.served for sighting in seen] == [True, True, True, False]
    assert {sighting.account for sighting in seen} == {"acc-1"}


def test_a_surface_that_writes_nothing_reserves_no_output(desk):
    table = desk()
    table.send(path="/v1/embeddings", body={"model": "m-embed", "input": "word " * 80})
    assert [charge.amount for charge in table.weighed.plan.charges] == [1, 88]


def test_the_models_of_a_batch_are_unknown_and_a_list_concerns_none(desk):
    table = desk()
    table.send(path="/v1/batches", body={"input_file_id": "file-1"})
    assert "request.model" not in table.weighed.facts
    table.send(path="/v1/batches", method="GET", body=None)
    assert table.weighed.facts["request.model"] == ""


def test_records_say_why_a_rule_refused_and_which_charges_bind(desk):
    table = desk(
        "geography:\n  - {id: embargo, mode: enforce, deny_countries: [CU]}\n"
        "quotas:\n  - {id: watched, mode: shadow, limit: {requests: 5}, window: 1m}\n"
    )
    decision = table.send()
    record = table.pipeline.decision_record(table.weighed, table.readings, decision)
    assert record.fields["rules"] == [
        ["embargo", "geography", "deny", "client.country is not known; on_missing: apply"]
    ]
    assert record.fields["charges"] == [["watched", "requests", 1, 5, 60, 0, "shadow"]]
    assert record.fields["taken"] is False


def test_a_refused_caller_is_recorded_by_the_same_pseudonym_of_his_address(desk):
    table = desk()

    def address(secret: str):
        decision = table.send(headers=bearer(secret))
        record = table.pipeline.decision_record(table.weighed, table.readings, decision)
        return record.fields["address"]

    assert address("sk-nobody") == address("sk-one")


PRICED = """
quotas:
  - {id: budget, mode: enforce, limit: {cost: 100}, window: lifetime}
prices:
  - {models: [m-small], input: 1, output: 2}
  - {models: [m-large], input: 10, output: 20}
"""


@pytest.mark.parametrize(("model", "cost"), [("m-small-2026-01-01", 5), ("m-large", 50)])
def test_a_batch_is_settled_by_the_price_of_what_answered_or_else_of_what_was_asked(
    desk, model, cost
):
    table = desk(PRICED)
    table.send(body=chat("hi", max_tokens=100))
    (reserved,) = [charge.amount for charge in table.weighed.plan.charges]
    used = BatchUsage((UsedPart(model, 1, Usage(input_tokens=1, output_tokens=2)),))
    (said,) = table.pipeline.settle_batch(table.weighed.plan, table.readings, used)
    assert reserved + said.delta == cost
