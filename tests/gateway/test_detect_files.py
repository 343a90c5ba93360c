"""What the detector leaves in its directory while the disk refuses, and after a crash."""

import errno

import msgspec
import pytest

from proxy.gateway.detecting import files as files_module
from proxy.gateway.detecting.box import Box
from proxy.gateway.detecting.engine import Engine, Step
from proxy.gateway.detecting.files import Files
from proxy.gateway.detecting.published import Published
from proxy.investigate.found import events_in
from proxy.model.cluster import ClusterEvent, ClusterState, EventKind
from tests.gateway.detect_standin import Detector


def step(number):
    event = ClusterEvent(number, EventKind.OPEN, f"c-{number}", 0.9, ClusterState.OPEN, ("a",))
    return Step(Published(str(number), number, 0, 0, (), (), b""), (), (event,))


@pytest.fixture
def announced():
    return []


@pytest.fixture
def files(tmp_path, announced):
    engine = Engine(Detector(), lambda prompt: (), None)
    box = Box(b"k" * 32)
    return Files(tmp_path, box, engine, lambda events, _: announced.extend(events))


def told(directory):
    return [event.cluster for event in events_in(directory / "events.jsonl")]


def refusing(monkeypatch, name):
    """A disk that has no room for what this function writes."""

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files_module, name, full)


@pytest.mark.parametrize("what", ["put", "append_lines"])
def test_events_of_a_full_disk_are_told_once_when_there_is_room(
    files, tmp_path, announced, monkeypatch, what
):
    one = step(1)
    with monkeypatch.context() as patched:
        refusing(patched, what)
        for _ in range(3):
            with pytest.raises(OSError, match="No space"):
                files.hand_out(one)
    files.hand_out(step(2))  # a later step took its place meanwhile
    assert told(tmp_path) == ["c-1", "c-2"]
    assert [event.cluster for event in announced] == ["c-1", "c-2"]


def test_a_line_that_a_crash_left_unfinished_spoils_none_that_follow(files, tmp_path):
    files.hand_out(step(1))
    whole = (tmp_path / "events.jsonl").read_bytes()
    (tmp_path / "events.jsonl").write_bytes(whole + msgspec.json.encode(step(7).events[0])[:20])
    files.hand_out(step(2))
    assert told(tmp_path) == ["c-1", "c-2"]
