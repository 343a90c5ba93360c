import re
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.audit.format import segments

PAGE = Path(__file__).parents[2] / "docs" / "audit-log.md"


@pytest.fixture(scope="module")
def snippet():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return code


def run(snippet, log):
    return subprocess.run(
        [sys.executable, "-c", snippet, log], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("digests", [False, True])
def test_the_documented_verifier_accepts_a_good_log(snippet, tmp_path, write_log, digests):
    done = run(snippet, write_log(tmp_path / "log", 20, segment_lines=6, digests=digests))
    assert done.stdout.startswith("23 records")
    assert done.stderr == ""


@pytest.mark.parametrize("change", ["alter", "delete", "cut"])
def test_the_documented_verifier_refuses_a_changed_log(snippet, tmp_path, write_log, change):
    log = write_log(tmp_path / "log", 20)
    path = segments(log)[0]
    lines = path.read_bytes().splitlines(keepends=True)
    if change == "alter":
        lines[9] = lines[9].replace(b"ex_7", b"ex_9")
    lines = lines[:9] + lines[10:] if change == "delete" else lines
    path.write_bytes(b"".join(lines[:-1] if change == "cut" else lines))
    done = run(snippet, log)
    assert done.returncode == 1
    assert "jsonl:10" in done.stderr or "cut off" in done.stderr
