"""The way to the detector's process, while that keeps its connection and takes nothing."""

import asyncio
from types import SimpleNamespace

import pytest

from proxy.gateway.detecting.messages import GREETED, received_greeting
from proxy.gateway.detecting.sender import Sender
from proxy.model.exchange import Prompt
from proxy.model.sighting import Described, Sighting

pytestmark = pytest.mark.asyncio(loop_scope="session")
WHO = Described("acc-1")


async def test_a_process_that_hangs_is_silent_though_it_is_connected(tmp_path, eventually):
    takes = asyncio.Event()

    async def serve(reader, writer):
        await received_greeting(reader)
        writer.write(GREETED)
        await takes.wait()
        while await reader.read(1 << 16):
            pass
        writer.close()

    server = await asyncio.start_unix_server(serve, tmp_path / "socket")
    audit = SimpleNamespace(position=0, durable_position=0)
    sender = Sender(str(tmp_path / "socket"), "log", "/audit", audit)
    task = asyncio.create_task(sender.run())
    try:
        await eventually(lambda: sender.silent_s == 0.0)
        for position in range(1, 1_001):
            prompt = Prompt("", "", "x" * 4_000)
            sender.seen(WHO, Sighting(position, position, "acc-1", (), True), prompt)
        await eventually(lambda: sender.silent_s > 0.1)
        takes.set()
        await eventually(lambda: sender.silent_s == 0.0 and not sender.waiting)
    finally:
        takes.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        server.close()
