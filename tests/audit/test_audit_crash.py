"""Real processes that are killed, and a real file-size limit of the kernel."""

import subprocess
import sys

from proxy.audit.read import entries
from proxy.audit.verify import verify

WRITER = """
import asyncio, sys
from pathlib import Path
from proxy.audit.log import AuditLog
from proxy.model.record import Record

async def one(log, n):
    position = log.append(Record("decision", f"ex_{n}", n, {"filler": "x" * 600}))
    await log.wait_durable(position)
    print(position, flush=True)

async def main():
    log = AuditLog.open(Path(sys.argv[1]), segment_bytes=100_000, group_ms=0)
    n = 0
    while True:
        await asyncio.gather(*(one(log, n + i) for i in range(40)))
        n += 40

asyncio.run(main())
"""

LIMITED = """
import asyncio, resource, sys
from pathlib import Path
from proxy.audit.errors import AuditUnavailable
from proxy.audit.log import AuditLog
from proxy.model.record import Record

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

def append(log, n):
    return log.append(Record("decision", f"ex_{n}", n, {"filler": "x" * 600}))

async def main():
    log = AuditLog.open(Path(sys.argv[1]), retry_s=0.02)
    limit(5_000)
    for n in range(20):
        try:
            await log.wait_durable(append(log, n))
        except AuditUnavailable:
            print("partial")
            while log.failed:
                await asyncio.sleep(0.005)
    limit(300)
    last = append(log, 20)
    try:
        await log.wait_durable(last)
    except AuditUnavailable as error:
        print("full", error)
    limit(resource.RLIM_INFINITY)
    while log.failed:
        await asyncio.sleep(0.005)
    await log.wait_durable(last)
    log.close()

asyncio.run(main())
"""


def written_then_killed(directory, after):
    """Runs a writer, kills it (SIGKILL) after so many positions, and returns all it printed."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, directory], stdout=subprocess.PIPE, text=True
    ) as process:
        head = [process.stdout.readline() for _ in range(after)]
        process.kill()
        return [int(line) for line in [*head, *process.stdout] if line.endswith("\n")]


def test_whatever_was_called_durable_outlives_kill_9_again_and_again(tmp_path):
    durable = set()
    for after in (1, 37, 150, 400):
        durable.update(written_then_killed(tmp_path, after))
        report = verify(tmp_path)
        assert report.ok, report.faults
        assert durable <= {entry.seq for entry in entries(tmp_path)}
    starts = list(entries(tmp_path, types={"start"}))
    assert len(starts) == 4
    assert len(durable) > 500


def test_a_write_that_stops_halfway_is_cut_back_and_written_again(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert "partial\n" in done.stdout
    assert "full audit log " in done.stdout
    assert "File too large" in done.stdout
    report = verify(tmp_path)
    assert report.ok, report.faults
    decisions = [entry.id for entry in entries(tmp_path, types={"decision"})]
    assert decisions == [f"ex_{n}" for n in range(21)]
