"""The demo's two processes: the emulated model API and the gateway. Both stop with the demo."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from proxy.demo.world import UPSTREAM_KEY

READY_WITHIN_S = 30.0
STOPPED_WITHIN_S = 10.0
_LOG_LINES = 15


class DemoError(Exception):
    """Why the demo cannot go on, in words for the person at the keyboard."""


def free_address() -> str:
    """A loopback address with a port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"127.0.0.1:{taken.getsockname()[1]}"


@asynccontextmanager
async def emulator(log: Path) -> AsyncIterator[str]:
    """A running emulator; gives its URL."""
    # A token every 4 ms, so that streams are streams to the eye as well.
    arguments = ("-m", "proxy.demo.emulator", "--key", UPSTREAM_KEY)
    timing = ("--first-ms", "30", "--event-ms", "4")
    async with _child("emulator", (*arguments, *timing), {}, log) as process:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), READY_WITHIN_S)
        if not line:
            raise DemoError(f"the emulated model API did not start:\n{_tail(log)}")
        yield line.decode().strip()


@asynccontextmanager
async def gateway(
    config: Path, admin: str, environment: dict[str, str], log: Path
) -> AsyncIterator[None]:
    """A gateway that is ready, as `gauger serve` runs it; `admin` is its admin listener."""
    arguments = ("-m", "proxy.cli", "serve", "--config", str(config))
    async with _child("gateway", arguments, environment, log) as process:
        await _ready(process, f"http://{admin}/readyz", log)
        yield


async def _ready(process: asyncio.subprocess.Process, url: str, log: Path) -> None:
    try:
        async with asyncio.timeout(READY_WITHIN_S), aiohttp.ClientSession() as session:
            while not await _answers(session, url):
                if process.returncode is not None:
                    raise DemoError(f"the gateway did not start:\n{_tail(log)}")
                await asyncio.sleep(0.05)
    except TimeoutError:
        message = f"the gateway was not ready within {READY_WITHIN_S:.0f} s:\n{_tail(log)}"
        raise DemoError(message) from None


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


@asynccontextmanager
async def _child(
    name: str, arguments: tuple[str, ...], environment: dict[str, str], log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python process in a group of its own (Ctrl-C reaches the demo alone, which stops it)."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("GAUGER_")}
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if name == "emulator" else errors,
            stderr=errors,
            env={**inherited, **environment},
            process_group=0,
        )
    try:
        yield process
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOPPED_WITHIN_S)
    except TimeoutError:
        process.kill()
        await process.wait()


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
    return "\n".join(f"    {line}" for line in lines) or "    (it said nothing)"
