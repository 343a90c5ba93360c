"""`gauger disarm`, `arm` and `rules` where there is no gateway, no token, or something else."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli.admin import AdminError, address
from proxy.cli.main import app
from proxy.cli.rules import token
from proxy.settings.load import load

RULES = {
    "policy": "sha256:" + "1" * 64,
    "rules": [
        {
            "id": "a-rule-with-a-long-name",
            "kind": "access",
            "mode": "enforce",
            "severity": "high",
            "labels": ["c-7", "[eu]"],
            "legal": False,
            "armed": False,
            "disarmed": {
                "who": "otto",
                "why": "it refuses a hospital, and that for no reason that anybody could name",
                "since": "2026-03-01T00:00:00Z",
            },
        },
        {
            "id": "law",
            "kind": "geography",
            "mode": "enforce",
            "severity": "critical",
            "labels": [],
            "legal": True,
            "armed": True,
            "disarmed": {"who": "otto", "why": "x\u001b[31m", "since": "2026-03-01T00:00:00Z"},
        },
        {
            "id": "gone",
            "kind": None,
            "mode": None,
            "severity": None,
            "labels": [],
            "legal": False,
            "armed": False,
            "disarmed": {"who": "gauger.fuse", "why": "y", "since": "2026-03-01T00:00:00Z"},
        },
    ],
}


@contextmanager
def answering(status: int, body: bytes) -> Iterator[tuple[str, list[tuple[str, str, bytes]]]]:
    """Something that answers every request alike, and what it was asked (path, token, body)."""
    asked: list[tuple[str, str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            given = self.headers.get("Authorization") or ""
            asked.append((f"{self.command} {self.path}", given, self.rfile.read(length)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command with settings whose admin listener is at an address."""

    def runs(*arguments: str, at: str = "127.0.0.1:1", token: str = "otto-token"):
        config = tmp_path / "gauger.yaml"
        config.write_text(f"policies: p\nstate_dir: s\nadmin: {{listen: '{at}'}}\n")
        monkeypatch.setenv("GAUGER_ADMIN_TOKEN", token)
        done = CliRunner().invoke(app, [*arguments, "--config", str(config)])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stdout, done.stderr

    return runs


COMMANDS = (["disarm", "r", "--why", "x"], ["arm", "r", "--why", "x"], ["rules"])


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_gateway_the_address_is_told(run: Run, command: list[str]):
    code, out, told = run(*command)
    assert (code, out) == (1, "")
    assert told.startswith("no answer from 127.0.0.1:1 (admin.listen): ")
    assert told.endswith("; is it running here?\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_token_it_is_told_where_one_is_taken_from(run: Run, command: list[str]):
    code, _, told = run(*command, token="")
    assert code == 1
    assert "no token: set GAUGER_ADMIN_TOKEN" in told


@pytest.mark.parametrize("command", COMMANDS)
def test_a_token_that_nobody_has_is_told_and_not_repeated(run: Run, command: list[str]):
    with answering(401, b'{"result": "unknown token"}') as (there, asked):
        code, _, told = run(*command, at=there)
    assert code == 1
    assert f"{there} does not know this token" in told
    assert "otto-token" not in told
    assert asked[0][1] == "Bearer otto-token"


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_no_gauger_is_told(run: Run, command: list[str]):
    with answering(200, b"<html>") as (there, _):
        code, _, told = run(*command, at=there)
    assert code == 1
    assert "no Gauger" in told


def test_a_reason_is_required(run: Run):
    code, _, told = run("disarm", "r")
    assert code == 2
    assert "--why" in told


def test_the_gateways_answer_is_told_and_its_no_is_a_failure(run: Run):
    with answering(404, b'{"result": "there is no rule \\"r\\""}') as (there, _):
        assert run("disarm", "r", "--why", "x", at=there) == (1, "", 'there is no rule "r"\n')
    with answering(200, b'{"result": "r is armed"}') as (there, asked):
        assert run("arm", "r", "--why", "it's ours", at=there) == (0, "r is armed\n", "")
    ((path, _, body),) = asked
    assert path == "POST /v1/rules/r/arm"
    assert json.loads(body) == {"why": "it's ours"}


def test_a_rule_is_one_step_of_the_path_whatever_is_typed(run: Run):
    with answering(404, b'{"result": "no"}') as (there, asked):
        run("disarm", "../admin?x#y z", "--why", "x", at=there)
        assert asked[0][0] == "POST /v1/rules/..%2Fadmin%3Fx%23y%20z/disarm"
        assert run("disarm", "..", "--why", "x", at=there)[2] == '".." is not the id of a rule\n'


def test_rules_are_a_line_each_where_a_program_reads(run: Run):
    with answering(200, json.dumps(RULES).encode()) as (there, _):
        code, out, _ = run("rules", at=there)
    assert code == 0
    heading, first, law, gone, digest = out.splitlines()
    assert heading.split() == ["rule", "kind", "mode", "severity", "labels", "state"]
    assert first.split()[:6] == [
        "a-rule-with-a-long-name",
        "access",
        "enforce",
        "high",
        "c-7",
        "[eu]",
    ]
    assert first.endswith(
        "disarmed by otto since 2026-03-01T00:00:00Z: it refuses a hospital, and that for no "
        "reason that anybody could name"
    )
    assert law.endswith(
        "armed, for it is legal now; disarmed by otto since 2026-03-01T00:00:00Z: x?[31m"
    )
    assert "disarmed, not in the set now; by gauger.fuse" in gone
    assert digest == RULES["policy"]


def test_rules_are_told_to_programs_as_the_gateway_tells_them(run: Run):
    with answering(200, json.dumps(RULES).encode()) as (there, _):
        code, out, _ = run("rules", "--json", at=there)
    assert code == 0
    assert json.loads(out) == RULES


def test_a_token_is_asked_for_where_the_environment_has_none():
    assert token({"GAUGER_ADMIN_TOKEN": " t "}, None) == "t"
    assert token({}, lambda: "typed\n") == "typed"
    for given in ("a b", "ü", "a\x00"):
        with pytest.raises(AdminError, match="visible ASCII"):
            token({}, lambda given=given: given)


@pytest.mark.parametrize(
    ("listen", "asked"),
    [
        ("127.0.0.1:9090", ("127.0.0.1", 9090)),
        ("0.0.0.0:9090", ("127.0.0.1", 9090)),
        ("[::]:9090", ("::1", 9090)),
        ("[::1]:9090", ("::1", 9090)),
        ("gauger-admin:9090", ("gauger-admin", 9090)),
    ],
)
def test_where_to_ask_is_where_the_settings_say_to_listen(tmp_path, listen, asked):
    config = tmp_path / "gauger.yaml"
    config.write_text(f"policies: p\nstate_dir: s\nadmin: {{listen: '{listen}'}}\n")
    assert address(load(config, {})) == asked


def test_the_variable_of_the_token_is_no_setting(tmp_path):
    config = tmp_path / "gauger.yaml"
    config.write_text("policies: p\nstate_dir: s\n")
    secret = hashlib.sha256(b"x").hexdigest()
    assert load(config, {"GAUGER_ADMIN_TOKEN": secret}).admin.principals == []
