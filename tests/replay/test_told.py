"""Recordings of a live gateway: fingerprints and facts in place of body, headers and address."""

import pytest

from proxy.facts.fingerprints import fingerprints
from proxy.facts.network_traits import Place
from proxy.facts.sketch import sketch
from proxy.model.exchange import Arrival, Asked, Prompt
from proxy.model.trait import SKETCHED, Trait, trait_of
from proxy.pipeline.recorded import by_family
from proxy.replay import Session
from proxy.replay.traffic import TrafficError
from proxy.settings.secrets import REPLAY_KEY
from tests.replay.conftest import NOON, line
from tests.replay.detectors import Together

FACTS = {
    "request.dialect": "openai",
    "request.model": "m-small",
    "request.stream": False,
    "request.max_tokens": 100,
    "request.choices": 1,
    "request.requests": 1,
    "request.body_bytes": 90,
    "client.country": None,
    "client.asn": None,
    "client.anonymizer": None,
    "client.ja4": None,
}
POLICY = """
quotas:
  - id: input
    match: {tiers: [free]}
    mode: enforce
    limit: {input_tokens: 100}
    window: 1h
geography:
  - id: embargo
    match: {models: [m-large]}
    mode: enforce
    deny_countries: [CU]
access:
  - id: networks
    match: {networks: [198.51.100.0/24], models: [m-other]}
    mode: enforce
    then: deny
"""
ESSAY = "Grade the following essay against the rubric, and justify every point that you give."


def tokens_of(text: str) -> dict[str, list[str]]:
    """The fingerprints of a prompt, with its sketches, as a recording has them."""
    prompt = Prompt(opening=text, latest=text, turns=1)
    arrival = Arrival("x", 0, "POST", "/", "", (), None)
    found = fingerprints(arrival, Asked(prompt=prompt), Place(), REPLAY_KEY)
    return by_family((*found, *sketch(prompt, REPLAY_KEY)))


def told(number: int, ts: float, name: str, **more):
    """A line as a gateway records it."""
    kept = {key: value for key, value in line(number, ts, name).items() if key in KEPT}
    fields = {"key": f"k-{name}", "facts": FACTS, "input_tokens_estimate": 40}
    prints = {"key_id": "0a0b0c0d", "tokens": tokens_of(ESSAY)}
    return kept | fields | {"fingerprints": prints} | more


KEPT = {"id", "ts", "method", "path", "response"}


def test_quotas_count_what_the_recording_tells(world):
    with Session(world(POLICY)) as session:
        decided = [session.exchange(told(i, NOON, "a1", response=None)) for i in range(3)]
    assert [one["verdict"] for one in decided] == ["allow", "allow", "throttle"]
    assert {one["account"] for one in decided} == {"a1"}


def test_places_are_judged_by_the_recorded_country(world):
    def at(country: str | None) -> dict:
        return {"facts": FACTS | {"request.model": "m-large", "client.country": country}}

    with Session(world(POLICY)) as session:
        denied = session.exchange(told(1, NOON, "a1", **at("CU")))
        allowed = session.exchange(told(2, NOON, "a2", **at("SG")))
        unknown = session.exchange(told(3, NOON, "a3", **at(None)))
        summary = session.summary.as_dict()
    assert [one["verdict"] for one in (denied, allowed, unknown)] == ["deny", "allow", "deny"]
    assert "client.country" not in summary["facts_lacking"]


def test_shared_templates_are_told_by_fingerprints_alone(world):
    with Session(world()) as session:
        for i in (1, 2, 3):
            session.exchange(told(i, NOON, f"a{i}"))
        session.advance(NOON + 10)
        decided = session.exchange(told(4, NOON + 10, "a4"))
        other = {"fingerprints": {"tokens": tokens_of("What a day, what a lovely day it was here")}}
        spared = session.exchange(told(5, NOON + 10, "a5", **other))
    assert (decided["verdict"], decided["by_cluster"]) == ("throttle", True)
    assert spared["verdict"] == "allow"


def test_the_detector_sees_the_recorded_tokens_and_sketches_apart(world):
    detector = Together()
    with Session(world(), detector=detector) as session:
        session.exchange(told(1, NOON, "a1", turns=4))
        session.exchange(line(2, NOON, "a2", ESSAY))
    (_, first, sketched), (_, second, sketched_here) = detector.observed
    assert sketched == sketched_here
    assert sketched
    assert {trait_of(token) for token in sketched} <= SKETCHED
    assert not {trait_of(token) for token in first.tokens} & SKETCHED
    prompts = [
        {token for token in one.tokens if trait_of(token) in (Trait.TEMPLATE, Trait.EXACT)}
        for one in (first, second)
    ]
    assert prompts[0] == prompts[1]
    assert (first.turns, first.input_tokens) == (4, 40)


