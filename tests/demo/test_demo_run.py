"""`gauger demo` as a person starts it: what it says, that it can be stopped, what it leaves."""

import re
import shlex
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.demo import run as demo

SUMMARY = "What was refused, and why"


@contextmanager
def started(tmp_path: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "proxy.cli", "demo", "--seconds", "3", *options]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), "PYTHONIOENCODING": "utf-8"},
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)


def part(summary: str, name: str) -> str:
    """What the summary says of one party."""
    found = re.search(rf"^{name}.*\n((?:    .*\n)+)", summary, re.MULTILINE)
    assert found, summary
    return found[1]


def test_it_names_everybody_who_was_refused_and_verifies_the_log(tmp_path: Path):
    with started(tmp_path, "--once") as process:
        assert process.stdout
        output = process.stdout.read()
    assert process.returncode == 0, output
    decisions, _, summary = output.partition(SUMMARY)
    assert re.search(r"ada \(DE\) .* allow", decisions)
    assert "    0 of " in part(summary, "ada, bruno")
    assert "throttle by trial-per-minute: requests: 30 used" in part(summary, "hasty")
    assert "openai.RateLimitError" in part(summary, "hasty")
    assert "deny by large-model-embargo: client.country BV" in part(summary, "islander")
    assert "openai.PermissionDeniedError" in part(summary, "islander")
    assert "throttle by shared-template" in part(summary, "hydra-01")
    assert "deny by gauger.identity" in part(summary, "stranger")
    assert "Audit log: verified" in summary
    assert list(tmp_path.iterdir()) == []


def test_it_serves_on_until_interrupted_and_its_curl_lines_work_as_they_stand(tmp_path: Path):
    with started(tmp_path) as process:
        assert process.stdout
        curls: list[str] = []
        for line in process.stdout:
            if line.startswith("curl "):
                curls.append(line)
            if line.startswith("Serving until Ctrl-C"):
                break
        assert [status_of(line) for line in curls] == [200, 403]
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 0, rest
    assert "Traceback" not in rest
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(urllib.error.URLError):
        status_of(curls[0])


def status_of(curl: str) -> int:
    """Send what a curl line says; the status of the answer."""
    command, _, url, *options = shlex.split(curl)
    assert command == "curl"
    pairs = list(zip(options[::2], options[1::2], strict=True))
    headers = dict(value.split(": ", 1) for name, value in pairs if name == "-H")
    (body,) = [value for name, value in pairs if name == "-d"]
    request = urllib.request.Request(url, body.encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_without_its_extra_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(demo.EXTRA, "no_such_module", "no-such-package")
    assert demo.run(seconds=2, once=True) == 1
    assert "no-such-package" in (said := capsys.readouterr().err)
    assert "pip install 'gauger[demo]'" in said
