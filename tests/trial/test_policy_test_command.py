"""`gauger policy test` at work: what it prints, in each format, and how it ends."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from proxy.cli import policy_test
from proxy.cli.policy_test import run_tests
from tests.trial.sets import DEFAULTS, write

POLICY = """
quotas: [{id: per-minute, mode: enforce, limit: {requests: 3}, window: 1m}]
access: [{id: never, mode: enforce, match: {tiers: [bad]}, then: deny, on_missing: abstain}]
"""
FULL = "{name: A full minute., facts: {account.tier: good}, counters: {per-minute: {requests: 3}}"
PASSES = f"{DEFAULTS}cases:\n  - {FULL}, expect: {{verdict: throttle}}}}\n"
FAILS = f"{DEFAULTS}cases:\n  - {FULL}, expect: {{verdict: allow, status: 200}}}}\n"
GUARDS = (
    PASSES
    + "  - {name: Bad., facts: {account.tier: bad}, expect: {rules: {never: deny}}}\n"
    + "  - {name: Good., facts: {account.tier: good}, expect: {only_rules: {}}}\n"
)

app = typer.Typer()
app.command("test")(run_tests)


def gauger_test(directory: Path, *options: str) -> Result:
    return CliRunner().invoke(app, [str(directory), *options])


@pytest.fixture
def passing(tmp_path: Path) -> Path:
    return write(tmp_path, PASSES, POLICY)


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    return write(tmp_path, FAILS, POLICY)


def test_cases_that_pass_are_listed_with_what_none_of_them_guards(passing: Path):
    done = gauger_test(passing)
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert lines[0] == f"ok  A full minute.  {passing}/tests/cases.yaml:3"
    assert lines[2:4] == ["No case exercises", "  never"]
    assert lines[5] == "No case would notice if"
    assert [line.split()[0] for line in lines[6:7]] == ["never"]
    assert "write: where it acts, expect: {rules: {never: deny}}" in lines[6]
    assert lines[-1] == "1 case, all passed; 2 rules, 1 not exercised; 4 mutants, 1 not noticed"


def test_a_failure_shows_what_was_wanted_what_came_and_what_each_rule_said(failing: Path):
    done = gauger_test(failing)
    assert done.exit_code == 1
    said = done.output.split("\n\n")[1]
    assert said.splitlines()[0] == f"FAIL {failing}/tests/cases.yaml:3 A full minute."
    assert [line.split() for line in said.splitlines()[1:4]] == [
        ["wanted", "came"],
        ["verdict", "allow", "throttle"],
        ["status", "200", "429"],
    ]
    why = "requests: 3 used and 1 asked for, limit 3 in 60 s"
    assert f"enforce         per-minute  throttle  {why}" in said
    assert f"count, enforce  per-minute  no room   {why}" in said
    assert (
        "told                        429       Rate limit reached: 3 requests per minute." in said
    )


def test_with_cover_a_rule_that_no_case_guards_is_a_failure(tmp_path: Path):
    assert gauger_test(write(tmp_path, PASSES, POLICY), "--cover").exit_code == 1
    done = gauger_test(write(tmp_path, GUARDS, POLICY), "--cover")
    assert done.exit_code == 0
    assert done.output.endswith(
        "3 cases, all passed; 2 rules, all exercised; 4 mutants, all noticed\n"
    )


def test_mutants_are_left_alone_where_that_is_asked_for(passing: Path):
    done = gauger_test(passing, "--no-mutate")
    assert done.output.endswith("2 rules, 1 not exercised; mutants not tried (--mutate)\n")


@pytest.mark.parametrize("bound", ["QUICK_S", "QUICK_PAIRS"])
def test_mutants_that_would_take_long_are_tried_where_somebody_asks(
    passing: Path, bound: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(policy_test, bound, 0)
    assert "mutants not tried" in gauger_test(passing).output
    assert "4 mutants" in gauger_test(passing, "--mutate").output


def test_programs_are_told_everything_in_json(failing: Path):
    done = gauger_test(failing, "--mutate", "--format", "json")
    assert done.exit_code == 1
    told = json.loads(done.output)
    assert told["policy"].startswith("sha256:")
    (case,) = told["cases"]
    assert (case["name"], case["line"], case["passed"]) == ("A full minute.", 3, False)
    assert case["differences"][0] == {
        "exchange": 1,
        "what": "verdict",
        "wanted": "allow",
        "came": "throttle",
    }
    assert told["unexercised"] == ["never"]
    assert {row["rule"] for row in told["unnoticed"]} == {"per-minute", "never"}


def test_junit_is_told_of_each_case_and_with_cover_of_each_rule_without_one(failing: Path):
    suites = ET.fromstring(gauger_test(failing, "--format", "junit").output)
    assert suites.attrib["failures"] == "1"
    (case,) = suites.iter("testcase")
    assert case.attrib["name"] == "A full minute."
    failure = case.find("failure")
    assert failure is not None
    assert failure.attrib["message"] == "verdict: wanted allow, came throttle"
    assert "per-minute" in (failure.text or "")
    covered = ET.fromstring(gauger_test(failing, "--format", "junit", "--cover").output)
    names = [case.attrib["name"] for case in covered.iter("testcase")]
    assert "never: no case exercises it" in names
    assert covered.attrib["tests"] == str(len(names))


@pytest.mark.parametrize("how", ["text", "json", "junit"])
def test_faults_of_the_files_are_told_in_each_format(tmp_path: Path, how: str):
    directory = write(tmp_path, "cases: 7\n", POLICY)
    done = gauger_test(directory, "--format", how)
    assert done.exit_code == 1
    said = "cases: write a list"
    if how == "text":
        assert done.stdout == ""
        assert f"{directory}/tests/cases.yaml:1:8: {said}" in done.stderr
    elif how == "json":
        (problem,) = json.loads(done.stdout)["problems"]
        assert (problem["line"], problem["column"]) == (1, 8)
    else:
        suites = ET.fromstring(done.stdout)
        assert suites.attrib["errors"] == "1"
        assert said in suites.findtext(".//error", "")


def test_one_case_may_be_run_alone_and_nothing_is_said_of_the_others(tmp_path: Path):
    done = gauger_test(write(tmp_path, GUARDS, POLICY), "--only", "Bad")
    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == "1 case, all passed"
    assert gauger_test(tmp_path, "--only", "Nobody").exit_code == 2
    assert gauger_test(tmp_path, "--only", "Bad", "--cover").exit_code == 2


def test_names_cannot_move_the_cursor_of_a_terminal(tmp_path: Path):
    cases = PASSES.replace("A full minute.", '"A \\x1b[2J minute."')
    assert "A ?[2J minute." in gauger_test(write(tmp_path, cases, POLICY)).output
