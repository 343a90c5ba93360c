"""What `gauger record` makes of what several workers tell, one of them later than the others."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from proxy.cli.record import LAST_S, RecordOptions, Told, _listen
from proxy.gateway.recording import Recording
from proxy.gateway.recording_lines import Item
from proxy.replay.joining import Joiner
from proxy.replay.recordings import RecordingFiles


def beat(worker: int, at: float) -> dict[str, Any]:
    return {"at": at, "dropped": 0, "worker": worker, "workers": 2}


def judged(number: int, ts: float) -> dict[str, Any]:
    return {"line": {"id": f"x-{number}", "ts": ts}, "final": True}


def recorded(tmp_path: Path, *messages: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The ids that were recorded in five seconds, and what was wrong."""
    stream = io.BytesIO(b"".join(json.dumps(one).encode() + b"\n" for one in messages))
    options = RecordOptions(tmp_path / "t.jsonl", Path("none"), for_s=5)
    joiner, told = Joiner(), Told()
    with RecordingFiles(options.out, rotate_bytes=None, limit_bytes=10**9) as files:
        _listen(stream, options, joiner, told, files, None)  # type: ignore[arg-type]  # any stream of bytes
        left = [*joiner.rest()]
    return sorted(json.loads(text)["id"] for text in left), told.problems


@pytest.mark.parametrize("begins", [[beat(0, 100), beat(1, 100)], [beat(0, 100)]])
def test_it_ends_when_the_slowest_worker_has_told_all(tmp_path: Path, begins: list[dict[str, Any]]):
    ids, problems = recorded(
        tmp_path,
        *begins,
        judged(1, 101),
        beat(0, 106),
        judged(2, 103),
        beat(1, 104),
        judged(3, 104.5),
        beat(1, 105),
        judged(4, 104.9),
    )
    assert (ids, problems) == (["x-1", "x-2", "x-3"], [])


def test_a_worker_that_is_lost_or_hangs_is_waited_for_no_longer(tmp_path: Path):
    lost = {"lost": 1, "why": "it does not answer"}
    ids, problems = recorded(tmp_path, beat(0, 100), lost, beat(0, 105), judged(9, 101))
    assert (ids, problems) == ([], ["worker 1 is not recorded: it does not answer"])
    (tmp_path / "t.jsonl").unlink()
    hung = [beat(1, 100), beat(0, 100), beat(0, 105), judged(2, 104), beat(0, 105 + LAST_S)]
    ids, problems = recorded(tmp_path, *hung)
    assert (ids, problems) == (["x-2"], ["ended while a worker had not told all of it"])


async def test_a_sign_of_life_says_how_far_all_is_told():
    recording = Recording(b"k" * 32, capture=False)
    item = Item({"id": "x"}, None, None, 0, final=True)
    recording._put(item)
    assert json.loads(recording._beat())["at"] == item.since_s
    recording._some()
    assert json.loads(recording._beat())["at"] >= item.since_s
