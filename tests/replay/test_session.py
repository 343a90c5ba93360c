import json
from pathlib import Path
from typing import Any

import pytest

from proxy.replay import Session
from proxy.replay.traffic import TrafficError
from tests.replay.conftest import NOON, account, line


def test_a_decision_has_every_field_of_the_format(world):
    with Session(world()) as session:
        decided = session.exchange(line(1, NOON, "a1"))
    assert set(decided) == {
        "id", "ts", "account", "verdict", "modifiers", "status", "delay_s", "by_cluster",
        "rules", "shadow", "answer", "cluster", "policy",
    }  # fmt: skip
    assert (decided["account"], decided["verdict"], decided["status"]) == ("a1", "allow", 200)
    assert decided["answer"] is None


def test_a_refusal_carries_the_answer_that_the_client_would_have_got(world):
    with Session(world()) as session:
        for i in range(3):
            session.exchange(line(i, NOON + 10, "a1"))
        decided = session.exchange(line(4, NOON + 20, "a1"))
    assert (decided["verdict"], decided["status"]) == ("throttle", 429)
    assert decided["rules"][0]["why"] == "requests: 3 used and 1 asked for, limit 3 in 60 s"
    headers = {name.lower(): value for name, value in decided["answer"]["headers"]}
    assert headers["retry-after"] == "40"
    assert decided["answer"]["body"]["error"]["code"] == "rate_limit_exceeded"


def test_time_is_the_recordings_own(world):
    with Session(world()) as session:
        for i in range(3):
            session.exchange(line(i, NOON, "a1"))
        assert session.exchange(line(4, NOON + 60, "a1"))["verdict"] == "allow"


def test_an_exchange_is_settled_when_its_recorded_answer_ends(world):
    big = {"model": "m-small", "max_tokens": 2900, "messages": []}
    with Session(world()) as session:
        assert session.exchange(line(1, NOON, "a1", body=big))["verdict"] == "allow"
        assert session.exchange(line(2, NOON + 1, "a1", body=big))["verdict"] == "throttle"
        assert session.exchange(line(3, NOON + 1.5, "a1", body=big))["verdict"] == "allow"


def test_shadow_rules_are_told_apart(world):
    with Session(world()) as session:
        session.exchange(line(1, NOON, "a1"))
        decided = session.exchange(line(2, NOON, "a1"))
    assert decided["verdict"] == "allow"
    assert [rule["id"] for rule in decided["shadow"]] == ["watched"]


def test_accounts_that_share_a_template_are_refused_after_the_detectors_step(world):
    text = "Grade the following essay against the rubric, number {}, and justify every point."
    with Session(world()) as session:
        for i in (1, 2, 3):
            assert session.exchange(line(i, NOON, f"a{i}", text.format(i)))["verdict"] == "allow"
        session.advance(NOON + 10)
        decided = session.exchange(line(4, NOON + 10, "a4", text.format(4)))
        assert session.exchange(line(5, NOON + 10, "a5", "What a day."))["verdict"] == "allow"
    assert (decided["verdict"], decided["by_cluster"]) == ("throttle", True)


def test_an_attacker_may_open_accounts_while_the_replay_runs(world):
    with Session(world()) as session:
        assert session.exchange(line(1, NOON, "new"))["status"] == 401
        session.add_account(account("new", created_at=NOON + 5))
        assert session.exchange(line(2, NOON, "new"))["status"] == 401
        assert session.exchange(line(3, NOON + 5, "new"))["status"] == 200


def test_a_key_id_stands_for_the_credential_of_a_recording_without_headers(world):
    with Session(world()) as session:
        decided = session.exchange(line(1, NOON, "a1", headers=[], key="k-a2"))
    assert decided["account"] == "a2"


def test_an_upstream_error_that_was_recorded_is_allowed_with_its_status(world):
    with Session(world()) as session:
        decided = session.exchange(line(1, NOON, "a1", response={"status": 529}))
    assert (decided["verdict"], decided["status"]) == ("allow", 529)


