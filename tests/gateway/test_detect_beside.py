"""The detector's process beside a gateway: what it is sent, what comes back, its violent end."""

import asyncio
import json
import os
import signal
import time

import msgspec
import pytest
import pytest_asyncio

from proxy.gateway.detecting import found as found_module
from proxy.gateway.detecting import keeper, make, sender
from proxy.gateway.restarts import Pace
from proxy.model.cluster import ClusterEvent, FoundCluster
from proxy.model.finding import Action, Finding
from proxy.settings.findings import append_finding
from tests.gateway.conftest import account_line, opened, write_world
from tests.gateway.detect_standin import COMMAND, index_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

POLICY = """
quotas:
  - id: ring
    match: cluster.score > 0.5 && cluster.state != 'dismissed'
    mode: shadow
    limit: {requests: 1}
    window: 1w
"""
RING = [f"sk-ring-{n}" for n in range(4)]
PATIENCE_S = 20


def chat(text):
    body = {"model": "m-small", "messages": [{"role": "user", "content": text}]}
    return json.dumps(body).encode()


def world(directory, url, **over):
    """Settings with a detector, and a ring of accounts among others."""
    write_world(directory, url, policy=POLICY, detector={"enabled": True}, **over)
    ring = [account_line(key, "free", links={"ring": "one"}) for key in RING]
    with (directory / "accounts.jsonl").open("a") as file:
        file.write("\n".join(ring) + "\n")


@pytest.fixture
def standin(monkeypatch):
    monkeypatch.setattr(keeper, "COMMAND", COMMAND)
    monkeypatch.setattr(make, "index_of", index_of)
    monkeypatch.setattr(found_module, "LOOK_EVERY_S", 0.1)
    monkeypatch.setattr(keeper, "Pace", lambda: Pace(first_s=0.05, most_s=0.1))


@pytest_asyncio.fixture(loop_scope="session")
async def ringed(tmp_path, upstream, standin):
    """A gateway whose directory has a ring, with its detector."""
    world(tmp_path / "world", upstream.url)
    async with opened(tmp_path / "world", upstream) as gate:
        yield gate
        gate.hang_up()


async def until(condition):
    async with asyncio.timeout(PATIENCE_S):
        while not (found := condition()):  # noqa: ASYNC110 (what it looks at tells nobody)
            await asyncio.sleep(0.02)
    return found


def found(gate):
    """The clusters as the detector's file has them."""
    path = gate.directory / "state" / "detector" / "clusters.jsonl"
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(line, type=FoundCluster) for line in lines]


def counted(gate):
    """How many sightings the detector has counted, of all."""
    return next((one.evidence[0].accounts for one in found(gate)), 0)


async def ask(gate, times=1, text="write it out", key=None):
    for n in range(times):
        answer = await gate.ask(gate.post(chat(text), key=key or RING[n % len(RING)]))
        assert answer.status == 200


def in_force_now(detector):
    return detector.found.published.clusters if detector.found.published else ()


async def in_force(gate, count=1):
    await until(lambda: gate.server.detector.found.clusters == count)


async def test_who_is_found_is_looked_up_within_seconds_and_recorded_before(ringed):
    await ask(ringed, 4)
    await until(lambda: counted(ringed) == 4)
    began_s = time.monotonic()
    detector = ringed.server.detector
    await until(lambda: [c.cluster.accounts for c in in_force_now(detector)] == [4])
    assert time.monotonic() - began_s < 5
    version = detector.found.published.version
    await ask(ringed, 4)
    records = await ringed.records()
    at = [n for n, one in enumerate(records) if one.fields.get("detected") == version]
    decisions = [
        (n, one.fields["facts"]) for n, one in enumerate(records) if one.type == "decision"
    ]
    of_ring = [n for n, facts in decisions if facts.get("cluster.score") == 0.9]
    assert len(of_ring) == 4
    assert at[0] < of_ring[0]
    (listed,) = records[at[0]].fields["listed"]
    assert listed["accounts"] == 4
    assert listed["evidence"][1] == ["relationship", "ring", 4, 9.0]


