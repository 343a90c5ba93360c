"""Processes on chosen cores, and what the kernel says about them (proc(5), Linux)."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

READY_S = 20.0
PROXY_CORE, LOAD_CORE = 0, 1
_TICKS = os.sysconf("SC_CLK_TCK")
_GONE = (FileNotFoundError, ProcessLookupError)


def cores() -> tuple[int, int]:
    """A core for the proxy under test and one for load and upstream (the same if there is one)."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[PROXY_CORE], usable[LOAD_CORE % len(usable)]


def free_port() -> int:
    """A port of the loopback address that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    command: list[str], core: int, port: int, log: Path, env: dict[str, str] | None = None
) -> Iterator[int]:
    """Run a server on one core, from when it accepts on `port` until the block ends.

    Yields its process id. What it writes goes to `log`, which is quoted if it does not start.
    """
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509 (no threads yet)
        )
    try:
        _wait_ready(process, port, log)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_ready(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline_s = time.monotonic() + READY_S
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.05)
    tail = log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"{' '.join(map(str, process.args[:4]))} did not start:\n{tail}")  # type: ignore[index]  # a list


class Load:
    """A load generator process with a job."""

    def __init__(self, job: dict[str, Any], core: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.overhead.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509 (no threads yet)
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()

    def line(self) -> dict[str, Any]:
        """The next line that the generator says."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the load generator ended with {self._process.wait()}")
        said: dict[str, Any] = json.loads(line)
        return said

    def finish(self) -> dict[str, Any]:
        """End a `hold`, or wait for any other job: the result."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        result = self.line()
        self._process.stdout.close()
        self._process.wait()
        return result


def cpu_s(pid: int) -> float:
    """Processor seconds that a process and its children have used, user and system."""
    total = 0.0
    for one in tree(pid):
        with contextlib.suppress(*_GONE):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / _TICKS
    return total


def memory_kb(pid: int) -> dict[str, int]:
    """Resident and proportional memory of a process and its children, in KiB."""
    sums = {"Rss": 0, "Pss": 0}
    for one in tree(pid):
        with contextlib.suppress(*_GONE):
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in sums:
                    sums[name] += int(value.split()[0])
    return sums


def tree(pid: int) -> list[int]:
    """A process and everything below it; processes may end while they are listed."""
    found = [pid]
    with contextlib.suppress(*_GONE):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += tree(int(child))
    return found
