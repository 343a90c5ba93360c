"""Settings of the webhook: faults that are told, and secrets that are not."""

import base64
from pathlib import Path

import pytest

from proxy.policy.problem import ProblemsError
from proxy.settings.load import load
from proxy.settings.schema_webhook import secret_bytes

LEAST = "policies: policies\nstate_dir: var\ndetector:\n  webhook:\n"
URL = "    url: https://hooks.example.com/T0/secret-path\n"
GOOD = {"HOOK": "whsec_" + base64.b64encode(bytes(range(32))).decode()}


def loaded(tmp_path: Path, text: str, environment: dict[str, str] = GOOD):
    file = tmp_path / "gauger.yaml"
    file.write_text(LEAST + text)
    return load(file, environment).detector.webhook


def test_new_clusters_are_told_unless_more_is_asked_for(tmp_path: Path):
    told = loaded(tmp_path, URL + "    secret_env: HOOK\n")
    assert told is not None
    assert (told.events, told.timeout_s) == (["open"], 10.0)


@pytest.mark.parametrize(
    ("text", "environment", "fault"),
    [
        (URL, GOOD, "secret_env"),
        (URL + "    secret_env: NOPE\n", {}, "the environment variable NOPE is not set"),
        (URL + "    secret_env: HOOK\n", {"HOOK": "short"}, "needs 24 bytes"),
        (URL + "    secret_env: HOOK\n", {"HOOK": "whsec_é"}, "is not base64"),
        ("    url: hooks.example.com/x\n    secret_env: HOOK\n", GOOD, "is not the URL"),
        ("    url: https://u:p@h/x\n    secret_env: HOOK\n", GOOD, "a credential does not belong"),
        (URL + "    secret_env: HOOK\n    events: [grow]\n", GOOD, "events"),
        (URL + "    secret_env: HOOK\n    events: []\n", GOOD, "events"),
    ],
)
def test_faults_are_told_and_quote_no_secret(tmp_path: Path, text, environment, fault):
    with pytest.raises(ProblemsError) as caught:
        loaded(tmp_path, text, environment)
    said = str(caught.value)
    assert f"{tmp_path / 'gauger.yaml'}:" in said
    assert fault in said
    assert "secret-path" not in said
    assert "u:p" not in said


def test_a_variable_that_begins_like_a_setting_may_hold_the_secret(tmp_path: Path):
    environment = {"GAUGER_HOOK_SECRET": GOOD["HOOK"]}
    assert loaded(tmp_path, URL + "    secret_env: GAUGER_HOOK_SECRET\n", environment) is not None


def test_a_secret_is_base64_after_its_prefix_and_itself_without():
    assert secret_bytes(GOOD["HOOK"]) == bytes(range(32))
    assert secret_bytes("x" * 24) == b"x" * 24