async def test_readiness_and_metrics_tell_of_it(ringed):
    await ask(ringed, 4)
    await in_force(ringed)
    told = (await ringed.ask(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", admin=True)).json()
    assert told["detector"] | {"version": 0} == {
        "state": "answering", "waiting": 0, "sent": 4, "dropped": 0, "restarts": 0,
        "clusters": 1, "version": 0,
    }  # fmt: skip
    assert told["detector_problem"] is None
    metrics = (await ringed.ask(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", admin=True)).body
    assert b"gauger_detected_clusters 1.0" in metrics
    assert b"gauger_detector_silent_seconds 0.0" in metrics


async def test_killed_again_and_again_it_counts_every_sighting_once(ringed):
    await ask(ringed, 4)
    await until(lambda: counted(ringed) == 4)
    for n in range(3):
        pid = ringed.server.detector.keeper.pid
        os.kill(pid, signal.SIGKILL)
        await ask(ringed, 5 + n)
        await until(lambda: ringed.server.detector.keeper.pid != pid)  # noqa: B023
        await ask(ringed, 5)
    sent = 4 + 3 * 10 + 3
    await until(lambda: counted(ringed) >= sent)
    assert counted(ringed) == sent
    assert ringed.server.detector.keeper.restarts == 3
    assert ringed.server.detector.sender.dropped == 0


async def test_what_a_stopped_gateway_knew_is_in_force_when_it_starts_again(
    tmp_path, upstream, standin
):
    world(tmp_path / "world", upstream.url)
    async with opened(tmp_path / "world", upstream) as gate:
        await ask(gate, 6)
        await in_force(gate)
        gate.hang_up()
    async with opened(tmp_path / "world", upstream) as gate:
        assert gate.server.detector.found.clusters == 1
        await ask(gate, 1)
        assert (await gate.last("decision"))["facts"]["cluster.score"] == 0.9
        await until(lambda: counted(gate) == 7)
        gate.hang_up()


async def test_a_text_that_trips_the_detector_up_costs_nothing_else(ringed):
    await ask(ringed, 2, "trip over this")
    await ask(ringed, 4)
    await until(lambda: counted(ringed) == 4)
    await ask(ringed, 2, "x" * 100_000 + "\udcff")
    await until(lambda: counted(ringed) == 6)
    assert ringed.server.detector.keeper.restarts == 0


async def test_a_finding_is_applied_and_recorded_once_with_who_said_it(tmp_path, upstream, standin):
    world(tmp_path / "world", upstream.url)
    directory = tmp_path / "world" / "state" / "detector"
    async with opened(tmp_path / "world", upstream) as gate:
        await ask(gate, 4)
        (one,) = await until(lambda: found(gate))
        finding = Finding(time.time(), "dana", Action.CONFIRM, one.cluster.id, (), "I looked")
        append_finding(directory, finding)
        append_finding(directory, msgspec.structs.replace(finding, cluster="c-none"))
        joined = msgspec.structs.replace(finding, action=Action.ADD, accounts=("acc-free-1",))
        append_finding(directory, joined)
        await until(lambda: [c.cluster.state for c in found(gate)] == ["confirmed"])
        await until(lambda: len(gate.server.detector.found._findings) == 3)
        gate.hang_up()
    async with opened(tmp_path / "world", upstream) as gate:
        await ask(gate, 1)
        await until(lambda: counted(gate) == 5)
        records = [one.fields for one in await gate.records("clusters")]
        said = [fields for fields in records if "finding" in fields]
        assert [(one["finding"], one["principal"], one["result"]) for one in said] == [
            ("confirm", "dana", "done"),
            ("confirm", "dana", "there is no such cluster"),
            ("add", "dana", "done"),
        ]
        assert len(said[2]["listed"]) == 1
        assert "acc-free-1" not in json.dumps(records)
        await ask(gate, 1)
        assert (await gate.last("decision"))["facts"]["cluster.state"] == "confirmed"
        gate.hang_up()


async def test_events_are_told_once_though_the_detector_finds_them_twice(ringed):
    await ask(ringed, 4)
    await in_force(ringed)
    os.kill(ringed.server.detector.keeper.pid, signal.SIGKILL)
    await ask(ringed, 4)
    await until(lambda: counted(ringed) == 8)
    lines = (ringed.directory / "state" / "detector" / "events.jsonl").read_bytes().splitlines()
    (event,) = (msgspec.json.decode(line, type=ClusterEvent) for line in lines)
    assert len(event.accounts) > 0


async def test_no_prompt_is_left_on_the_disk_and_no_account_in_what_machines_read(ringed):
    await ask(ringed, 4, "a most remarkable sentence")
    await in_force(ringed)
    os.kill(ringed.server.detector.keeper.pid, signal.SIGKILL)
    await ask(ringed, 4, "a most remarkable sentence")
    await until(lambda: counted(ringed) == 8)
    state = ringed.directory / "state"
    for path in state.rglob("*"):
        if path.is_file() and path.name != "socket":
            data = path.read_bytes()
            assert b"remarkable" not in data, path
            for_people = path.name in ("clusters.jsonl", "events.jsonl", "accounts.sqlite")
            assert for_people or b"acc-ring" not in data, path
    modes = {path.stat().st_mode & 0o077 for path in (state / "detector").iterdir()}
    assert modes == {0}


async def test_a_state_of_no_use_is_set_aside_and_the_detector_begins_anew(
    tmp_path, upstream, standin
):
    world(tmp_path / "world", upstream.url)
    directory = tmp_path / "world" / "state" / "detector"
    directory.mkdir(parents=True)
    (directory / "state").write_bytes(b"not a state at all")
    (directory / "index").write_bytes(b"nor an index")
    async with opened(tmp_path / "world", upstream) as gate:
        assert "not written with this deployment's key" in gate.server.detector.problem
        await ask(gate, 3)
        await until(lambda: counted(gate) == 3)
        assert (directory / "state.damaged").read_bytes() == b"not a state at all"
        await in_force(gate)
        assert gate.server.detector.problem is None
        gate.hang_up()


async def test_sightings_that_nobody_takes_are_dropped_and_counted(
    tmp_path, upstream, standin, monkeypatch
):
    monkeypatch.setattr(keeper, "COMMAND", ("sleep", "60"))
    monkeypatch.setattr(sender, "MOST_WAITING", 3)
    world(tmp_path / "world", upstream.url)
    async with opened(tmp_path / "world", upstream) as gate:
        await ask(gate, 5)
        assert gate.server.detector.sender.status() == {
            "state": "starting", "waiting": 2, "sent": 0, "dropped": 3,
        }  # fmt: skip
        monkeypatch.setattr(keeper, "COMMAND", COMMAND)
        gate.server.detector.keeper.kill()
        await until(lambda: counted(gate) == 5)  # the others are read from the audit log
        gate.hang_up()


async def test_what_was_dropped_is_read_again_from_the_audit_log(ringed, monkeypatch):
    await ask(ringed, 4)
    await until(lambda: counted(ringed) == 4)
    monkeypatch.setattr(sender, "MOST_WAITING", 2)
    pid = ringed.server.detector.keeper.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.gather(*(ask(ringed, 1, key=RING[n % 4]) for n in range(40)))
        assert ringed.server.detector.sender.dropped > 0
    finally:
        os.kill(pid, signal.SIGCONT)
    await until(lambda: counted(ringed) >= 44)
    assert counted(ringed) == 44


async def test_a_gateway_without_a_detector_starts_no_process_and_says_nothing_of_it(gate):
    assert gate.server.detector is None
    told = (await gate.ask(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", admin=True)).json()
    assert "detector" not in told
    assert "traits" not in (await gate.last("decision") if await gate.records("decision") else {})
