"""`workers: N`: several processes behind one port, their supervisor, and what they share."""

import asyncio
import hashlib
import json
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from proxy.audit.read import entries
from proxy.cli.audit import verified
from proxy.trial.sources import explain_record

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHAT_STREAM = b'{"model":"m-small","stream":true,"messages":[]}'
CLOSED = b'{"model":"m-closed","messages":[{"role":"user","content":"hi"}]}'
PATIENCE_S = 30
POLICY = """
access:
  - {id: closed, match: {models: [m-closed]}, mode: enforce, then: deny}
"""
TOKEN = "otto-token"
ADMIN = {
    "principals": [
        {
            "name": "otto",
            "role": "operator",
            "token_sha256": hashlib.sha256(TOKEN.encode()).hexdigest(),
        }
    ]
}


@dataclass
class Workers:
    """A supervised gateway: its supervisor, and what it and its workers have said."""

    supervisor: asyncio.subprocess.Process
    gate: object
    said: list[dict] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    listen: str = ""
    admin: str = ""

    async def read(self):
        """Read what is said until all have ended; a line is one whole JSON object."""
        while line := (await self.supervisor.stderr.readline()).decode().rstrip("\n"):
            if line.startswith("{"):
                self.said.append(json.loads(line))
            else:
                self.plain.append(line)

    def events(self, event, **fields):
        found = [one for one in self.said if one["event"] == event]
        return [one for one in found if fields.items() <= one.items()]

    async def until(self, event, count=1, **fields):
        """Wait until something was said so many times."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.events(event, **fields)) < count:
                assert self.supervisor.returncode is None, (self.plain, self.said)
                await asyncio.sleep(0.01)
        return self.events(event, **fields)

    async def ask(self, request, *, admin=False):
        client = await self.gate.connect(address=self.admin if admin else self.listen)
        try:
            return await client.ask(request)
        finally:
            client.close()

    async def get(self, path):
        return await self.ask(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode(), admin=True)

    async def ready(self):
        answer = await self.get("/readyz")
        return answer.status, answer.json()

    async def act(self, verb):
        body = json.dumps({"why": f"to {verb} it"})
        lines = (
            f"POST /v1/rules/closed/{verb} HTTP/1.1",
            "Host: a",
            f"Authorization: Bearer {TOKEN}",
            f"Content-Length: {len(body)}",
        )
        return await self.ask(("\r\n".join(lines) + "\r\n\r\n" + body).encode(), admin=True)

    async def ended(self):
        async with asyncio.timeout(PATIENCE_S):
            return await self.supervisor.wait()


@asynccontextmanager
async def started(gate, config, workers, *command):
    """A supervisor and its workers, from the start; at the end killed if they still run."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.gateway.supervised", str(config), str(workers), *command),
        env={**os.environ},
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    run = Workers(process, gate)
    reading = asyncio.create_task(run.read())
    try:
        yield run
    finally:
        if process.returncode is None:
            process.kill()  # the workers see that
            await process.wait()
        async with asyncio.timeout(PATIENCE_S):
            await reading  # standard error ends with the last of them


@asynccontextmanager
async def serving(gate, config, workers, *command):
    """The same, once all serve."""
    async with started(gate, config, workers, *command) as run:
        (event,) = await run.until("all workers serve")
        run.listen, run.admin = event["listen"], event["admin"]
        yield run


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pair(tmp_path_factory, write_world, _gate, _upstream):
    """Two workers that several tests share; their directory is `world`."""
    world = tmp_path_factory.mktemp("pair") / "world"
    config = write_world(world, _upstream.url, policy=POLICY, admin=ADMIN)
    async with serving(_gate, config, 2) as run:
        run.world = world
        yield run


def log_types(world, worker):
    return [entry.type for entry in entries(world / "state" / "audit" / f"worker-{worker}")]


def pid_of(world, worker):
    return int((world / "state" / "audit" / f"worker-{worker}" / "lock").read_text())