def test_usage_that_was_not_recorded_is_imputed_from_the_model_and_counted_apart(world):
    with Session(world()) as session:
        session.exchange(line(1, NOON, "a1"))
        session.exchange(line(2, NOON, "a2", response=None))
        session.close()
        summary = session.summary.as_dict()
    assert summary["usage_imputed"] == 1
    assert summary["tokens"]["admitted"] == {"exchanges": 2, "input": 20, "output": 10}


@pytest.mark.parametrize(
    "broken",
    [
        {"id": 5},
        {"ts": "noon"},
        {"headers": [["one"]]},
        {"method": None},
        {"ts": -1.0},
        {"ts": NOON * 1000},  # milliseconds
        {"ts": 1e300},
        {"response": {"duration_s": -1.0}},
        {"response": {"duration_s": 1e300}},
        {"response": {"usage": {"output_tokens": -5}}},
        {"body": object()},
        {"body": {"text": "\ud800"}},
    ],
)
def test_a_line_that_is_not_in_the_format_is_refused(world, broken):
    with Session(world()) as session, pytest.raises(TrafficError):
        session.exchange(line(1, NOON, "a1") | broken)


def test_a_line_that_goes_back_in_time_is_refused(world):
    with Session(world()) as session:
        session.exchange(line(1, NOON, "a1"))
        with pytest.raises(TrafficError, match="goes back in time"):
            session.exchange(line(2, NOON - 1, "a1"))


def test_fields_that_are_unknown_or_null_are_ignored_at_every_depth(world):
    more = {
        "tls": {"ja4": None, "alpn": ["h2"]},
        "response": {"status": 200, "usage": {"output_tokens": None, "details": {"a": 1}}, "x": 1},
        "extra": {"a": []},
    }
    with Session(world()) as session:
        assert session.exchange(line(1, NOON, "a1", **more))["verdict"] == "allow"


def records_in(directory: Path) -> list[dict[str, Any]]:
    (segment,) = directory.glob("*.jsonl")
    return [json.loads(text) for text in segment.read_text().splitlines()]


def test_an_address_is_the_same_however_it_was_written(world):
    directory = world().parent / "out"
    config = directory.parent / "gauger.yaml"
    with Session(config, audit="full", audit_directory=directory) as session:
        session.exchange(line(1, NOON, "a1", client_ip="203.0.113.7"))
        session.exchange(line(2, NOON, "a1", client_ip="::ffff:203.0.113.7"))
    records = records_in(directory)
    assert len({r["address"] for r in records if r["type"] == "decision"}) == 1


def test_settlement_at_the_moment_of_an_arrival_comes_first_and_in_the_order_of_arrival(world):
    directory = world().parent / "out"
    with Session(directory.parent / "gauger.yaml", audit="full", audit_directory=directory) as s:
        for i, name in enumerate(["a3", "a1", "a2"]):
            s.exchange(line(i, NOON, name))
        s.exchange(line(9, NOON + 1.5, "a4"))
    records = records_in(directory)
    order = [(r["type"], r["id"]) for r in records if r["type"] in ("decision", "completion")]
    assert order[3:7] == [
        ("completion", "x-0000"),
        ("completion", "x-0001"),
        ("completion", "x-0002"),
        ("decision", "x-0009"),
    ]


def test_imputed_usage_is_the_median_and_not_an_outlier(world):
    def answered(tokens: int) -> dict[str, Any]:
        return {"status": 200, "usage": {"input_tokens": tokens, "output_tokens": 0}}

    with Session(world()) as session:
        for i, tokens in enumerate((1000, 1, 20)):
            session.exchange(line(i, NOON, f"a{i + 1}", response=answered(tokens)))
        session.exchange(line(9, NOON, "a4", response=None))
        summary = session.summary.as_dict()
    assert summary["tokens"]["admitted"]["input"] == 1000 + 1 + 20 + 20
