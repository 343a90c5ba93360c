"""The detector in a session: fed, stepped on the recording's clock, and acted on."""

from proxy.audit.read import entries
from proxy.replay import Session
from tests.replay.conftest import NOON, account, line
from tests.replay.detectors import Together

POLICY = """
quotas:
  - id: clustered
    match: {cel: 'cluster.id != ""'}
    mode: enforce
    per: cluster
    limit: {requests: 1}
    window: 1h
"""


def test_clusters_count_from_the_step_that_states_them(world):
    with Session(world(POLICY), detector=Together()) as session:
        early = [session.exchange(line(i, NOON + 9, f"a{i + 1}")) for i in range(2)]
        late = [session.exchange(line(9, NOON + 10, name)) for name in ("a1", "a2", "a3")]
    assert [one["cluster"] for one in early] == [None, None]
    assert [one["cluster"] for one in late] == ["c-1", "c-1", None]
    assert [one["verdict"] for one in late] == ["allow", "throttle", "allow"]
    assert [one["by_cluster"] for one in late] == [False, True, False]


def test_the_cluster_of_a_decision_is_told_where_nothing_acts_on_it(world):
    with Session(world(), detector=Together()) as session:
        session.exchange(line(1, NOON, "a1"))
        plain = session.exchange(line(2, NOON + 10, "a1"))
        unread = session.exchange(line(3, NOON + 10, "a1", body=None, body_text="{nonsense"))
        unknown = session.exchange(line(4, NOON + 10, "nobody"))
    assert (plain["verdict"], plain["cluster"], plain["by_cluster"]) == ("allow", "c-1", False)
    assert (unread["status"], unread["cluster"]) == (400, "c-1")
    assert (unknown["status"], unknown["cluster"]) == (401, None)


def test_what_a_decision_rests_on_stands_in_the_log_before_it(world, tmp_path):
    where = {"audit": "full", "audit_directory": tmp_path / "audit"}
    with Session(world(POLICY), detector=Together(), **where) as session:
        for number, at_s in enumerate((9, 10, 11, 25)):
            session.exchange(line(number, NOON + at_s, f"a{number % 2 + 1}"))
    log = list(entries(tmp_path / "audit", types={"decision", "clusters"}))
    told = [one.fields["detected"] if one.type == "clusters" else one.id for one in log]
    first, second = f"step-{NOON // 10 + 1:.0f}", f"step-{NOON // 10 + 2:.0f}"
    assert told == ["none", "x-0000", first, "x-0001", "x-0002", second, "x-0003"]
    assert log[2].fields["listed"] == [
        {
            "id": "c-1",
            "state": "open",
            "score": 0.9,
            "accounts": 1,
            "evidence": [["prompt", "template", 1, 40.0]],
        }
    ]
    assert log[5].fields["listed"][0]["accounts"] == log[5].fields["accounts"] == 2


def test_clusters_stand_in_the_format_with_unix_seconds(world):
    with Session(world(), detector=Together()) as session:
        assert session.clusters() == []
        for name in ("a2", "a1"):
            session.exchange(line(1, NOON, name))
        session.advance(NOON + 10)
        assert session.clusters() == [
            {
                "cluster": "c-1",
                "detected_ts": NOON + 10,
                "state": "open",
                "score": 0.9,
                "accounts": ["a1", "a2"],
                "evidence": [
                    {
                        "family": "prompt",
                        "trait": "template",
                        "accounts": 2,
                        "lift": 40.0,
                        "why": "all of them share it",
                    }
                ],
            }
        ]


def test_events_stand_in_the_format_and_each_is_told_once(world):
    with Session(world(), detector=Together()) as session:
        session.exchange(line(1, NOON, "a1"))
        session.exchange(line(2, NOON + 10, "a2"))
        opened = session.cluster_events()
        session.advance(NOON + 20)
        grown = session.cluster_events()
        assert session.cluster_events() == []
    assert opened == [
        {
            "ts": NOON + 10,
            "event": "open",
            "cluster": "c-1",
            "score": 0.9,
            "accounts": ["a1"],
            "into": None,
            "state": "open",
        }
    ]
    assert [(one["ts"], one["event"], one["accounts"]) for one in grown] == [
        (NOON + 20, "grow", ["a2"])
    ]


def test_the_detector_sees_known_accounts_that_generate_and_whether_they_were_served(world):
    detector = Together()
    with Session(world(), detector=detector) as session:
        session.add_account(account("young", created_at=NOON + 5))
        key = {"id": "k-bait", "sha256": account("bait")["keys"][0]["sha256"], "honeypot": True}
        session.add_account({"account": "bait", "keys": [key], "links": {"payment": "p-1"}})
        session.exchange(line(1, NOON, "nobody"))
        session.exchange(line(2, NOON, "young"))
        session.exchange(line(3, NOON, "a1", method="GET", path="/v1/models", body=None))
        session.exchange(line(4, NOON, "bait"))
        for number in range(4):
            session.exchange(line(5 + number, NOON + 5, "young"))
    seen = [(described.account, s.served, s.honeypot) for described, s, _ in detector.observed]
    assert seen == [("bait", True, True), *[("young", True, False)] * 3, ("young", False, False)]
    assert [name for name, _ in detector.observed[0][0].links] == ["payment"]
    positions = [sighting.position for _, sighting, _ in detector.observed]
    assert positions == sorted(set(positions))
