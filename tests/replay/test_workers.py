"""Lines read ahead by other processes: the same results, in the same order, whatever happens."""

import json
import os
import signal

import pytest

from proxy.replay.ahead import Reader
from proxy.replay.run import ReplayOptions, replay
from proxy.replay.told import Prepared
from proxy.replay.traffic import TrafficError
from proxy.replay.workers import read_prepared
from tests.replay.conftest import NOON, line

CHAT = "/v1/chat/completions"


def varied(number: int) -> dict:
    """Exchanges of all kinds that are read in different ways."""
    ts, name = NOON + number / 3, f"a{number % 5 + 1}"
    plain = line(number, ts, name, f"Tell me all about the still number {number} on the hill")
    match number % 11:
        case 3:
            return plain | {"body": None, "body_text": '{"model": "m-small", '}
        case 4:
            headers = [["x-api-key", f"sk-{name}"], ["anthropic-version", "2023-06-01"]]
            batch = {"requests": [{"custom_id": "1", "params": plain["body"]}]}
            return plain | {"path": "/v1/messages/batches", "headers": headers, "body": batch}
        case 5:
            return plain | {"path": "/v1/models", "method": "GET", "body": None}
        case 6:
            told = {"request.model": "m-large", "request.max_tokens": 50, "client.country": "SG"}
            return {
                "id": plain["id"],
                "ts": ts,
                "method": "POST",
                "path": CHAT,
                "key": f"k-{name}",
                "facts": told,
                "fingerprints": {"key_id": "aa", "tokens": {"prompt": [f"{number:010x}92"]}},
                "input_tokens_estimate": 40,
            }
        case 7:
            return plain | {"path": "/nowhere"}
        case 8:
            file = "\n".join(
                json.dumps({"custom_id": str(i), "url": CHAT, "body": plain["body"]})
                for i in range(3)
            )
            return plain | {"path": "/v1/files", "body": None, "body_text": file}
        case 9:
            order = {"input_file_id": "file-1", "endpoint": CHAT, "completion_window": "24h"}
            return plain | {"path": "/v1/batches", "body": order}
    return plain


@pytest.mark.parametrize("skip_bad", [False, True])
def test_the_result_is_the_same_to_the_byte_however_many_processes_read(world, tmp_path, skip_bad):
    config = world()
    lines = [json.dumps(varied(number)) for number in range(700)]
    if skip_bad:
        lines[150:150] = ["{nonsense", lines[3]]
    traffic = tmp_path / "traffic.jsonl"
    traffic.write_text("\n".join(lines) + "\n")
    summaries = {}
    for workers in (1, 3):
        out = tmp_path / f"out-{workers}"
        summaries[workers] = replay(
            ReplayOptions(config, traffic, out, skip_bad=skip_bad, workers=workers)
        )
    one = tmp_path / "out-1"
    names = ["decisions.jsonl", "clusters.jsonl", "cluster_events.jsonl"]
    names += [f"audit/{path.name}" for path in (one / "audit").glob("*.jsonl")]
    assert len(names) > 3
    for name in names:
        assert (one / name).read_bytes() == (tmp_path / "out-3" / name).read_bytes()
    assert {summary["exchanges"] for summary in summaries.values()} == {700}
    assert {summary["skipped"] for summary in summaries.values()} == {2 * skip_bad}
    verdicts = summaries[1]["verdicts"]
    assert set(verdicts) == {"allow", "deny", "throttle"}


def test_a_bad_line_far_ahead_stops_the_replay_in_its_turn(world, tmp_path):
    lines = [json.dumps(line(number, NOON + number, "a1")) for number in range(300)]
    lines[290] = json.dumps(line(290, NOON, "a1"))
    traffic = tmp_path / "traffic.jsonl"
    traffic.write_text("\n".join(lines) + "\n")
    with pytest.raises(TrafficError, match=r"traffic\.jsonl:291: goes back in time \(ts 1776"):
        replay(ReplayOptions(world(), traffic, tmp_path / "out", workers=2))
    decided = (tmp_path / "out" / "decisions.jsonl").read_text().splitlines()
    assert len(decided) == 290


class Killed(Reader):
    """A process that runs out of memory in the middle of the work."""

    def read(self, prepared: Prepared) -> Prepared:
        if prepared.recorded.id == "x-0300":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(prepared)


def test_a_process_that_is_killed_ends_the_replay_and_is_told(tmp_path):
    traffic = tmp_path / "traffic.jsonl"
    traffic.write_text("".join(json.dumps(varied(n)) + "\n" for n in range(500)))
    with pytest.raises(TrafficError, match="was killed"):
        list(read_prepared(traffic, Killed(b"k" * 32, 64, sketches=False), workers=2))
