"""The set of policies/examples/containment, as it is, over traffic with a cluster in it."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from proxy.model.cluster import Cluster, ClusterState, Membership
from proxy.model.sighting import Described
from proxy.model.trait import CODE_MASK, Trait
from proxy.replay import Session
from tests.replay.conftest import NOON, account, line
from tests.replay.detectors import Index, Together

SET = Path(__file__).parents[2] / "policies" / "examples" / "containment"
DAY_S = 86_400
ORDINARY = 40  # requests that an ordinary account makes in a day: a quarter of it is 10


def _prompts(tokens: Sequence[int]) -> bool:
    return any(token & CODE_MASK == Trait.EXACT for token in tokens)


class Stated(Index):
    """Whose name begins with "head" is in the cluster; a victim in part, by what it sends."""

    def of(self, account: Described, tokens: Sequence[int]) -> tuple[Membership, ...]:
        cluster = Cluster("c-1", ClusterState.OPEN, 0.95, 100)
        if account.account.startswith("head"):
            return (Membership(cluster, 0.9),)
        if account.account == "victim":
            return (Membership(cluster, 0.3, match=_prompts(tokens)),)
        return ()


class Told(Together):
    """Knows from the beginning what others find out."""

    def advance(self, now_ns: int) -> Index:
        return Stated("stated", ordinary={"requests": ORDINARY})


@pytest.fixture
def accounts(tmp_path: Path) -> Path:
    lines = [
        *(account(f"head{i}", tier=tier) for i, tier in enumerate(["free", "build", "gold", None])),
        account("victim", tier="build"),
        account("heavy", tier="scale"),
        account("light", tier="free"),
        account("plain", tier=None),
    ]
    file = tmp_path / "accounts.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return file


@pytest.fixture
def session(accounts: Path):
    with Session(SET / "gauger.yaml", accounts, detector=Told()) as session:
        yield session


def refused(session: Session, ts: float, name: str, **more: Any) -> bool:
    said = session.exchange(line(1, ts, name, **more))
    assert said["by_cluster"] is (said["verdict"] != "allow")
    return said["by_cluster"]


def test_a_cluster_gets_less_than_one_ordinary_account_in_any_24_hours(session: Session):
    served = [
        at_s
        for at_s in range(0, 3 * DAY_S, 600)
        if not refused(session, NOON + at_s, f"head{at_s % 4}")
    ]
    assert served[:10] == list(range(0, 6000, 600))
    in_a_day = [sum(begins <= at_s < begins + DAY_S for at_s in served) for begins in served]
    assert max(in_a_day) == ORDINARY // 4
    assert len(served) >= 2 * ORDINARY // 4


def test_nobody_else_is_refused_and_of_a_victim_only_what_shows_the_cluster(session: Session):
    for i in range(30):
        refused(session, NOON + i, "head1")
    nothing = {"path": "/v1/models", "method": "GET", "body": None}
    assert refused(session, NOON + 40, "victim", text="Write out the reasoning, step by step. " * 9)
    assert not refused(session, NOON + 41, "victim", **nothing)
    assert not any(refused(session, NOON + 42, name) for name in ("heavy", "plain") * 100)


def test_a_cluster_is_refused_in_the_words_of_the_accounts_own_limit(session: Session):
    def told(said: dict[str, Any]) -> Any:
        return said["status"], said["answer"]

    for _ in range(ORDINARY):
        session.exchange(line(1, NOON, "head2"))
    by_cluster = session.exchange(line(1, NOON + 3600, "head0"))
    for _ in range(600):
        session.exchange(line(1, NOON + 3600, "light"))
    by_its_own = session.exchange(line(1, NOON + 3600, "light"))
    assert (by_cluster["by_cluster"], by_its_own["by_cluster"]) == (True, False)
    assert told(by_cluster) == told(by_its_own)


def test_what_the_limit_followed_stands_in_the_record(accounts: Path, tmp_path: Path):
    log = tmp_path / "audit"
    with Session(
        SET / "gauger.yaml", accounts, detector=Told(), audit="full", audit_directory=log
    ) as session:
        session.exchange(line(1, NOON, "head1"))
    written = "".join(file.read_text() for file in sorted(log.rglob("*.jsonl")))
    records = [json.loads(text) for text in written.splitlines()]
    (decision,) = [one for one in records if one.get("type") == "decision"]
    assert decision["facts"]["ordinary.requests"] == ORDINARY
    assert ["one-hand-one-account", "requests", 1, 10, DAY_S, 0, "enforce"] in decision["charges"]


def test_the_set_needs_nothing_but_itself_and_writes_nothing(
    accounts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    copy, elsewhere = tmp_path / "copy", tmp_path / "elsewhere"
    shutil.copytree(SET, copy)
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    before = sorted(copy.rglob("*"))
    config = os.path.relpath(copy / "gauger.yaml")
    with Session(config=config, accounts=str(accounts), environment={}) as session:
        assert session.exchange(line(1, NOON, "plain"))["verdict"] == "allow"
    assert sorted(copy.rglob("*")) == before
    assert list(elsewhere.iterdir()) == []


def test_what_a_victim_may_still_do_does_not_show_that_the_refusal_was_borrowed(session: Session):
    def remaining(answer: dict[str, Any]) -> str:
        return dict(answer["headers"])["x-ratelimit-remaining-requests"]

    for i in range(12):
        session.exchange(line(1, NOON, f"head{i % 4}"))
    grading = "Write out the reasoning, step by step. " * 9
    refused = session.exchange(line(1, NOON + 1, "victim", text=grading))
    nothing = {"path": "/v1/models", "method": "GET", "body": None}
    served = session.judge(line(1, NOON + 2, "victim", **nothing))
    later = session.judge(line(1, NOON + 62, "victim", **nothing))
    assert (refused["status"], remaining(refused["answer"])) == (429, "0")
    assert served.decision.refusal is None
    assert [limit.remaining for limit in served.decision.limits] == [0]
    assert [limit.remaining for limit in later.decision.limits] == [5999]
