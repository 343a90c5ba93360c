"""The page on trying a change: every file on it is written, every command run, in its order."""

import gzip
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from proxy.cli.policy_check import check
from proxy.cli.policy_diff import diff
from proxy.cli.policy_explain import explain
from proxy.cli.policy_test import run_tests
from tests.replay.conftest import account, line
from tests.trial.worlds import make_world, served

PAGE = Path(__file__).parents[2] / "docs" / "policy-change.md"
NOON = 1_793_620_800.0  # 2026-11-02T12:00:00Z
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ACCOUNTS = [account(f"acc-{i}", tier="free", verified=True) for i in range(1, 5)]
ACCOUNTS += [
    account("acc-5", tier="paid", verified=False),
    account("acc-6", tier="paid", verified=True),
]
USED = {"status": 200, "usage": {"input_tokens": 100, "output_tokens": 50}, "duration_s": 1.0}


def exchanges() -> Iterator[dict[str, object]]:
    """Two busy accounts and two quiet ones within a minute, then large models."""
    asked = ["acc-1", "acc-2"] * 45 + ["acc-1"] * 5
    asked += ["acc-3"] * 39 + ["acc-4"] * 36
    for i, name in enumerate(asked):
        yield exchange(i, NOON + i / 4, name, "m-small")
    for i, name in enumerate(("acc-5", "acc-5", "acc-6", "acc-1")):
        yield exchange(170 + i, NOON + 55 + i, name, "m-large-2")


def exchange(number: int, ts: float, name: str, model: str) -> dict[str, object]:
    body = {"model": model, "messages": [{"role": "user", "content": "hello there"}]}
    return line(number, ts, name, body=body, response=USED)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    in_force = next(text for kind, text in fences() if kind == "yaml")
    config = make_world(tmp_path, in_force, accounts=ACCOUNTS)
    recording = list(exchanges())
    served(config, recording)
    (tmp_path / "policies" / "p.yaml").unlink()
    text = "".join(json.dumps(one) + "\n" for one in recording)
    (tmp_path / "traffic.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fences() -> list[tuple[str, str]]:
    return FENCE.findall(PAGE.read_text())


def write(folder: Path, text: str) -> None:
    """A file of the page; its first line is its name."""
    name = text.splitlines()[0].removeprefix("# ")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def run(command: str) -> tuple[int, str]:
    """A command of the page."""
    words = shlex.split(command)
    assert words[:2] == ["gauger", "policy"]
    app = typer.Typer()
    for name, function in (
        ("check", check),
        ("test", run_tests),
        ("diff", diff),
        ("explain", explain),
    ):
        app.command(name)(function)
    done = CliRunner().invoke(app, words[2:])
    return done.exit_code, done.output


def test_every_command_on_the_page_works_and_prints_what_the_page_says(folder):
    ran: list[str] = []
    output = ""
    for kind, text in fences():
        if kind == "yaml":
            write(folder, text)
        elif kind == "text":
            assert text in output, output
        else:
            for command in text.splitlines():
                code, output = run(command)
                assert code == 0, (command, output)
                ran.append(command)
    assert {command.split(" policy ")[1].split()[0] for command in ran} == {
        "check",
        "test",
        "diff",
        "explain",
    }
    assert len(ran) > 10
