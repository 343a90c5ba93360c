"""Decisions are read from the audit log as they come, with names in place of pseudonyms."""

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from proxy.audit.sync_log import SyncAuditLog
from proxy.demo.watch import Watch
from proxy.facts.pseudonyms import Pseudonyms
from proxy.model.record import Json, Record

PSEUDONYMS = Pseudonyms(bytes(32))
NOON_NS = 1_776_859_200 * 1_000_000_000


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SyncAuditLog]:
    with SyncAuditLog.create(tmp_path / "audit", log_id="demo", at_ns=NOON_NS) as made:
        yield made


def decision(account: str | None, verdict: str = "allow", **fields: Json) -> Record:
    who: dict[str, Json] = {"account": PSEUDONYMS.of("account", account)} if account else {}
    facts: dict[str, Json] = {
        "request.surface": "messages",
        "request.model": "m-large",
        "client.country": "BV",
    }
    return Record("decision", "x-1", NOON_NS, {**who, "verdict": verdict, "facts": facts, **fields})


def watching(tmp_path: Path, *, terminal: bool = False) -> tuple[Watch, io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120)
    return Watch(tmp_path / "audit", PSEUDONYMS, console), out


def test_each_decision_is_read_once_and_completions_are_left_out(log, tmp_path):
    watch, _ = watching(tmp_path)
    log.append(decision("islander", "deny", rules=[["embargo", "geography", "deny", "from BV"]]))
    log.append(Record("completion", "x-1", NOON_NS, {"status": 200}))
    log.flush()
    (one,) = watch.read()
    assert watch.read() == []
    assert (one.at, one.account, one.country) == ("12:00:00", "islander", "BV")
    assert (one.what, one.verdict) == ("messages m-large", "deny")
    assert (one.rule, one.why) == ("embargo", "from BV")
    log.append(decision("ada"))
    log.flush()
    assert [one.account for one in watch.read()] == ["ada"]
    assert len(watch.decisions) == 2


def test_a_quota_that_gives_no_reason_is_explained_by_its_charges(log, tmp_path):
    watch, _ = watching(tmp_path)
    rules: list[Json] = [["small", "quota", "throttle"]]
    charges: list[Json] = [
        ["small", "tokens", 9, 100, 60, 10, True],
        ["small", "requests", 1, 30, 60, 30, True],
    ]
    log.append(decision("hasty", "throttle", rules=rules, charges=charges))
    log.flush()
    assert watch.read()[0].why == "requests: 30 used and 1 asked for, limit 30 in 60 s"


@pytest.mark.parametrize(
    ("charge", "said"),
    [
        (
            ["small", "cost", 4000, 12_500_000, 0, 12_499_000, "enforce"],
            "cost: 12.499 used and 0.004 asked for, limit 12.50 for ever",
        ),
        (
            ["small", "concurrent", 1, 8, 0, 2, "enforce", 4],
            "concurrent: 2 used and 1 asked for, limit 2 at the same time",
        ),
        (["small", "requests", 1, 8, 60, None, "enforce"], ""),
    ],
)
def test_money_shares_and_what_was_not_counted_are_told_as_they_are(log, tmp_path, charge, said):
    watch, _ = watching(tmp_path)
    rules: list[Json] = [["small", "quota", "throttle"]]
    log.append(decision("hasty", "throttle", rules=rules, charges=[charge]))
    log.flush()
    assert watch.read()[0].why == said


def test_the_rule_shown_is_one_whose_verdict_won(log, tmp_path):
    watch, _ = watching(tmp_path)
    rules: list[Json] = [["weak", "quota", "throttle", "a"], ["strong", "geography", "deny", "b"]]
    log.append(decision("islander", "deny", rules=rules))
    log.flush()
    assert watch.read()[0].rule == "strong"


def test_an_account_that_nobody_knows_is_shown_as_unknown(log, tmp_path):
    watch, _ = watching(tmp_path)
    log.append(decision(None, "deny", rules=[["gauger.identity", "builtin", "deny", "no key"]]))
    log.flush()
    assert watch.read()[0].account == "(unknown)"


@pytest.mark.parametrize("terminal", [True, False])
async def test_following_shows_every_decision_at_a_terminal_and_elsewhere(log, tmp_path, terminal):
    watch, out = watching(tmp_path, terminal=terminal)
    log.append(decision("ada"))
    log.append(decision("islander", "deny", rules=[["embargo", "geography", "deny", "from BV"]]))
    log.flush()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watch.follow(), 0.3)
    assert "embargo" in out.getvalue()
    assert ("Decisions as they fall" in out.getvalue()) is terminal
    assert "ada" in out.getvalue()
