"""A whole run: session, measures and report; and an attacker who replaces banned heads."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from bench.campaigns import report
from bench.campaigns.run import play
from bench.campaigns.runs import run_all
from bench.campaigns.scenarios import SCENARIOS
from bench.campaigns.scenarios.fixed_prompt import BANNED_AFTER, REPLACED_WITHIN_S
from bench.campaigns.stream import Traffic

REFUSED = {"verdict": "deny", "status": 403}
SERVED = {"verdict": "allow", "status": 200}


def test_a_banned_head_leaves_and_a_reserve_starts_within_the_hour(world):
    cast = SCENARIOS["fixed-prompt"].build(world)
    traffic = Traffic([cast], world.start_s)
    heads = {person.persona.account for person in cast.persons}
    victim = cast.persons[0].persona.account
    refusals, banned_at_s, first_of_reserve = 0, None, None
    for event in traffic:
        account = event.persona.account
        if account == victim:
            assert banned_at_s is None, "a banned head went on"
            refusals += 1
            traffic.react(event, REFUSED)
            banned_at_s = event.line["ts"] if refusals == BANNED_AFTER else None
        else:
            traffic.react(event, SERVED)
            if account not in heads and first_of_reserve is None:
                first_of_reserve = account, event.line["ts"]
    assert refusals == BANNED_AFTER
    assert first_of_reserve[0] == cast.reserves[0]["account"]
    assert 0 <= first_of_reserve[1] - banned_at_s <= REPLACED_WITHIN_S + 3600


def test_refusals_that_are_not_in_a_row_ban_nobody(world):
    cast = SCENARIOS["fixed-prompt"].build(world)
    traffic = Traffic([cast], world.start_s)
    heads = {person.persona.account for person in cast.persons}
    sent = Counter()
    for event in traffic:
        account = event.persona.account
        assert account in heads
        sent[account] += 1
        traffic.react(event, SERVED if sent[account] % BANNED_AFTER == 0 else REFUSED)
    assert max(sent.values()) > 2 * BANNED_AFTER


def test_an_upstream_error_is_not_taken_for_a_ban(world):
    cast = SCENARIOS["fixed-prompt"].build(world)
    traffic = Traffic([cast], world.start_s)
    heads = {person.persona.account for person in cast.persons}
    for event in traffic:
        assert event.persona.account in heads
        traffic.react(event, {"verdict": "allow", "status": 529})


@pytest.fixture
def runs(job):
    return [play(job(name), lambda _: None) for name in SCENARIOS]


def test_every_exchange_is_judged_and_counted(runs):
    for run in runs:
        assert run["exchanges"] == sum(group["sent"] for group in run["groups"])
        for group in run["groups"]:
            judged = group["served"] + group["refused_own"] + group["refused_fingerprint"]
            assert group["sent"] == judged
            assert sum(group["served_by_hour"]) == group["served"]


def test_the_report_names_every_scenario_and_draws_the_plot(runs, tmp_path):
    page = report.write(tmp_path, runs, "A test").read_text()
    assert all(name in page for name in SCENARIOS)
    assert "<svg" in (tmp_path / "campaigns.svg").read_text()
    report.plot(runs, tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_bytes() == (tmp_path / "campaigns.svg").read_bytes()


def test_the_same_seed_gives_the_same_figures_in_another_process(job, runs):
    (again,) = run_all([job("low-and-slow", out="again")], workers=1)
    first = next(run for run in runs if run["scenario"] == "low-and-slow")
    assert json.dumps(again["groups"]) == json.dumps(first["groups"])


def test_a_run_that_fails_says_which_and_why(job, tmp_path):
    broken = replace(job("low-and-slow"), config=tmp_path / "absent.yaml")
    with pytest.raises(RuntimeError, match=r"low-and-slow-1: .*absent\.yaml"):
        run_all([broken], workers=1)
