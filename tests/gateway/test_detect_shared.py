"""Gateways that share a store, and `gauger detect` beside them: real processes, killed with -9."""

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import asynccontextmanager

import msgspec
import pytest

from bench.servers.engines import VALKEY
from proxy.gateway.detecting import found as found_module
from proxy.gateway.detecting import keeper, make
from proxy.model.cluster import FoundCluster
from proxy.model.finding import Action, Finding
from proxy.settings.findings import append_finding
from tests.gateway.conftest import opened
from tests.gateway.detect_standin import COMMAND, index_of
from tests.gateway.test_detect_beside import RING, ask, until, world

pytestmark = pytest.mark.asyncio(loop_scope="session")
one_engine = pytest.mark.parametrize("store_engine", [VALKEY], indirect=True)


@pytest.fixture(autouse=True)
def _standin(monkeypatch):
    monkeypatch.setattr(keeper, "COMMAND", COMMAND)
    monkeypatch.setattr(make, "index_of", index_of)
    monkeypatch.setattr(found_module, "LOOK_EVERY_S", 0.1)


def shared(server, directory, url):
    redis = {"url": server.url, "timeout_ms": 200, "max_replicas": 4}
    secrets = {"fingerprint_key": "ab" * 32, "pseudonym_key": "cd" * 32}
    world(directory, url, store={"redis": redis}, secrets=secrets)
    return directory


@asynccontextmanager
async def detecting(directory):
    """A `gauger detect` over the settings of a directory; what it logs is read, line by line."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *("detect", str(directory / "gauger.yaml")),
        env={**os.environ},
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await process.stderr.read()


async def said(process, event):
    async with asyncio.timeout(20):
        while True:
            line = await process.stderr.readline()
            assert line, f"it ended before it said: {event}"
            if json.loads(line)["event"] == event:
                return


def counted(gate):
    path = gate.directory / "state" / "detector" / "clusters.jsonl"
    lines = path.read_bytes().splitlines() if path.exists() else []
    found = [msgspec.json.decode(line, type=FoundCluster) for line in lines]
    return next((one.evidence[0].accounts for one in found), 0)


@one_engine
async def test_sightings_of_all_gateways_meet_and_what_is_found_comes_back_to_each(
    tmp_path, upstream, store_server
):
    one, other, there = (
        shared(store_server, tmp_path / name, upstream.url) for name in ("one", "other", "there")
    )
    async with (
        detecting(there) as process,
        opened(one, upstream) as first,
        opened(other, upstream) as second,
    ):
        await said(process, "active")
        await ask(first, 1, key=RING[0])
        await ask(second, 1, key=RING[1])
        began_s = time.monotonic()
        for gate in (first, second):
            await until(lambda: counted(gate) == 2)  # noqa: B023
            await until(lambda: gate.server.detector.found.clusters == 1)  # noqa: B023
        assert time.monotonic() - began_s < 8
        await ask(second, 1, key=RING[0])
        record = await second.last("decision")
        assert record["facts"]["cluster.score"] == 0.9
        finding = Finding(time.time(), "dana", Action.DISMISS, cluster_of(first), (), "a class")
        append_finding(one / "state" / "detector", finding)  # said here, heard there, told here
        for gate in (first, second):
            await until(lambda: len(gate.server.detector.found._findings) == 1)  # noqa: B023
            told = [f for f in (r.fields for r in await gate.records("clusters")) if "finding" in f]
            assert [(f["finding"], f["result"]) for f in told] == [("dismiss", "done")]
        server = store_server.client()
        everything = [server.dump(key) for key in server.scan_iter()]
        assert not any(b"acc-ring" in dump or b"write it" in dump for dump in everything)
        first.hang_up()
        second.hang_up()


def cluster_of(gate):
    path = gate.directory / "state" / "detector" / "clusters.jsonl"
    return msgspec.json.decode(path.read_bytes().splitlines()[0], type=FoundCluster).cluster.id


@one_engine
async def test_a_standby_takes_over_from_one_that_is_killed_and_every_sighting_counts_once(
    tmp_path, upstream, store_server
):
    gate_world, here, there = (
        shared(store_server, tmp_path / name, upstream.url) for name in ("gate", "here", "there")
    )
    async with opened(gate_world, upstream) as gate:
        async with detecting(here) as active:
            await said(active, "active")
            async with detecting(there) as standby:
                await said(standby, "standing by")
                await ask(gate, 8)
                await until(lambda: counted(gate) == 8)
                await ask(gate, 7)  # of these, no state may be saved yet
                active.kill()
                await ask(gate, 5)
                began_s = time.monotonic()
                await said(standby, "active")
                assert time.monotonic() - began_s < 8
                await until(lambda: counted(gate) >= 20)
                await ask(gate, 1)
                await until(lambda: counted(gate) >= 21)
                assert counted(gate) == 21
                standby.terminate()
                assert await standby.wait() == 0
            async with detecting(here) as again:  # which goes on from the last one's state
                await said(again, "active")
                await ask(gate, 2)
                await until(lambda: counted(gate) >= 23)
                assert counted(gate) == 23
        gate.hang_up()


@one_engine
async def test_one_that_was_held_up_cannot_overwrite_what_its_successor_did(
    tmp_path, upstream, store_server
):
    gate_world, here, there = (
        shared(store_server, tmp_path / name, upstream.url) for name in ("gate", "here", "there")
    )
    async with opened(gate_world, upstream) as gate, detecting(here) as active:
        await said(active, "active")
        async with detecting(there) as standby:
            await ask(gate, 4)
            await until(lambda: counted(gate) == 4)
            active.send_signal(signal.SIGSTOP)
            await said(standby, "active")
            await ask(gate, 4)
            await until(lambda: counted(gate) == 8)
            active.send_signal(signal.SIGCONT)
            await said(active, "another process is active now")
            await ask(gate, 4)
            await until(lambda: counted(gate) >= 12)
            assert counted(gate) == 12
        gate.hang_up()


@one_engine
async def test_while_the_store_or_the_relay_is_away_nothing_is_lost_and_nobody_waits(
    tmp_path, upstream, store_own_server
):
    gate_world, here = (
        shared(store_own_server, tmp_path / name, upstream.url) for name in ("gate", "here")
    )
    async with opened(gate_world, upstream) as gate, detecting(here) as active:
        await said(active, "active")
        await ask(gate, 4)
        await until(lambda: counted(gate) == 4)
        os.kill(gate.server.detector.keeper.pid, signal.SIGKILL)
        await ask(gate, 3)
        await until(lambda: counted(gate) == 7)
        await asyncio.to_thread(store_own_server.pause)
        began_s = time.monotonic()
        await ask(gate, 6)
        assert time.monotonic() - began_s < 5
        await asyncio.to_thread(store_own_server.resume)
        await until(lambda: counted(gate) >= 13)
        assert counted(gate) == 13
        gate.hang_up()


async def test_gauger_detect_without_a_shared_store_says_why_it_does_nothing(tmp_path, upstream):
    world(tmp_path / "world", upstream.url)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "proxy.cli", "detect", "--config", str(tmp_path / "world" / "gauger.yaml")),
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert b"without store.redis the gateway runs the detector itself" in errors
