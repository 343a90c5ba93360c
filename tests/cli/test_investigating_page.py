"""The guide for investigators: its commands print what it shows, and its verifier verifies."""

import re
import time
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
import yaml

from proxy.gateway.webhook_message import headers, message
from proxy.settings.load import load
from proxy.settings.schema_webhook import secret_bytes
from tests.cli.test_policy_guide_page import FENCE, pattern, run
from tests.investigate.day import replay_day
from tests.investigate.made import EVENTS, cluster, lines, state_dir

PAGE = (Path(__file__).parents[2] / "docs" / "investigating.md").read_text()
FENCES = FENCE.findall(PAGE)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(autouse=True)
def _gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway's state and a replay's results, where the page's reader is."""
    state_dir(tmp_path)
    replay_day(tmp_path)
    found = tmp_path / "accounts.jsonl"
    more = [{"account": name, "keys": []} for name, _ in cluster().members]
    found.write_bytes(found.read_bytes() + lines(more))
    monkeypatch.chdir(tmp_path)


def test_commands_print_what_the_page_shows():
    shown = 0
    for (info, typed), (then, printed) in pairwise(FENCES):
        if info == "" and then == "text":
            outcome = [run(command) for command in typed.splitlines()]
            assert [code for code, _ in outcome] == [0] * len(outcome), outcome
            said = "".join(output for _, output in outcome)
            plain = re.sub(r"[ ]+\n", "\n", said)
            if not re.fullmatch(pattern(printed), plain):
                assert plain == printed
            shown += 1
    assert shown == 5


def test_every_command_about_found_clusters_is_on_the_page():
    named = set(re.findall(r"gauger clusters (\w+)", PAGE)) | {"reopen", "add"}
    every = {"list", "show", "graph", "confirm", "dismiss", "reopen", "add", "remove", "exposure"}
    assert named == every
    assert all(f"`{name} ID" in PAGE or f"`{name}`" in PAGE for name in ("reopen", "add"))


def test_the_settings_of_the_webhook_are_those_that_the_page_names(tmp_path: Path):
    (text,) = [text for info, text in FENCES if info == "yaml"]
    config = tmp_path / "gauger.yaml"
    config.write_text(config.read_text() + text)
    webhook = load(config, {"GAUGER_WEBHOOK_SECRET": SECRET}).detector.webhook
    assert webhook is not None
    assert webhook.events == yaml.safe_load(text)["detector"]["webhook"]["events"]
    for name, field in type(webhook).model_fields.items():
        assert f"| `{name}` | " in PAGE
        if isinstance(field.default, float):
            assert f"| `{name}` | {field.default:g} |" in PAGE


def test_the_verifier_of_the_page_accepts_what_is_sent_and_nothing_else():
    (code,) = [text for info, text in FENCES if info == "python"]
    scope: dict[str, object] = {}
    exec(code, scope)  # the page's own text
    verified = scope["verified"]
    assert callable(verified)
    now_ns = time.time_ns()
    told = message(EVENTS[0], cluster(), lambda kind, value: "5f0c1d2e3a4b5c6d", now_ns)
    sent = headers(secret_bytes(SECRET), told.id, told.body, now_ns)
    assert verified(sent, told.body, SECRET)
    assert not verified(sent, told.body + b" ", SECRET)
    late = headers(secret_bytes(SECRET), told.id, told.body, now_ns - 400 * 10**9)
    assert not verified(late, told.body, SECRET)


def test_the_message_of_the_page_has_the_members_of_one_that_is_sent():
    (text,) = [text for info, text in FENCES if info == "json"]
    shown = msgspec.json.decode(text)
    sent = msgspec.json.decode(message(EVENTS[0], cluster(), lambda kind, value: value, 1).body)
    assert list(shown) == list(sent)
    assert list(shown["data"]) == list(sent["data"])
    for name in ("evidence", "members"):
        assert list(shown["data"][name][0]) == list(sent["data"][name][0])
