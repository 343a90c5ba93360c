import gzip
import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from proxy.audit.verify import verify
from proxy.cli.faults import FAULTS
from proxy.replay.run import ReplayOptions, replay
from proxy.replay.traffic import TrafficError
from tests.replay.conftest import NOON, line


def traffic_text() -> str:
    lines = [
        line(i, NOON + i / 2, f"a{i % 5 + 1}", f"Tell me of the number {i}") for i in range(40)
    ]
    return "".join(json.dumps(exchange) + "\n" for exchange in lines)


def run(config: Path, traffic: Path, out: str = "out", **more):
    return replay(ReplayOptions(config=config, traffic=traffic, out=config.parent / out, **more))


@pytest.fixture
def traffic(tmp_path: Path) -> Path:
    path = tmp_path / "traffic.jsonl"
    path.write_text(traffic_text())
    return path


def test_results_are_complete_and_their_audit_log_verifies(world, traffic):
    config = world()
    summary = run(config, traffic)
    out = config.parent / "out"
    decisions = [json.loads(text) for text in (out / "decisions.jsonl").read_text().splitlines()]
    assert len(decisions) == summary["exchanges"] == 40
    assert sum(summary["verdicts"].values()) == 40
    assert summary["verdicts"]["throttle"] == sum(d["verdict"] == "throttle" for d in decisions)
    assert (out / "clusters.jsonl").read_bytes() == b""
    report = verify(out / "audit")
    assert report.ok
    assert report.entries > 40 + summary["tokens"]["admitted"]["exchanges"]


def test_two_runs_give_the_same_files_to_the_byte(world, traffic):
    config = world()
    run(config, traffic, "one")
    run(config, traffic, "two")
    names = ["decisions.jsonl", "clusters.jsonl", "cluster_events.jsonl"]
    names += [f"audit/{p.name}" for p in (config.parent / "one" / "audit").glob("*.jsonl")]
    for name in names:
        first, second = ((config.parent / run_ / name).read_bytes() for run_ in ("one", "two"))
        assert first == second
    assert len(names) > 3


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_compressed_recordings_give_the_same_decisions(world, traffic, tmp_path, suffix):
    config = world()
    pack = gzip.compress if suffix == "gz" else zstandard.ZstdCompressor().compress
    packed = tmp_path / f"traffic.jsonl.{suffix}"
    packed.write_bytes(pack(traffic.read_bytes()))
    run(config, traffic, "plain")
    run(config, packed, "packed")
    plain, other = (
        (config.parent / name / "decisions.jsonl").read_bytes() for name in ("plain", "packed")
    )
    assert plain == other


def test_a_recording_cut_short_is_told(world, traffic, tmp_path):
    packed = tmp_path / "cut.jsonl.gz"
    packed.write_bytes(gzip.compress(traffic.read_bytes())[:-40])
    with pytest.raises(TrafficError, match=r"cut\.jsonl\.gz: the compressed data is damaged"):
        run(world(), packed)


def test_a_bad_line_stops_with_file_and_line_or_is_counted_and_skipped(world, traffic):
    config = world()
    lines = traffic.read_text().splitlines(keepends=True)
    traffic.write_text("".join([*lines[:3], "{nonsense\n", *lines[3:]]))
    with pytest.raises(TrafficError, match=r"traffic\.jsonl:4: "):
        run(config, traffic)
    summary = run(config, traffic, "skipping", skip_bad=True)
    assert (summary["skipped"], summary["exchanges"]) == (1, 40)
    assert "traffic.jsonl:4:" in summary["skipped_first"][0]


def test_an_address_that_is_none_is_told_with_its_line(world, tmp_path):
    traffic = tmp_path / "traffic.jsonl"
    hashed = line(1, NOON, "a1", client_ip="9f2c-a-hash")
    traffic.write_text(f"{json.dumps(hashed)}\n{json.dumps(line(2, NOON, 'a1'))}\n")
    config = world()
    with pytest.raises(
        TrafficError, match=r'traffic\.jsonl:1: client_ip: "9f2c-a-hash" is no addr'
    ):
        run(config, traffic)
    summary = run(config, traffic, "skipping", skip_bad=True)
    assert (summary["exchanges"], summary["skipped"]) == (1, 1)


@pytest.mark.parametrize("audit", ["full", "none"])
def test_results_for_which_the_disk_has_no_room_are_told(world, traffic, audit):
    config = world()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
        with pytest.raises(FAULTS, match=r"out.*cannot be written: .*File too large"):
            run(config, traffic, audit=audit)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_results_are_never_written_over_others(world, traffic):
    config = world()
    run(config, traffic)
    with pytest.raises(TrafficError, match="the directory is not empty"):
        run(config, traffic)


def test_the_log_may_keep_digests_only_or_nothing(world, traffic):
    config = world()
    run(config, traffic, "digests", audit="digest")
    assert verify(config.parent / "digests" / "audit").ok
    run(config, traffic, "nothing", audit="none")
    assert not (config.parent / "nothing" / "audit").exists()


def test_the_command_says_what_happened_and_faults_without_a_trace(world, traffic):
    config = world()
    command = [sys.executable, "-m", "proxy.cli", "replay", "--config", str(config)]
    done = subprocess.run(
        [*command, "--traffic", str(traffic), "--out", str(config.parent / "cli")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["exchanges"] == 40
    failed = subprocess.run(
        [*command, "--traffic", "none.jsonl", "--out", str(config.parent / "x")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert failed.returncode == 1
    assert failed.stderr == "none.jsonl: cannot be read: No such file or directory\n"


def test_a_recording_comes_through_a_pipe_as_well(world, tmp_path):
    config = world()
    lines = [json.dumps(line(i, NOON + i, "a1")) for i in range(600)]
    command = [sys.executable, "-m", "proxy.cli", "replay", "--config", str(config)]
    done = subprocess.run(
        [*command, "--traffic", "/dev/stdin", "--out", str(tmp_path / "piped")],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["exchanges"] == 600


def test_a_mistyped_recording_leaves_no_directory_in_the_way(world, traffic, tmp_path):
    config = world()
    with pytest.raises(TrafficError, match="cannot be read"):
        run(config, tmp_path / "mistyped.jsonl")
    with pytest.raises(TrafficError, match="cannot be read"):
        run(config, tmp_path)
    assert run(config, traffic)["exchanges"] == 40
