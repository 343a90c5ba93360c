import json
from pathlib import Path

from bench.sloppy.__main__ import main
from bench.sloppy.clients import KINDS


def test_what_a_burst_at_the_limit_is_charged_is_what_it_used(tmp_path: Path):
    main(out=tmp_path, only="200 at once")
    (found,) = json.loads((tmp_path / "sloppy.json").read_text())
    assert (found["sent"], found["refused"], found["over"], found["leaked"]) == (200, 100, 0, 0)
    assert found["charged"] == found["true"]
    assert found["true"]["output_tokens"] == 500
    page = (tmp_path / "sloppy.md").read_text()
    assert "| 200 at once, limit of 100 requests | 200 | 100 | 500 | 500 | 1.000 |" in page


def test_there_are_at_least_ten_kinds_of_clients_and_each_says_what_it_does():
    assert len(KINDS) >= 10
    assert all(client.__doc__ for client, _ in KINDS.values())