def test_what_a_recording_lacks_and_a_rule_asks_for_is_counted(world):
    without = {name: value for name, value in FACTS.items() if name != "client.country"}
    with Session(world(POLICY)) as session:
        session.exchange(told(1, NOON, "a1", facts=without))
        session.exchange(told(2, NOON, "a2"))
        session.exchange(told(3, NOON, "a3", input_tokens_estimate=None))
        session.exchange(line(4, NOON, "a4"))
        summary = session.summary.as_dict()
    # No recording without capture has addresses, which one rule reads.
    assert summary["facts_lacking"] == {
        "client.address": 3,
        "client.country": 1,
        "request.input_tokens": 1,
    }
    assert summary["exchanges_lacking"] == 3


def test_nothing_is_guessed_of_fingerprints_that_were_not_recorded(world):
    with Session(world()) as session:
        decided = session.exchange(told(1, NOON, "a1", fingerprints=None))
        lacking = session.summary.as_dict()["facts_lacking"]
    assert decided["verdict"] == "allow"
    assert lacking["fingerprint.template_accounts"] == 1


def test_why_a_request_could_not_be_read_is_replayed(world):
    problem = {"kind": "bad_request", "status": 413}
    with Session(world()) as session:
        unread = session.exchange(told(1, NOON, "a1", problem=problem))
        unknown = session.exchange(told(2, NOON, "a1", key=None))
        suspended = {"kind": "permission", "message": "This account is suspended."}
        refused = session.exchange(told(3, NOON, "a1", key=None, problem=suspended))
    assert (unread["status"], unread["account"]) == (413, "a1")
    assert (unknown["status"], refused["status"]) == (401, 403)
    assert refused["answer"]["body"]["error"]["message"] == suspended["message"]


def test_the_dialect_of_a_shared_path_is_the_recorded_one(world):
    facts = FACTS | {"request.dialect": "anthropic"}
    more = {"method": "GET", "path": "/v1/models", "key": None, "facts": facts}
    with Session(world()) as session:
        decided = session.exchange(told(1, NOON, "a1", **more))
    assert decided["answer"]["body"]["type"] == "error"


def test_an_account_stands_for_a_caller_that_a_front_proxy_named(world):
    with Session(world()) as session:
        assert session.exchange(told(1, NOON, "a1", key=None, account="a3"))["account"] == "a3"


def test_an_answer_that_broke_off_is_settled_as_it_was(world):
    policy = POLICY.replace("limit: {input_tokens: 100}", "limit: {output_tokens: 150}")
    broken = {"status": 200, "complete": False, "delivered_output_tokens": 60, "error": "reset"}
    with Session(world(policy)) as session:
        first = session.exchange(told(1, NOON, "a1", response=broken))
        second = session.exchange(told(2, NOON + 1, "a1"))
        unsent = {"status": 0, "complete": False, "forwarded": False}
        session.exchange(told(3, NOON + 1, "a2", response=unsent))
        third = session.exchange(told(4, NOON + 2, "a2"))
    assert (first["verdict"], second["verdict"], third["verdict"]) == ("allow", "throttle", "allow")


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({"facts": {"request.stream": "yes"}}, "facts: request.stream is a bool, not 'yes'"),
        ({"facts": {"client.asn": True}}, "facts: client.asn is a int, not True"),
        ({"fingerprints": {"tokens": {"prompt": ["xyz"]}}}, "invalid literal"),
        ({"fingerprints": {"tokens": {"prompt": ["1" * 17]}}}, "more than 64 bits"),
        ({"fingerprints": {"tokens": {"prompt": [5]}}}, r"fingerprints\.tokens"),
        ({"problem": {"kind": "whim"}}, "problem.kind"),
    ],
)
def test_facts_and_fingerprints_that_are_none_are_refused(world, broken, why):
    with Session(world()) as session, pytest.raises(TrafficError, match=why):
        session.exchange(told(1, NOON, "a1", **broken))


def test_tokens_of_traits_that_are_not_known_here_are_passed_over(world):
    detector = Together()
    tokens = {"prompt": [f"{(77 << 6) | 63:016x}", f"{(77 << 6) | Trait.TEMPLATE:016x}"]}
    with Session(world(), detector=detector) as session:
        session.exchange(told(1, NOON, "a1", fingerprints={"tokens": tokens}))
    assert detector.observed[0][1].tokens == ((77 << 6) | Trait.TEMPLATE,)
