"""Lines of a live recording: in the order of arrival, each with its answer."""

import json

import pytest

from proxy.replay.joining import Joiner
from proxy.replay.recordings import RecordingFiles
from proxy.replay.traffic import TrafficError, read_traffic

OK = b'{"status":200}'


def told(joiner: Joiner, ts: float, identity: str, *, final: bool = False) -> None:
    text = json.dumps({"id": identity, "ts": ts}).encode()
    joiner.line(ts, identity, text, final=final)


def ids(lines) -> list[str]:
    return [json.loads(one)["id"] for one in lines]


def test_lines_come_out_in_the_order_of_arrival_with_their_answers():
    joiner = Joiner(hold_s=10)
    told(joiner, 2.0, "second", final=True)
    told(joiner, 1.0, "first")
    told(joiner, 3.0, "third")
    joiner.ended("third", OK)
    assert ids(joiner.due(11.9)) == []
    joiner.ended("first", OK)
    out = [json.loads(one) for one in joiner.due(12.0)]
    assert out == [
        {"id": "first", "ts": 1.0, "response": {"status": 200}},
        {"id": "second", "ts": 2.0},
    ]
    assert ids(joiner.rest()) == ["third"]
    assert (joiner.unanswered, joiner.late) == (0, 0)


def test_an_answer_that_does_not_end_holds_the_others_up_no_longer_than_patience():
    joiner = Joiner(hold_s=1, patience_s=60)
    told(joiner, 1.0, "endless")
    told(joiner, 2.0, "done", final=True)
    assert ids(joiner.due(60.9)) == []
    assert ids(joiner.due(61.0)) == ["endless", "done"]
    joiner.ended("endless", OK)
    assert joiner.unanswered == 1


def test_what_waits_is_bounded_in_bytes():
    joiner = Joiner(hold_s=1_000, patience_s=1_000, max_bytes=2_000)
    for number in range(100):
        told(joiner, float(number), f"x-{number}", final=True)
    written = ids(joiner.due(100.0))
    assert written == [f"x-{number}" for number in range(len(written))]
    assert 20 < len(written) < 60


def test_a_line_that_is_told_after_later_ones_were_written_is_left_out_and_counted():
    joiner = Joiner(hold_s=1)
    told(joiner, 5.0, "early", final=True)
    assert ids(joiner.due(6.0)) == ["early"]
    told(joiner, 4.0, "late", final=True)
    told(joiner, 5.0, "level", final=True)
    assert ids(joiner.rest()) == ["level"]
    assert joiner.late == 1


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_a_recording_goes_on_in_a_new_file_and_each_can_be_replayed(tmp_path, suffix):
    path = tmp_path / f"day.{suffix}"
    with RecordingFiles(path, rotate_bytes=4_000, limit_bytes=10**9) as files:
        for number in range(400):
            one = {
                "id": f"x-{number:03d}-{hash(number * 7919) % 10**9}",
                "ts": number,
                "method": "GET",
                "path": "/",
            }
            files.write(json.dumps(one).encode())
            files.flush()
        assert not files.full
    assert files.paths[:2] == [path, tmp_path / f"day.2.{suffix}"]
    assert files.size == sum(one.stat().st_size for one in files.paths)
    assert all(one.stat().st_mode & 0o777 == 0o600 for one in files.paths)
    found = [exchange.ts for one in files.paths for exchange in read_traffic(one)]
    assert found == [float(number) for number in range(400)]
    whole = tmp_path / f"whole.{suffix}"
    whole.write_bytes(b"".join(one.read_bytes() for one in files.paths))
    assert sum(1 for _ in read_traffic(whole)) == 400


def test_a_recording_says_when_it_is_full(tmp_path):
    with RecordingFiles(tmp_path / "a.jsonl", rotate_bytes=None, limit_bytes=100) as files:
        files.write(b"x" * 98)
        files.flush()
        assert not files.full
        files.write(b"x")
        files.flush()
        assert files.full


def test_nothing_is_overwritten_and_names_say_how_it_is_packed(tmp_path):
    (tmp_path / "a.jsonl").write_text("mine")
    for name, why in (
        ("a.jsonl", "is there already"),
        ("a.json", "name the recording"),
        ("no/a.jsonl", "cannot be made"),
    ):
        with pytest.raises(TrafficError, match=why):
            RecordingFiles(tmp_path / name, rotate_bytes=None, limit_bytes=100)
    assert (tmp_path / "a.jsonl").read_text() == "mine"
