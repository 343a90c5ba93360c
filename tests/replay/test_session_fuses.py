"""Fuses, disarmed rules and changes of the set in a replay: as in a gateway that serves."""

import json

import pytest

from proxy.audit.read import entries
from proxy.policy.load import compile_texts
from proxy.replay import Session
from proxy.replay.run import ReplayOptions, replay
from tests.replay.conftest import NOON, line

DENYING = """
access:
  - {id: closed, match: {models: [m-small]}, mode: enforce, then: deny,
     fuse: {accounts: 2, within: 10m}}
"""
LEGAL = """
geography:
  - {id: embargo, mode: enforce, deny_countries: [CU], legal: true}
"""
CHANGING = """
access:
  - {id: warned, match: {models: [m-small]}, mode: warn, then: deny, message: Soon closed.}
  - {id: bounded, mode: enforce, modify: {max_tokens: 50, strip: [logprobs]}}
"""


def test_a_fuse_blows_and_lowers_its_rule_from_the_next_exchange_on(world):
    with Session(world(DENYING)) as session:
        told = [session.exchange(line(i, NOON + i, f"a{i}"))["verdict"] for i in (1, 2, 3, 4)]
        assert told == ["deny", "deny", "deny", "allow"]
        (held,) = session.disarmed
    assert (held.rule, held.who) == ("closed", "gauger.fuse")


def test_a_blown_fuse_is_recorded_after_the_decision_that_blew_it_and_summed_up(world):
    config = world(DENYING)
    directory = config.parent / "out"
    with Session(config, audit="full", audit_directory=directory) as session:
        for i in (1, 2, 3, 4):
            session.exchange(line(i, NOON + i, f"a{i}"))
        policy = session.policy.digest
        summary = session.summary.as_dict()
    written = list(entries(directory))
    at = next(i for i, entry in enumerate(written) if entry.type == "fuse")
    assert (written[at - 1].type, written[at - 1].id) == ("decision", "x-0003")
    fields = {"rule": "closed", "accounts": 3, "within_s": 600, "policy": policy}
    assert (written[at].id, written[at].fields) == ("x-0003", fields)
    after = next(entry for entry in written if entry.type == "decision" and entry.id == "x-0004")
    assert after.fields["lowered"] == [["closed", "disarmed"]]
    blown = {"rule": "closed", "accounts": 3, "within_s": 600, "ts": NOON + 3, "exchange": "x-0003"}
    assert summary["fuses"] == [blown]


def test_the_exchange_that_blows_a_fuse_names_it(world):
    with Session(world(DENYING)) as session:
        judged = [session.judge(line(i, NOON + i, f"a{i}")) for i in (1, 2, 3)]
    assert [len(one.blown) for one in judged] == [0, 0, 1]
    assert judged[2].blown[0].rule == "closed"


def test_a_rule_is_disarmed_and_armed_again_while_the_replay_runs(world):
    with Session(world(DENYING)) as session:
        session.disarm("closed", "it refuses a hospital")
        assert session.exchange(line(1, NOON, "a1"))["verdict"] == "allow"
        assert session.disarmed[0].why == "it refuses a hospital"
        session.arm("closed")
        assert session.exchange(line(2, NOON, "a1"))["verdict"] == "deny"


def test_a_rule_that_is_not_there_or_legal_is_not_disarmed(world):
    with Session(world(LEGAL)) as session:
        for attempt in (session.disarm, session.arm):
            with pytest.raises(ValueError, match='there is no rule "embarg"'):
                attempt("embarg")
        with pytest.raises(ValueError, match="embargo is a legal rule"):
            session.disarm("embargo")


def test_another_set_judges_from_the_next_exchange_on_and_counts_stay(world):
    with Session(world()) as session:
        for i in range(2):
            session.exchange(line(i, NOON, "a1"))
        tighter = (session.policy.sources[0][0].text).replace("requests: 3", "requests: 2")
        session.adopt(compile_texts([("p.yaml", tighter.encode())]))
        decided = session.exchange(line(3, NOON, "a1"))
    assert decided["verdict"] == "throttle"
    assert decided["rules"][0]["why"] == "requests: 2 used and 1 asked for, limit 2 in 60 s"


def test_a_given_set_judges_instead_of_the_configured_one(world):
    config = world()
    policy = compile_texts([("p.yaml", DENYING.encode())])
    with Session(config, policy=policy) as session:
        decided = session.exchange(line(1, NOON, "a1"))
    assert (decided["verdict"], decided["policy"]) == ("deny", policy.digest)


def test_modifiers_and_warnings_are_counted_in_the_summary(world):
    config = world(CHANGING)
    traffic = config.parent / "traffic.jsonl"
    traffic.write_text("".join(json.dumps(line(i, NOON + i, "a1")) + "\n" for i in range(3)))
    summary = replay(ReplayOptions(config=config, traffic=traffic, out=config.parent / "out"))
    assert summary["modifiers"] == {"clamp:50": 3, "strip:logprobs": 3}
    assert summary["warnings"] == 3
    assert summary["fuses"] == []


def test_a_replay_writes_nothing_where_it_is_not_asked_to(world):
    config = world(DENYING)
    before = set(config.parent.rglob("*"))
    with Session(config) as session:
        for i in (1, 2, 3, 4):
            session.exchange(line(i, NOON + i, f"a{i}"))
    assert set(config.parent.rglob("*")) == before
