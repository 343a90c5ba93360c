import hashlib
import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

POLICY = "quotas:\n  - {id: q, mode: enforce, limit: {requests: 5}, window: 1m}\n"


def gauger(*arguments: str, stdin: str = "", cwd: Path | None = None, **environment: str):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GAUGER_")}
    return subprocess.run(
        [sys.executable, "-m", "proxy.cli", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**kept, **environment},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "p.yaml").write_text(POLICY)
    digest = hashlib.sha256(b"sk-1").hexdigest()
    account = {"account": "a", "keys": [{"id": "k", "sha256": digest}]}
    (tmp_path / "accounts.jsonl").write_text(json.dumps(account) + "\n")
    (tmp_path / "gauger.yaml").write_text(
        "policies: policies\naccounts: accounts.jsonl\nstate_dir: var\n"
    )
    return tmp_path


def test_help_lists_every_command_in_a_sentence():
    done = gauger("--help")
    assert done.returncode == 0
    for command in (
        *("serve", "check", "demo", "replay", "audit", "key", "health", "version"),
        *("policy", "rules", "disarm", "arm"),
    ):
        assert command in done.stdout


def test_version_is_that_of_the_distribution():
    assert gauger("version").stdout == f"gauger {version('gauger')}\n"


def test_a_key_is_hashed_from_standard_input_and_never_from_the_command_line():
    assert (
        gauger("key", "hash", stdin="sk-1\n").stdout.strip() == hashlib.sha256(b"sk-1").hexdigest()
    )
    assert json.loads(gauger("key", "hash", "--json", stdin="sk-1").stdout) == {
        "sha256": hashlib.sha256(b"sk-1").hexdigest()
    }
    assert gauger("key", "hash", "sk-1").returncode == 2


def test_a_key_that_no_request_could_carry_is_refused_and_not_repeated():
    for secret in ("sk 1", "sk-\u00fc", "sk-\t1"):
        done = gauger("key", "hash", stdin=secret)
        assert done.returncode == 1
        assert "visible ASCII" in done.stderr
        assert secret not in done.stderr


def test_no_key_is_told_with_what_to_type():
    done = gauger("key", "hash")
    assert done.returncode == 1
    assert "printf %s 'sk-…' | gauger key hash" in done.stderr


def test_check_tells_what_would_be_served(folder: Path):
    done = gauger("check", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "1 rules in 1 files, 1 enforced" in done.stdout
    assert "accounts.jsonl: 1" in done.stdout
    assert "none, not served" in done.stdout


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("policies/p.yaml", POLICY.replace("limit", "limt"), 'p.yaml:2:28: unknown key "limt"'),
        ("policies/p.yaml", "", "p.yaml: the file is empty"),
        ("policies/p.yaml", POLICY + "  - [", "not valid YAML"),
        ("policies/p.yaml", POLICY.replace("1m", "1m, match: {tiers: $paid}"), "there is no list"),
        ("gauger.yaml", "policies: policies\nstate_dir: var\nsever: {}\n", 'did you mean "server"'),
        ("gauger.yaml", "policies: none\nstate_dir: var\n", "none: no such directory"),
        ("accounts.jsonl", '{"account": "a"}\n', "accounts.jsonl:1: "),
        (
            "gauger.yaml",
            "policies: policies\nstate_dir: var\ngeo: {databases: [accounts.jsonl]}\n",
            "accounts.jsonl: ",
        ),
        (
            "gauger.yaml",
            "policies: policies\nstate_dir: var\ngeo: {databases: [none.mmdb]}\n",
            "none.mmdb: ",
        ),
    ],
)
def test_each_bad_file_is_told_in_one_line_without_a_trace(
    folder: Path, file: str, text: str, told: str
):
    (folder / file).write_text(text)
    for command in ("check", "serve"):
        done = gauger(command, cwd=folder)
        assert done.returncode == 1
        assert told in done.stderr
        assert "Traceback" not in done.stderr


def test_a_setting_may_come_from_the_environment(folder: Path):
    done = gauger("check", cwd=folder, GAUGER_POLICIES="elsewhere")
    assert "elsewhere: no such directory" in done.stderr


def test_verify_of_no_log_is_told(tmp_path: Path):
    done = gauger("audit", "verify", str(tmp_path / "none"))
    assert done.returncode == 1
    assert "no such directory" in done.stderr


def test_health_of_nothing_is_bad(folder: Path):
    done = gauger("health", cwd=folder, GAUGER_ADMIN__LISTEN="127.0.0.1:1")
    assert done.returncode == 1
    assert done.stdout.startswith("no answer from 127.0.0.1:1")
