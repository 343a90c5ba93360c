"""`gauger clusters confirm`, `dismiss`, `reopen`, `add`, `remove`: a line each, or a fault."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli.main import app
from proxy.model.finding import Action
from proxy.settings.findings import findings_after
from tests.investigate.made import cluster, state_dir


def ran(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["clusters", *map(str, arguments)])
    return result.exit_code, result.output


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return state_dir(tmp_path)


def said_in(config: Path) -> list[tuple[Action, str, tuple[str, ...], str]]:
    found, _ = findings_after(config.parent / "var" / "detector")
    return [(one.action, one.cluster, one.accounts, one.why) for one in found]


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (["confirm", "c-7f3a"], (Action.CONFIRM, "c-7f3a", (), "")),
        (["dismiss", "c-7f3a", "--why", "a class"], (Action.DISMISS, "c-7f3a", (), "a class")),
        (["reopen", "c-7f3a", "--why", "no class"], (Action.REOPEN, "c-7f3a", (), "no class")),
        (["add", "c-7f3a", "x", "y", "x"], (Action.ADD, "c-7f3a", ("x", "y"), "")),
        (["remove", "c-7f3a", "acct-0001"], (Action.REMOVE, "c-7f3a", ("acct-0001",), "")),
    ],
)
def test_what_is_said_stands_in_the_findings(config: Path, arguments, written):
    code, said = ran(*arguments, "--who", "Ann", "--config", config)
    assert code == 0
    assert "by Ann; the detector takes it up" in said
    assert said_in(config) == [written]


def test_it_is_said_by_the_user_of_the_system_if_nobody_is_named(config: Path, monkeypatch):
    monkeypatch.setenv("LOGNAME", "night-shift")
    ran("confirm", "c-7f3a", "--config", config)
    file = config.parent / "var" / "detector" / "findings.jsonl"
    assert json.loads(file.read_text())["who"] == "night-shift"
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["confirm", "c-7f3"], 'did you mean "c-7f3a"?'),
        (["dismiss", "c-7f3a"], "--why"),
        (["dismiss", "c-7f3a", "--why", "  "], "say why it is a mistake"),
        (["remove", "c-7f3a", "nobody"], "not in c-7f3a: nobody"),
        (["confirm", "c-7f3a", "--why", "a\nb"], "one line of text"),
        (["confirm", "c-7f3a", "--who", " "], "a name, for the record"),
        (["confirm", "c-7f3a", "--why", "x" * 1001], "at most 1,000 characters"),
    ],
)
def test_what_would_do_nothing_is_a_fault_and_writes_nothing(config: Path, arguments, fault: str):
    code, said = ran(*arguments, "--config", config)
    assert code != 0
    assert fault in said
    assert said_in(config) == []


def test_an_account_that_the_directory_does_not_have_is_not_added(tmp_path: Path):
    config = state_dir(tmp_path)
    (tmp_path / "accounts.jsonl").write_text('{"account": "acct-9", "keys": []}\n')
    config.write_text(config.read_text() + "accounts: accounts.jsonl\n")
    code, said = ran("add", "c-7f3a", "acct-9", "acct-8", "--config", config)
    assert (code, "accounts.jsonl: acct-8" in said) == (1, True)
    assert ran("add", "c-7f3a", "acct-9", "--config", config)[0] == 0


def test_what_investigators_said_of_a_cluster_is_shown_with_it(tmp_path: Path):
    config = state_dir(tmp_path, cluster(), cluster("c-2"), cluster("c-3", parents=("c-1",)))
    ran("add", "c-7f3a", "x", "--why", "same card", "--who", "Ann", "--config", config)
    shown = ran("show", "c-7f3a", "--config", config)[1]
    assert "Ann  add 1 accounts: same card" in shown
    assert "Ann" not in ran("show", "c-2", "--config", config)[1]
