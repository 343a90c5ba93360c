"""A whole run: session, measures and report; and an attacker who replaces banned heads."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.campaigns import plots, report, scored
from bench.campaigns.__main__ import Asked, main, numbers_of
from bench.campaigns.answers import features, tell
from bench.campaigns.kept import all_kept, keep, kept
from bench.campaigns.plans import PRESETS
from bench.campaigns.pooled import campaigns, plain
from bench.campaigns.rows import goal_rows
from bench.campaigns.run import play
from bench.campaigns.runs import run_all
from bench.campaigns.scenarios import SCENARIOS
from bench.campaigns.scenarios.fixed_prompt import BANNED_AFTER, REPLACED_WITHIN_S
from bench.campaigns.stage import Job, stage
from bench.campaigns.stream import Traffic
from bench.campaigns.tree import grow

CONFIG = Path(__file__).parents[2] / "policies" / "examples" / "containment" / "gauger.yaml"
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


SMALL = {"small-and-fast": {}, "mixed-hydra-10": {}, "classroom": {}, "embargo": {}}
LACKING = {"small-and-fast": {"variant": "no-prompt", "baseline_days": 0.0}}
BARE = {"small-and-fast": {"relations": False, "baseline_days": 0.0}}
TOGETHER = {"template-variants+rubric-grader": {"baseline_days": 0.0}}


def job_of(folder, scenario, **changed):
    told = {"scale": 0.002, "days": 0.04, "ratio": 0.2, "data": None, "config": CONFIG}
    return Job(scenario=scenario, seed=1, out=folder, **(told | changed))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def runs(folder):
    played = []
    for asked in (SMALL, LACKING, BARE, TOGETHER):
        for name, changed in asked.items():
            job = job_of(folder, name, **changed)
            played.append(play(job, lambda _: None))
            keep(job, played[-1])
    return played


def test_every_exchange_is_judged_and_counted(runs):
    for run in runs:
        assert run["exchanges"] == sum(group["sent"] for group in run["groups"])
        for group in run["groups"]:
            judged = group["served"] + group["refused_own"] + group["refused_cluster"]
            assert group["sent"] == judged
            if not group["marked"]:
                assert sum(group["served_by_hour"]) == group["served"]


def test_only_what_is_marked_counts_of_a_reseller(runs):
    run = next(run for run in runs if run["scenario"] == "mixed-hydra-10")
    group = next(group for group in run["groups"] if group["kind"] == "campaign")
    assert group["counted_sent"] == group["marked"] < group["sent"] / 3
    assert group["full"] == pytest.approx(50 * 30 * 30 * group["marked"] / group["sent"])


def test_every_baseline_sees_the_same_stream_unless_the_law_is_asked(runs):
    for run in runs:
        if not run.get("baselines"):
            assert (
                run["scenario"] == "embargo"
                or run["variant"]
                or "+" in run["scenario"]
                or (not run["relations"])
            )
            continue
        sent = {
            tuple(c["sent"] for c in one["campaigns"].values()) for one in run["baselines"].values()
        }
        assert len(sent) == 1
        nothing = run["baselines"]["account quotas"]
        assert all(touched == 0 for touched, _ in nothing["touched"].values())


def test_the_law_is_counted_by_the_verdicts_that_it_asks_for(runs):
    run = next(run for run in runs if run["scenario"] == "embargo")
    judged = sum(group["judged_by_law"] for group in run["groups"])
    assert judged == sum(g["sent"] for g in run["groups"] if g["kind"] != "base") > 0


def test_the_report_names_every_scenario_and_draws_the_same_plots_again(runs, tmp_path):
    answers = {"refusals": 100, "accuracy": 0.5, "low": 0.4, "high": 0.6, "asked": []}
    page = report.write(tmp_path, runs, answers).read_text()
    assert all(name in page for name in SMALL)
    assert "without the prompt family: small-and-fast" in page
    assert "no better than chance" in page
    drawn = sorted(path.name for path in tmp_path.glob("*.svg"))
    assert drawn == ["campaigns-baselines.svg", "campaigns-scores.svg", "campaigns-served.svg"]
    before = (tmp_path / "campaigns-scores.svg").read_bytes()
    plots.scores(plain(runs), tmp_path / "campaigns-scores.svg")
    assert (tmp_path / "campaigns-scores.svg").read_bytes() == before


def test_results_are_kept_and_only_the_same_job_finds_them_again(runs, folder):
    job = job_of(folder, "classroom")
    assert (
        kept(job)["decisions"] == next(r for r in runs if r["scenario"] == "classroom")["decisions"]
    )
    assert kept(replace(job, ratio=0.3)) is None
    assert kept(replace(job, seed=2)) is None
    assert len(all_kept(folder)) == len(runs)


def test_a_run_that_fails_says_which_and_why(job, tmp_path):
    broken = replace(job("low-and-slow"), config=tmp_path / "absent.yaml")
    with pytest.raises(RuntimeError, match=r"low-and-slow-1: .*absent\.yaml"):
        run_all([broken], workers=1)


def test_each_run_has_unrelated_accounts_of_its_own(tmp_path):
    one, other = (stage(job_of(tmp_path, name)).casts[0] for name in ("classroom", "hackathon"))
    devices = [
        {person.account["links"].get("device") for person in cast.persons} - {None}
        for cast in (one, other)
    ]
    assert devices[0]
    assert not devices[0] & devices[1]


# --- plain values, made by hand


def line(name, kind, **changed):
    told = {
        "name": name, "kind": kind, "note": "", "accounts": 50, "sent": 1000, "served": 100,
        "refused_own": 0, "refused_cluster": 900, "slowed": 0, "marked": 0, "seen": 50,
        "touched": 0, "organizations": 50, "touched_organizations": 0, "judged_by_law": 0,
        "wrong": {}, "sent_by_hour": [500, 500], "served_by_hour": [100, 0],
    }  # fmt: skip
    return told | changed


def campaign(before, recall=1.0, *, contained=1.0, whole=100_000, most=1000):
    at = {"clusters": 1, "recall": recall, "precision": 1.0, "merged": []}
    return line(
        "pivot", "campaign", full=whole, projected=before, counted_sent=1000, counted_served=100,
        most_in_a_day=most, flagged_hours=0.5, flagged_served=50, contained_hours=contained,
        served_before=before, when_contained=at, at_the_end=at,
    )  # fmt: skip


def run_of(*groups, seed=1, baselines=None, **changed):
    job = {"against": [], "scale": 0.05, "seed": seed, "ratio": 1.0, "days": 1.0,
           "scenario": "pivot", "config": "containment"}  # fmt: skip
    told = {
        "job": job, "scenario": "pivot", "seed": seed, "variant": "", "relations": True,
        "minutes": 120, "corpus": "own", "traces": "own", "exchanges": 2000, "accounts": 100,
        "clusters_stated": 1, "clusters": [], "daily_use": 100, "decisions": "00",
        "groups": [*groups], "all_s": 2.0, "session_s": 1.0,
        "best_scores": {"campaign": [0] * 101, "others": [0] * 101},
        "peak_kb": 2048, "before_kb": 1024, "state_bytes": 100, "baselines": baselines or {},
        "replaced": {"banned": 0, "started": 0, "contained": 0, "hours": [], "served": []},
    }  # fmt: skip
    return told | changed


def rival(projected, touched):
    figures = {"minute": None, "served_before": projected, "projected": projected, "sent": 1000,
               "served": projected}  # fmt: skip
    return {"campaigns": {"pivot": figures}, "touched": {"base": [touched, 50]}}


def verdicts(*runs):
    (row,) = goal_rows(list(runs))
    return row


def test_the_goals_are_met_only_if_every_seed_meets_all_of_them():
    base = line("base", "base", sent=900)
    good = run_of(campaign(999), base)
    assert verdicts(good)[-2:] == ("not run", "met, baselines apart")
    beaten = run_of(campaign(999), base, baselines={"minhash": rival(1000, 0)})
    assert verdicts(beaten)[-2:] == ("none", "met")
    row = verdicts(good, run_of(campaign(1000), base, seed=2))
    assert (row[2], row[4], row[5], row[-1]) == ("1 of 2", "2 of 2", "0 of 100", "missed")
    assert verdicts(run_of(campaign(10, recall=0.99), base))[-1] == "missed"
    assert verdicts(run_of(campaign(10, contained=None), base))[2] == "0 of 1"
    assert verdicts(run_of(campaign(10), line("base", "base", touched=1)))[-1] == "missed"


def test_a_baseline_that_serves_less_or_touches_fewer_is_named():
    base, hit = line("base", "base"), line("base", "base", touched=2)
    better = {"cards": rival(499, 0)}
    worse = {"prompts": rival(5000, 3)}
    assert verdicts(run_of(campaign(500), base, baselines=better | worse))[-2:] == (
        "cards",
        "missed",
    )
    assert verdicts(run_of(campaign(500), base, baselines=worse))[-2:] == ("none", "met")
    assert verdicts(run_of(campaign(500), hit, baselines={"x": rival(9000, 1)}))[-2] == "x"


def test_runs_that_lack_something_or_are_at_full_scale_are_told_apart():
    whole = run_of(campaign(5), line("base", "base"))
    full = run_of(campaign(5), line("base", "base"))
    full["job"] = full["job"] | {"against": ["pivot", "low-and-slow"]}
    lacking = [whole | {"variant": "no-prompt"}, whole | {"relations": False}]
    assert plain([whole, full, *lacking]) == [whole]
    assert [one.name for one in campaigns([whole | {"scenario": "pivot+adaptive"}])] == []
    page = report.text([whole, full, *lacking], None)
    for title in ("at full scale", "Without relationship facts", "Ablations"):
        assert title in page


def test_calibration_counts_real_clusters_by_score():
    clusters = [
        {"score": 0.95, "accounts": 9, "of": "pivot", "share": 1.0},
        {"score": 1.0, "accounts": 9, "of": "pivot", "share": 0.5},
        {"score": 0.4, "accounts": 9, "of": "base", "share": 0.9},
    ]
    bins = scored.calibration([run_of(campaign(5), clusters=clusters)])
    assert {(low, count, real) for low, _, count, real in bins if count} == {
        (0.3, 1, 0),
        (0.95, 2, 1),
    }
    leaked = [run_of(campaign(5), clusters=clusters, scenario="shared-keys")]
    assert not any(count for _, _, count, _ in scored.calibration(leaked))


def test_the_curve_of_accounts_falls_with_the_score():
    best = {"campaign": [0] * 101, "others": [0] * 101}
    best["campaign"][90], best["campaign"][0] = 3, 1
    best["others"][50], best["others"][0] = 1, 9
    curve = scored.account_curve([run_of(campaign(5), best_scores=best)])
    assert (0.0, 0.75) in curve
    assert (0.1, 0.75) in curve
    assert curve[-1] == (1.0, 1.0)


# --- what answers tell

LIMITED = """quotas:
  - {id: minute, mode: enforce, limit: {requests: 20}, window: 1m}
  - id: hand
    mode: enforce
    match: cluster.score >= 0.9
    per: cluster
    limit: {requests: 5}
    window: 1d
