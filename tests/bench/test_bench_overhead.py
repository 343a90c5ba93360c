"""The overhead benchmark: its tools are right, and a tiny run says all that it should."""

import asyncio
import json
import os
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.overhead import gateway, parts, report, requests, upstream
from bench.overhead.http1 import LAST_CHUNK, begin, chunk
from bench.overhead.load import quantiles
from bench.overhead.machine import Load, free_port, memory_kb, running
from bench.overhead.rounds import QUICK, SATURATING, measure, memory
from proxy.policy.load import load as load_policy


def test_a_message_is_whole_when_its_length_is_there():
    message = begin(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX: y\r\n\r\nab")
    assert message.status == 200
    assert not message.complete
    message.body += b"cd"
    assert message.complete


def test_a_head_that_is_not_whole_begins_nothing():
    assert begin(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n") is None


@settings(max_examples=30)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5))
def test_a_chunked_message_is_whole_at_its_last_chunk(pieces):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    message = begin(head + b"".join(map(chunk, pieces)) + LAST_CHUNK)
    assert message.complete


def test_requests_have_the_size_they_claim_and_differ():
    made = requests.requests("api.example.com", "m-large")
    bodies = [begin(one).body for one in made]
    assert {len(body) for body in bodies} == {requests.BODY_BYTES}
    assert len(set(bodies)) == len(bodies)
    assert all(json.loads(body)["model"] == "m-large" for body in bodies)


def test_streams_are_asked_for_in_the_models_that_stream():
    asked = [json.loads(begin(one).body) for one in requests.requests("h", "m-stream")[:5]]
    assert all(body["stream"] for body in asked)


def test_the_policy_set_has_as_many_rules_as_asked(tmp_path):
    config = gateway.write_folder(
        tmp_path, port=1, admin_port=2, upstream_port=3, durability="async", rules=57
    )
    assert len(load_policy(config.parent / "policies").rules) == 57


def test_quantiles_are_in_microseconds():
    assert quantiles([number * 1000 for number in range(1, 101)]) == {
        "p50": 51.0,
        "p90": 91.0,
        "p99": 100.0,
    }
    assert quantiles([]) is None


async def test_the_fake_model_api_streams_events_that_say_when_they_left():
    server = await asyncio.get_running_loop().create_server(upstream.Upstream, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for one in requests.requests("h", "m-stream")[:2]:
        writer.write(one)
        got = await reader.readuntil(LAST_CHUNK)
        assert got.count(b'"left_ns":') == upstream.EVENTS
        assert b"data: [DONE]" in got
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    ("kind", "model"), [("closed", "m-large"), ("paced", "m-large"), ("stream", "m-stream")]
)
def test_each_kind_of_load_counts_its_answers(tmp_path, kind, model):
    port = free_port()
    core = min(os.sched_getaffinity(0))
    command = [sys.executable, "-m", "bench.overhead.upstream", str(port)]
    job = {
        "kind": kind, "host": "h", "port": port, "model": model, "connections": 4,
        "rate": 200.0, "warm_s": 0.0, "seconds": 0.2,
    }  # fmt: skip
    with running(command, core, port, tmp_path / "log"):
        result = Load(job, core).finish()
    assert result["failures"] == 0
    assert result["answers"] > 4
    assert result["took_us"]["p50"] >= result["first_us"]["p50"] > 0


def test_a_server_that_does_not_start_is_quoted(tmp_path):
    command = [sys.executable, "-c", "raise SystemExit('no such model')"]
    with (
        pytest.raises(RuntimeError, match="no such model"),
        running(command, min(os.sched_getaffinity(0)), free_port(), tmp_path / "log"),
    ):
        raise AssertionError("it started")


def test_memory_of_this_process_is_read():
    assert memory_kb(os.getpid())["Rss"] > 1000


def test_every_part_is_timed_and_has_its_budget(tmp_path):
    timed = parts.measure(tmp_path, rules=10, blocks=1, say=lambda _: None)
    assert set(timed) == {*parts.BUDGET_US, *parts.OTHER_PARTS, parts.WHOLE}
    assert all(0 < row["min_us"] <= row["median_us"] <= row["max_us"] for row in timed.values())


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("overhead")
    measured = measure(folder, QUICK, lambda _: None)
    held = memory(folder, QUICK, lambda _: None)
    timed = parts.measure(folder / "parts", rules=10, blocks=1, say=lambda _: None)
    return {"sizes": {"rounds": 1, "seconds": 0.25, "rules": 20}, **measured, "memory": held} | {
        "parts": timed
    }


def test_a_tiny_run_measures_every_target_in_every_way(tiny):
    for by_target in tiny["samples"].values():
        assert set(by_target) == set(report.TARGETS)
        for (sample,) in by_target.values():
            assert sample["answers"] > 0
            assert sample["failures"] == 0
    assert all(
        sample["answers"] >= SATURATING for (sample,) in tiny["samples"]["saturation"].values()
    )
    assert {row["streams"] for row in tiny["memory"].values()} == {QUICK.streams}


def test_the_report_has_every_table_and_the_plot(tiny, tmp_path):
    page = report.write(tmp_path, tiny).read_text()
    for heading in ("saturation", "half load", "Streams", "Memory", "Part by part"):
        assert heading in page
    assert all(f"| {name} |" in page for name in report.TARGETS)
    assert "<svg" in (tmp_path / report.PLOT).read_text()
