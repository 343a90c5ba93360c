"""`gauger serve` as a process: signals, faults that keep it from starting, kill -9."""

import asyncio
import json
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager

import pytest

from proxy.audit.read import entries
from proxy.audit.verify import verify

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHAT_STREAM = b'{"model":"m-small","stream":true,"messages":[]}'
SERVE = ("-m", "proxy.cli", "serve", "--config")


async def launched(config, **environment):
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *SERVE,
        str(config),
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def serving(config, **environment):
    """A running process and where it listens; killed at the end if it still runs."""
    process = await launched(config, **environment)
    try:
        async with asyncio.timeout(20):
            event = {}
            while event.get("event") != "serving":
                line = await process.stderr.readline()
                assert line, "it ended before it served"
                event = json.loads(line)
        yield process, event
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await process.stderr.read()


async def ended(process):
    async with asyncio.timeout(20):
        return await process.wait()


async def refused(address):
    """Wait until nobody listens; a connection on the way when the listener closes still comes."""
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except ConnectionRefusedError:
                return
            except ConnectionError:
                continue
            writer.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_streams_finish_and_a_second_one_hurries(
    gate, upstream, tmp_path, write_world, number
):
    finish = asyncio.Event()

    async def answer(call):
        await call.stream()
        await call.chunk(b": ping\n\n")
        await finish.wait()
        await call.chunk(b"data: [DONE]\n\n")
        await call.chunk(b"")

    upstream.answer = answer
    config = write_world(tmp_path / "world", upstream.url, server={"drain_s": 60.0})
    async with serving(config) as (process, where):
        clients = [await gate.connect(address=where["listen"]) for _ in range(2)]
        for client in clients:
            await client.send(gate.post(CHAT_STREAM))
            assert await client.head()
            assert await client.chunk() == b": ping\n\n"
        process.send_signal(number)
        async with asyncio.timeout(20):
            while json.loads(await process.stderr.readline())["event"] != "draining":
                pass
        await refused(where["listen"])
        process.send_signal(number)
        assert await ended(process) == 0
        finish.set()
    audit = tmp_path / "world" / "state" / "audit"
    kinds = [entry.type for entry in entries(audit)]
    assert kinds[-3:] == ["completion", "completion", "stop"]
    assert verify(audit).ok


async def test_a_hangup_reads_policies_and_accounts_again(upstream, tmp_path, write_world):
    config = write_world(tmp_path / "world", upstream.url)
    async with serving(config) as (process, begun):
        policies = tmp_path / "world" / "policies" / "test.yaml"
        policies.write_text(policies.read_text().replace("requests: 2}", "requests: 3}"))
        process.send_signal(signal.SIGHUP)
        said = {}
        async with asyncio.timeout(20):
            while {"policies in force", "account directory taken up"} - set(said):
                event = json.loads(await process.stderr.readline())
                said[event["event"]] = event
        assert said["policies in force"]["digest"] != begun["policy"]
        process.terminate()
        assert await ended(process) == 0


async def told(config, **environment):
    """What a process says that cannot start, and its exit code."""
    process = await launched(config, **environment)
    async with asyncio.timeout(20):
        _, errors = await process.communicate()
    lines = [line for line in errors.decode().splitlines() if not line.startswith('{"')]
    return process.returncode, lines


async def test_a_port_in_use_is_told_in_one_line(tmp_path, upstream, write_world):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        taken_at = f"127.0.0.1:{taken.getsockname()[1]}"
        config = write_world(tmp_path / "world", upstream.url, server={"listen": taken_at})
        code, lines = await told(config)
    assert code == 1
    assert len(lines) == 1
    assert f"cannot listen on {taken_at}" in lines[0]
    assert "server.listen" in lines[0]


async def test_a_missing_upstream_credential_is_told_in_one_line(tmp_path, upstream, write_world):
    config = write_world(tmp_path / "world", upstream.url)
    code, lines = await told(config, UPSTREAM_KEY="")
    assert code == 1
    assert len(lines) == 2  # one for each dialect
    assert all("UPSTREAM_KEY is not set" in line for line in lines)


async def test_an_unusable_directory_is_told_by_line(tmp_path, upstream, write_world):
    config = write_world(tmp_path / "world", upstream.url)
    (tmp_path / "world" / "accounts.jsonl").write_text('{"keys": []}\n')
    code, lines = await told(config)
    assert (code, len(lines)) == (1, 1)
    assert "accounts.jsonl:1: account is missing" in lines[0]


async def test_two_processes_do_not_write_one_log(tmp_path, upstream, write_world):
    config = write_world(tmp_path / "world", upstream.url)
    async with serving(config):
        code, lines = await told(config)
    assert (code, len(lines)) == (1, 1)
    assert "in use" in lines[0] or "another process" in lines[0]


class Load:
    """Clients that ask as fast as they can; they count answers, and note whose refusals were."""

    def __init__(self, gate, address) -> None:
        self.served = 0
        self.refused: set[str] = set()
        self._gate = gate
        self._address = address

    async def run(self, enough: asyncio.Event, *, each: int = 30) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(12):
                tier = ("free", "counted", "first", "spent")[number % 4]
                group.create_task(self._ask(f"sk-{tier}-{number}", enough, each))

    async def _ask(self, key, enough, each):
        try:
            client = await self._gate.connect(address=self._address)
            while True:
                got = await client.rest(await self._sent(client, key))
                if not got.whole:
                    return
                if got.status == 200:
                    self.served += 1
                else:
                    self.refused.add(got.get("x-request-id"))
                if self.served + len(self.refused) >= 12 * each:
                    enough.set()
        except (ConnectionError, asyncio.IncompleteReadError):
            return

    async def _sent(self, client, key):
        await client.send(self._gate.post(key=key))
        return await client.head()


@pytest.mark.parametrize("turn", range(3))
async def test_after_kill_9_the_log_holds_every_decision_that_a_client_has_seen(
    gate, upstream, tmp_path, write_world, opened, turn
):
    config = write_world(tmp_path / "world", upstream.url)
    audit = tmp_path / "world" / "state" / "audit"
    async with serving(config) as (process, where):
        load, enough = Load(gate, where["listen"]), asyncio.Event()
        running = asyncio.create_task(load.run(enough, each=20 + 5 * turn))
        async with asyncio.timeout(20):
            await enough.wait()
        process.kill()
        await ended(process)
        await running
    async with opened(tmp_path / "world", upstream):
        pass
    report = verify(audit)
    assert report.ok, report.faults
    decisions = {entry.id: entry for entry in entries(audit, types={"decision"})}
    assert load.refused
    assert load.refused <= decisions.keys()
    allowed = sum(entry.fields["verdict"] == "allow" for entry in decisions.values())
    assert allowed >= load.served > 0