"""
REVEALING = """access:
  - {id: other, mode: enforce, match: cluster.score >= 0.9, then: step_up, reveals: true}
"""


def told(folder, text):
    (folder / "policies").mkdir(parents=True)
    (folder / "policies" / "q.yaml").write_text(text)
    (folder / "gauger.yaml").write_text("policies: policies\nstate_dir: state\n")
    return tell(folder / "gauger.yaml", 3, accounts=24, limit=20)


def test_refusals_of_a_cluster_and_of_an_own_limit_cannot_be_told_apart(tmp_path):
    found = told(tmp_path, LIMITED)
    assert found["refusals"] >= 100
    assert found["low"] < 0.55


def test_a_limit_that_only_clustered_accounts_have_is_found_at_once(tmp_path):
    found = told(tmp_path, LIMITED + REVEALING)
    assert found["accuracy"] > 0.9


def test_features_of_an_answer_leave_out_its_id_and_count_instants_from_it():
    answer = {
        "headers": [["x-request-id", "x-7"], ["reset", "2026-04-22T00:01:00Z"], ["wait", "1m5s"]],
        "body": {"error": {"message": "Rate limit reached: 600 requests per minute."}},
    }
    found = features(
        {"id": "x-7", "ts": 1_776_816_010.0, "status": 429, "delay_s": 0, "answer": answer}
    )
    assert found["reset@0"] == 50.0
    assert found["wait#0"] == 65.0
    assert found["body#0"] == 600.0
    assert found["x-request-id"] == "ID"


def test_a_tree_finds_what_two_columns_say_only_together():
    drawn = np.random.default_rng(1)
    columns = drawn.random((800, 5)) < [0.5, 0.6, 0.5, 0.5, 0.5]
    truth = columns[:, 1] & ~columns[:, 3]
    tree = grow(columns[:400], truth[:400])
    assert all(
        tree.says(row) == right for row, right in zip(columns[400:], truth[400:], strict=True)
    )
    assert {1, 3} <= tree.asked()


# --- the command


@pytest.mark.parametrize(("text", "seeds"), [("3", [3]), ("0,2", [0, 2]), ("7-9,1", [7, 8, 9, 1])])
def test_seeds_are_numbers_and_ranges(text, seeds):
    assert numbers_of(text) == seeds


@pytest.mark.parametrize("text", ["", "x", "1-", "5-3"])
def test_seeds_that_are_none_are_said_to_be(text):
    with pytest.raises(Exception, match="seed"):
        numbers_of(text)


def test_a_preset_is_whole_at_full_scale_with_digests_and_its_own_background(tmp_path):
    asked = Asked(0.05, 1.0, 1.0, None, tmp_path, CONFIG, baselines=True, keep=False)
    for name in PRESETS:
        job = asked.preset(name, 100)
        assert (job.scale, job.days, job.audit, job.baseline_days) == (1.0, None, "digest", 2.0)
        own = SCENARIOS[job.scenario].exchanges(1.0, None)
        assert job.unrelated() >= own
        assert job.unrelated() >= 650_000 * SCENARIOS[job.scenario].days


def test_the_command_repeats_a_run_in_another_process_resumes_and_writes_one_report(
    runs, tmp_path, capsys
):
    asked = {
        "scale": 0.002, "days": 0.04, "seeds": "1", "ratio": 0.2, "scenario": ["small-and-fast"],
        "relations": "with", "ablations": False, "answers": False, "baselines": False,
        "out": tmp_path,
    }  # fmt: skip
    main(**asked)
    path = tmp_path / "runs" / "small-and-fast-1.json"
    (run,) = json.loads((tmp_path / "campaigns.json").read_text())["runs"]
    assert run["decisions"] == runs[0]["decisions"]
    assert run["groups"] == runs[0]["groups"]
    kept_at = path.stat().st_mtime_ns
    main(**asked, resume=True)
    assert path.stat().st_mtime_ns == kept_at
    assert "small-and-fast" in capsys.readouterr().out


@pytest.mark.parametrize("option", [{"scenario": ["nobody"]}, {"relations": "some"}])
def test_what_is_not_known_is_refused_with_what_is(option):
    with pytest.raises(Exception, match=r"known|with"):
        main(seeds="1", **option)
