"""`gauger policy diff`, as an operator reads it and as CI does."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from proxy.cli.policy_diff import diff
from proxy.trial import tally
from tests.replay.conftest import NOON, line
from tests.trial.worlds import make_world, served

POLICY = """
quotas:
  - id: per-minute
    mode: enforce
    limit: {requests: 3}
    window: 1m
"""
TIGHTER = POLICY.replace("requests: 3", "requests: 2")
RENAMED = TIGHTER.replace("per-minute", "each-minute")


def run(*arguments: str | Path):
    app = typer.Typer()
    app.command()(diff)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


class World:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = make_world(root, POLICY)
        self.old = root / "policies"
        self.traffic = root / "t.jsonl"
        lines = [line(i, NOON + i, f"a{i % 4 + 1}") for i in range(12)]
        self.traffic.write_text("".join(json.dumps(one) + "\n" for one in lines))

    def new(self, text: str) -> Path:
        directory = self.root / "new"
        directory.mkdir(exist_ok=True)
        (directory / "p.yaml").write_text(text)
        return directory

    def over(self, text: str, *more: str | Path):
        where = ("--config", self.config, "--traffic", self.traffic)
        return run(self.old, self.new(text), *where, *more)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_what_changed_is_told_in_words_without_any_settings(world):
    done = run(world.old, world.new(RENAMED))
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [
        "what changed",
        "  quotas per-minute → each-minute: limit.requests 3 → 2",
        "  quotas each-minute: counts from nothing, it was called per-minute",
    ]
    assert "nothing changed" in run(world.old, world.old).output


def test_what_flips_over_a_recording_is_told_by_direction_and_by_rule_with_examples(world):
    done = world.over(TIGHTER)
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [
        "what changed",
        "  quotas per-minute: limit.requests 3 → 2",
        "",
        "over 12 exchanges of 4 accounts",
        "  newly refused: 4 exchanges of 4 accounts, 60 tokens",
        "  newly let through: none",
        "  changed otherwise: none",
        "",
        "per-minute",
        "  quotas per-minute: limit.requests 3 → 2",
        "  newly refused: 4 exchanges of 4 accounts, 60 tokens",
        "    x-0008  2026-04-22T00:00:08Z  account a1: allow → throttle",
        "      new: per-minute: requests: 2 used and 1 asked for, limit 2 in 60 s",
        "    x-0009  2026-04-22T00:00:09Z  account a2: allow → throttle",
        "      new: per-minute: requests: 2 used and 1 asked for, limit 2 in 60 s",
        "    x-0010  2026-04-22T00:00:10Z  account a3: allow → throttle",
        "      new: per-minute: requests: 2 used and 1 asked for, limit 2 in 60 s",
    ]


def test_more_accounts_newly_refused_than_allowed_fail(world):
    for allowed, code in ((4, 0), (3, 1), (0, 1)):
        done = world.over(TIGHTER, "--fail-over", str(allowed))
        assert done.exit_code == code
        told = f"4 accounts are newly refused; --fail-over allows {allowed}"
        assert (told in done.output) is bool(code)
    assert world.over(POLICY, "--fail-over", "0").exit_code == 0


def test_an_estimate_says_that_it_is_one(world, monkeypatch):
    monkeypatch.setattr(tally, "EXACT_ACCOUNTS", 2)
    done = world.over(TIGHTER, "--fail-over", "1")
    assert done.exit_code == 1
    assert "newly refused: 4 exchanges of about " in done.output
    assert "accounts are newly refused (an estimate, above" in done.output


def test_counters_that_are_lost_are_told_and_shown_from_the_moment_of_the_change(world):
    output = world.over(RENAMED).output
    assert "  when this goes live, these count from nothing: each-minute." in output
    assert "--change-at TIME shows what the loss of the counts does." in output
    loose = POLICY.replace("per-minute", "each-minute")
    lines = [line(i, NOON + i, "a1") for i in range(6)]
    world.traffic.write_text("".join(json.dumps(one) + "\n" for one in lines))
    output = world.over(loose, "--change-at", "2026-04-22T00:00:03Z").output
    assert "  the new set judges from 2026-04-22T00:00:03Z on, the old one before" in output
    assert "  newly let through: 3 exchanges of 1 account, 45 tokens" in output
    assert "    3 of them in the window in which counts began from nothing" in output
    assert "when this goes live, these" not in output


def test_as_json_it_is_data(world):
    said = json.loads(world.over(RENAMED, "--format", "json").output)
    assert said["resets"] == {"each-minute": "it was called per-minute"}
    assert said["changed"][0].startswith("quotas per-minute → each-minute")
    traffic = said["traffic"]
    assert traffic["totals"]["newly_refused"]["accounts"] == {"value": 4, "exact": True}
    (rule,) = traffic["rules"]
    assert rule["rule"] == "each-minute"
    assert rule["examples"]["newly_refused"][0]["old"]["verdict"] == "allow"
    alone = json.loads(run(world.old, world.new(RENAMED), "--format", "json").output)
    assert "traffic" not in alone


def test_all_flips_go_to_a_file(world):
    out = world.root / "flips.jsonl"
    assert world.over(TIGHTER, "--out", out, "--examples", "0").exit_code == 0
    assert len(out.read_text().splitlines()) == 4
    done = world.over(TIGHTER, "--out", out)
    assert (done.exit_code, "name a new file with --out" in done.output) == (1, True)


def test_a_set_that_was_in_force_is_named_by_its_digest(world):
    served(world.config, [line(1, NOON, "a1")])
    (digest,) = (path.name for path in (world.root / "var" / "policies").glob("[!.]*"))
    done = run(f"sha256:{digest}", world.new(TIGHTER), "--config", world.config)
    assert done.exit_code == 0, done.output
    assert "  quotas per-minute: limit.requests 3 → 2" in done.output
    done = run("sha256:" + "0" * 64, world.old, "--config", world.config)
    assert (done.exit_code, "is not among the sets" in done.output) == (1, True)


@pytest.mark.parametrize(
    ("option", "value"),
    [("--fail-over", "0"), ("--out", "f"), ("--change-at", "2026-12-01"), ("--accounts", "a")],
)
def test_options_that_would_do_nothing_are_refused(world, option, value):
    done = run(world.old, world.old, option, value)
    assert done.exit_code == 2
    assert f"{option} goes with --traffic only" in " ".join(done.output.replace("│", " ").split())


def test_a_time_that_is_none_is_refused(world):
    done = world.over(TIGHTER, "--change-at", "noon")
    assert done.exit_code == 2
    assert "is not a date" in done.output


def test_faults_of_either_set_are_told_with_their_places(world):
    done = world.over(POLICY.replace("limit", "limt"))
    assert done.exit_code == 1
    assert 'p.yaml:5:5: unknown key "limt" (did you mean "limit"?)' in done.output


def test_lines_left_out_are_told(world):
    world.traffic.write_text("{nonsense\n" + world.traffic.read_text())
    assert "t.jsonl:1: " in world.over(TIGHTER).output
    output = world.over(TIGHTER, "--skip-bad").output
    assert "  left out: 1 line that cannot be read" in output
    assert "over 12 exchanges" in output


def test_fuses_that_would_blow_are_told(world):
    fused = TIGHTER.replace("window: 1m", "window: 1m\n    fuse: {accounts: 2, within: 1h}")
    output = world.over(fused).output
    assert (
        "  under the new set the fuse of per-minute blows at 2026-04-22T00:00:10Z, "
        "after 3 accounts" in output
    )


def test_what_shadow_would_refuse_is_told(world):
    shadow = TIGHTER.replace("enforce", "shadow")
    output = world.over(shadow).output
    assert "  newly would refuse, in shadow: 4 exchanges of 4 accounts, 60 tokens" in output
