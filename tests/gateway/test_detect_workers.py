"""Several workers and one detector, which their supervisor keeps."""

import asyncio
import json
import os
import signal
from contextlib import asynccontextmanager

import msgspec
import pytest

from proxy.model.cluster import FoundCluster
from tests.gateway.detect_standin import COMMAND
from tests.gateway.test_detect_beside import RING, chat, until, world

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORKERS = 2


class Run:
    """A supervisor, where it listens, and what all its processes have logged."""

    def __init__(self, process, gate, directory):
        self.process = process
        self.gate = gate
        self.directory = directory
        self.said = []

    async def read(self):
        while line := await self.process.stderr.readline():
            told = json.loads(line) if line.startswith(b"{") else {"event": line.decode()}
            self.said.append(told)

    async def until(self, event, count=1):
        return await until(lambda: found if len(found := self.events(event)) >= count else None)

    def events(self, event):
        return [one for one in self.said if one["event"] == event]

    async def ask(self, times):
        address = self.events("all workers serve")[0]["listen"]
        for n in range(times):
            client = await self.gate.connect(address=address)
            answer = await client.ask(self.gate.post(chat("write it out"), key=RING[n % len(RING)]))
            client.close()
            assert answer.status == 200

    def counted(self):
        path = self.directory / "state" / "detector" / "clusters.jsonl"
        lines = path.read_bytes().splitlines() if path.exists() else []
        found = [msgspec.json.decode(line, type=FoundCluster) for line in lines]
        return next((one.evidence[0].accounts for one in found), 0)

    def worker(self, number):
        lock = self.directory / "state" / "audit" / f"worker-{number}" / "lock"
        return int(lock.read_text())


@asynccontextmanager
async def supervised(gate, directory):
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *("supervise", str(directory / "gauger.yaml"), str(WORKERS)),
        env={**os.environ},
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    run = Run(process, gate, directory)
    reading = asyncio.create_task(run.read())
    try:
        await run.until("all workers serve")
        yield run
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        async with asyncio.timeout(20):
            await reading  # standard error ends with the last process that has it


async def test_all_workers_send_to_one_detector_and_each_takes_up_what_it_finds(
    gate, upstream, tmp_path
):
    world(tmp_path / "world", upstream.url)
    async with supervised(gate, tmp_path / "world") as run:
        await run.ask(10)
        await until(lambda: run.counted() == 10)
        await until(
            lambda: {e["worker"] for e in run.events("detected clusters in force")} == {0, 1}
        )
        os.kill(run.worker(0), signal.SIGKILL)
        await run.ask(6)
        await run.until("serving", WORKERS + 1)
        await run.ask(6)
        await until(lambda: run.counted() >= 22)
        assert run.counted() == 22
        run.process.terminate()
        assert await run.process.wait() == 0
    assert not run.events("the detector ended")


async def test_the_detector_ends_with_a_supervisor_that_is_killed(gate, upstream, tmp_path):
    world(tmp_path / "world", upstream.url)
    async with supervised(gate, tmp_path / "world") as run:
        await run.ask(4)
        await until(lambda: run.counted() == 4)
        run.process.kill()  # that all others end is seen at the end of this
    assert (tmp_path / "world" / "state" / "detector" / "state").exists()
