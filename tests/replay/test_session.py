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
    "broken", [{"id": 5}, {"ts": "noon"}, {"headers": [["one"]]}, {"method": None}]
)
def test_a_line_that_is_not_in_the_format_is_refused(world, broken):
    with Session(world()) as session, pytest.raises(TrafficError):
        session.exchange(line(1, NOON, "a1") | broken)


def test_a_line_that_goes_back_in_time_is_refused(world):
    with Session(world()) as session:
        session.exchange(line(1, NOON, "a1"))
        with pytest.raises(TrafficError, match="goes back in time"):
            session.exchange(line(2, NOON - 1, "a1"))