@asynccontextmanager
async def held(pid):
    """A process that does nothing inside."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("worker", [0, 1])
async def test_each_worker_serves_callers_of_the_one_port_and_records_them_in_its_own_log(
    pair, gate, worker, eventually
):
    before = log_types(pair.world, worker).count("decision")
    async with held(pid_of(pair.world, 1 - worker)):
        for _ in range(3):
            assert (await pair.ask(gate.post())).status == 200
        status, told = await pair.ready()
        assert (status, told["worker"]) == (200, worker)
        assert told["workers"][str(worker)]["status"] == "ready"
        assert told["workers"][str(1 - worker)] == {"status": "does not answer"}
    await eventually(lambda: log_types(pair.world, worker).count("decision") == before + 3)


async def test_metrics_and_readiness_are_those_of_all_workers_whoever_answers(pair, gate):
    for worker in (0, 1):
        async with held(pid_of(pair.world, 1 - worker)):
            assert (await pair.ask(gate.post(CLOSED))).status == 403
    refused = 'gauger_exchanges_total{worker="%d",surface="chat.completions",verdict="deny"} 1.0'
    for _ in range(4):
        text = (await pair.get("/metrics")).body.decode()
        assert [refused % worker in text for worker in (0, 1)] == [True, True]
        assert 'gauger_worker_up{worker="1"} 1\n' in text
        status, told = await pair.ready()
        assert (status, sorted(told["workers"])) == (200, ["0", "1"])


async def test_a_rule_disarmed_on_one_worker_is_so_on_all_soon_and_recorded_by_each(
    pair, eventually
):
    for verb, disarmed in (("disarm", ["closed"]), ("arm", [])):
        before = [log_types(pair.world, worker) for worker in (0, 1)]
        assert (await pair.act(verb)).status == 200
        async with asyncio.timeout(PATIENCE_S):
            while True:
                told = (await pair.ready())[1]["workers"]
                if [told[worker]["disarmed"] for worker in ("0", "1")] == [disarmed] * 2:
                    break
        await pair.until("disarmed rules changed elsewhere", rule="closed", disarmed=bool(disarmed))

        def new(before: list = before) -> list:
            after = [log_types(pair.world, worker) for worker in (0, 1)]
            return sorted(now[len(then) :] for then, now in zip(before, after, strict=True))

        await eventually(lambda: new() == [["admin", "admin"], ["disarmed"]])


async def test_an_exchange_of_any_worker_is_explained_from_its_record(pair, gate):
    for worker in (0, 1):
        async with held(pid_of(pair.world, 1 - worker)):
            answer = await pair.ask(gate.post(CLOSED))
        explained = explain_record(pair.world / "gauger.yaml", answer.get("x-request-id"), {})
        assert explained.again.explanation.decided.by == ("closed",)


async def test_a_hangup_reaches_every_worker(pair):
    before = len(pair.events("account directory taken up"))
    pair.supervisor.send_signal(signal.SIGHUP)
    said = await pair.until("account directory taken up", count=before + 2)
    assert {one["worker"] for one in said[before:]} == {0, 1}


async def test_a_worker_that_dies_is_started_again_while_the_others_serve(pair, gate):
    os.kill(pid_of(pair.world, 0), signal.SIGKILL)
    (ended,) = await pair.until("a worker ended", worker=0)
    assert (ended["signal"], ended["again_in_s"]) == ("SIGKILL", 0.0)
    assert (await pair.ask(gate.post())).status == 200
    await pair.until("serving", count=2, worker=0)
    async with held(pid_of(pair.world, 1)):
        assert (await pair.ask(gate.post())).status == 200
    assert log_types(pair.world, 0).count("start") == 2
    assert verified(pair.world / "state" / "audit", lambda *_: None)[0]


async def test_a_signal_to_a_worker_drains_that_one_and_another_takes_its_place(pair):
    count = len(pair.events("serving", worker=1))
    for _ in range(2):  # a second one does not hurry
        os.kill(pid_of(pair.world, 1), signal.SIGTERM)
    await pair.until("serving", count=count + 1, worker=1)
    assert pair.events("a worker ended", worker=1, code=0)
    runs = [kind for kind in log_types(pair.world, 1) if kind in ("start", "stop")]
    assert runs[-3:] == ["start", "stop", "start"]


async def test_every_line_of_a_worker_says_which_it_is(pair):
    supervisors = {"all workers serve", "stopping all workers", "all workers stopped"}
    own = [one for one in pair.said if one["event"] not in supervisors]
    assert own
    assert all(one.get("worker") in (0, 1) for one in own)
    assert pair.plain == []


async def test_a_signal_lets_the_streams_of_all_workers_finish_and_a_second_one_hurries(
    gate, upstream, tmp_path, write_world
):
    async def answer(call):
        await call.stream()
        await call.chunk(b": ping\n\n")
        await asyncio.Event().wait()

    upstream.answer = answer
    world = tmp_path / "world"
    config = write_world(world, upstream.url, server={"drain_s": 60.0})
    async with serving(gate, config, 2) as run:
        for worker in (0, 1):
            async with held(pid_of(world, 1 - worker)):
                client = await gate.connect(address=run.listen)
                await client.send(gate.post(CHAT_STREAM))
                assert await client.head()
        run.supervisor.send_signal(signal.SIGTERM)
        said = await run.until("draining", count=2)
        assert [one["under_way"] for one in said] == [1, 1]
        await refused(run.listen)
        assert (await run.ready())[0] == 503
        run.supervisor.send_signal(signal.SIGTERM)
        assert await run.ended() == 0
    for worker in (0, 1):
        assert log_types(world, worker)[-2:] == ["completion", "stop"]
    assert run.said[-1]["event"] == "all workers stopped"


async def refused(address):
    """Wait until nobody listens."""
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except ConnectionRefusedError:
                return
            except ConnectionError:
                continue
            writer.close()


async def test_no_worker_outlives_a_supervisor_that_was_killed(
    gate, upstream, tmp_path, write_world
):
    async def answer(call):
        await call.stream()
        await asyncio.Event().wait()

    upstream.answer = answer
    world = tmp_path / "world"
    config = write_world(world, upstream.url, server={"drain_s": 600.0})
    async with serving(gate, config, 2) as run:
        client = await gate.connect(address=run.listen)
        await client.send(gate.post(CHAT_STREAM))
        assert await client.head()
        run.supervisor.kill()
    # Standard error has ended: nobody is left who could write to it.
    assert [log_types(world, worker)[-1] for worker in (0, 1)] == ["stop", "stop"]
    await refused(run.listen)
    assert verified(world / "state" / "audit", lambda *_: None)[0]


async def test_a_port_in_use_is_told_in_one_line_before_any_worker_starts(
    gate, tmp_path, upstream, write_world
):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        taken_at = f"127.0.0.1:{taken.getsockname()[1]}"
        config = write_world(tmp_path / "world", upstream.url, server={"listen": taken_at})
        async with started(gate, config, 3) as run:
            assert await run.ended() == 1
    assert run.plain == [
        f"gauger serve: cannot listen on {taken_at}: Address already in use "
        "(server.listen in the settings)"
    ]
    assert run.said == []


async def test_a_broken_policy_is_told_once_and_ends_everything(
    gate, tmp_path, upstream, write_world
):
    config = write_world(tmp_path / "world", upstream.url, policy="quotas: [{id: x}]\n")
    async with started(gate, config, 3) as run:
        assert await run.ended() == 1
    assert len([line for line in run.plain if "test.yaml:1:" in line]) == len(set(run.plain))
    assert run.plain
    assert not run.events("a worker ended")
    assert not run.events("serving")


async def test_a_later_worker_that_cannot_start_at_first_is_told_once_and_ends_everything(
    gate, tmp_path, upstream, write_world
):
    world = tmp_path / "world"
    config = write_world(world, upstream.url)
    logs = world / "state" / "audit"
    logs.mkdir(parents=True)
    (logs / "worker-1").write_text("a file where a log shall be")
    async with started(gate, config, 2) as run:
        assert await run.ended() == 1
    (told,) = run.plain
    assert f"{logs}/worker-1 cannot be written" in told
    assert not run.events("a worker ended")
    assert log_types(world, 0)[-1] == "stop"


async def test_a_supervisor_gives_up_on_a_worker_that_does_not_start_again_and_again(
    gate, tmp_path, upstream, write_world
):
    world, broken = tmp_path / "world", tmp_path / "broken"
    command = (sys.executable, "-m", "tests.gateway.failing_worker", str(broken))
    async with serving(gate, write_world(world, upstream.url), 2, *command) as run:
        broken.touch()
        os.kill(pid_of(world, 1), signal.SIGKILL)
        assert await run.ended() == 1
    (gave_up,) = run.events("a worker does not start, again and again: giving up")
    assert (gave_up["worker"], gave_up["code"], gave_up["level"]) == (1, 3, "error")
    assert len(run.events("a worker ended", worker=1)) == 3
    assert log_types(world, 0)[-1] == "stop"  # the others were drained
