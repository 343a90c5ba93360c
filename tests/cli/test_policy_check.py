import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from proxy.cli.policy_check import check

SOUND = "quotas:\n  - {id: q, mode: enforce, limit: {requests: 5}, window: 1m}\n"
ODD = SOUND.replace("limit", "match: {tiers: [free, free]}, limit")
BAD = SOUND.replace("requests: 5", "requests: 0")
FAULT = "quotas[0].limit.requests: write a number above 0, found the number 0"


def run(*arguments: str | Path):
    app = typer.Typer()
    app.command()(check)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def directory(tmp_path: Path):
    def written(text: str, name: str = "new") -> Path:
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "50%,a.yaml").write_text(text)
        return tmp_path / name

    return written


def test_a_set_in_order_is_told_with_its_digest(directory):
    done = run(directory(SOUND), "--strict")
    assert done.exit_code == 0
    assert "1 rule in 1 file, in order\nsha256:" in done.output


def test_a_fault_is_told_with_its_place_and_fails(directory):
    done = run(directory(BAD))
    assert done.exit_code == 1
    assert done.output.endswith(f"50%,a.yaml:2:46: {FAULT}\n")


def test_a_warning_is_told_and_fails_only_where_it_shall(directory):
    done = run(directory(ODD))
    assert done.exit_code == 0
    first, counted, digest = done.output.splitlines()
    assert first.startswith("warning: ")
    assert first.endswith('50%,a.yaml:2:50: "free" stands here twice')
    assert counted.endswith("1 rule in 1 file, 1 warning")
    assert digest.startswith("sha256:")
    assert run(directory(ODD), "--strict").exit_code == 1


def test_a_program_is_told_in_one_line_of_json(directory):
    faulty = json.loads(run(directory(BAD), "--format", "json").output)
    assert [(p["line"], p["column"], p["message"]) for p in faulty["problems"]] == [(2, 46, FAULT)]
    assert faulty["warnings"] == []
    odd = json.loads(run(directory(ODD), "--format", "json").output)
    assert odd["problems"] == []
    assert [warning["message"] for warning in odd["warnings"]] == ['"free" stands here twice']
    sound = run(directory(SOUND), "--format", "json")
    assert json.loads(sound.output) == {"problems": [], "warnings": []}


def test_github_is_told_in_annotations_whose_texts_are_escaped(directory):
    fault = run(directory(BAD), "--format", "github").output
    assert fault.startswith("::error file=")
    assert f"50%25%2Ca.yaml,line=2,col=46::{FAULT}" in fault
    warning = run(directory(ODD), "--format", "github").output
    assert warning.startswith("::warning file=")
    assert 'line=2,col=50::"free" stands here twice' in warning


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("id: q", "id: quota", "2:10: the quota counts from nothing: it was called q"),
        ("1m", "1h", "2:58: the quota counts from nothing: its window was 60 s and is 3600 s"),
        ("requests: 5", "requests: 500", None),
        ("enforce", "shadow", None),
    ],
)
def test_counters_that_begin_from_nothing_are_warned_of_against_what_was(
    directory, before: str, after: str, said: str | None
):
    old, new = directory(SOUND, "old"), directory(SOUND.replace(before, after))
    done = run(new, "--against", old, "--strict")
    assert done.exit_code == (1 if said else 0)
    assert (said or "in order") in done.output


def test_a_directory_without_policies_is_a_fault(tmp_path: Path):
    done = run(tmp_path / "none")
    assert done.exit_code == 1
    assert "no such directory" in done.output


def test_a_file_below_that_is_not_read_is_warned_of_and_cases_are_not(directory):
    policies = directory(SOUND)
    for folder in ("more", "tests", "examples", ".git"):
        (policies / folder).mkdir()
        (policies / folder / "x.yaml").write_text("lists: {}\n")
    done = run(policies)
    warned = [line for line in done.output.splitlines() if "is not read" in line]
    assert [line.split(": ")[1] for line in warned] == [str(policies / "more" / "x.yaml")]
