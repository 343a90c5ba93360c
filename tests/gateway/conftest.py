"""A gateway on real sockets, a raw-socket model API behind it, and clients that speak bytes.

The gateway `gate` and its upstream live for the session; tests take accounts that nobody has used
and write the upstream's part themselves. Tests with settings of their own open another gateway.
"""

import asyncio
import functools
import hashlib
import itertools
import json
import os
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvloop
import yaml

from proxy.audit.disk import Disk
from proxy.audit.format import SLOT_BYTES
from proxy.audit.log import AuditLog
from proxy.audit.read import Entry, entries
from proxy.demo.emulator import Emulator
from proxy.gateway.serve import Server, running
from proxy.settings.load import load

UPSTREAM_KEY = "the-upstream-credential"
TIERS = ("free", "counted", "spent", "first", "quick")
EACH = 120
PATIENCE_S = 10.0

POLICY = """
quotas:
  - id: counted
    match: {tiers: [counted]}
    mode: enforce
    limit: {requests: 1000, tokens: 1000000}
    window: 1w
  - id: two-requests
    match: {tiers: [spent]}
    mode: enforce
    limit: {requests: 2}
    window: 1w
  - id: recorded-first
    match: {tiers: [first]}
    mode: enforce
    limit: {requests: 1000}
    window: 1w
    durability: before
  - id: recorded-later
    match: {tiers: [quick]}
    mode: enforce
    limit: {requests: 1000}
    window: 1w
    durability: async
"""

CHAT = b'{"model":"m-small","messages":[{"role":"user","content":"hi"}]}'
MESSAGE = b'{"model":"m-small","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'
ANSWER = b'{"id":"1","usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}'


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Any]:
    """The event loop that `gauger serve` runs on."""
    return {"uvloop": uvloop.new_event_loop}


Fields = list[tuple[bytes, bytes]]


@dataclass
class Head:
    """A start line and fields, as bytes, in order and with their case."""

    line: bytes
    fields: Fields

    def all(self, name: str) -> list[bytes]:
        return [value for key, value in self.fields if key.lower() == name.lower().encode()]

    def get(self, name: str) -> str | None:
        found = self.all(name)
        return found[0].decode() if found else None


@dataclass
class Request(Head):
    """A request as the upstream got it."""

    body: bytes = b""


@dataclass
class Answer(Head):
    """An answer as the client got it; `whole` is False where the body was cut off."""

    body: bytes = b""
    whole: bool = True

    @property
    def status(self) -> int:
        return int(self.line.split(b" ")[1])

    def json(self) -> Any:
        return json.loads(self.body)


async def _head(reader: asyncio.StreamReader) -> tuple[bytes, Fields]:
    lines = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
    pairs = (line.split(b":", 1) for line in lines[1:])
    return lines[0], [(name, value.strip(b" ")) for name, value in pairs]


async def _chunk(reader: asyncio.StreamReader) -> bytes:
    size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
    data = await reader.readexactly(size + 2)
    return data[:-2]


async def _body(reader: asyncio.StreamReader, head: Head, *, to_end: bool) -> tuple[bytes, bool]:
    """The body after a head, and whether all of it came."""
    parts: list[bytes] = []
    try:
        if head.get("transfer-encoding") == "chunked":
            while part := await _chunk(reader):
                parts.append(part)
        elif head.get("content-length") is not None:
            parts.append(await reader.readexactly(int(head.get("content-length") or 0)))
        elif to_end:
            parts.append(await reader.read())
    except asyncio.IncompleteReadError as cut:
        return b"".join(parts) + cut.partial, False
    except ConnectionError:
        return b"".join(parts), False
    return b"".join(parts), True


class Wire:
    """One end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def ended(self) -> bytes:
        """Wait until the other end closes; what it still sent."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    def reset(self) -> None:
        """Close with RST."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()

    def close(self) -> None:
        self.writer.close()


class Client(Wire):
    """The caller's end."""

    method = b"POST"

    async def head(self) -> Answer:
        async with asyncio.timeout(PATIENCE_S):
            return Answer(*await _head(self.reader))

    async def chunk(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await _chunk(self.reader)

    async def rest(self, answer: Answer, *, head: bool = False) -> Answer:
        """The body of an answer whose head is there."""
        if not (head or answer.status in (204, 304)):
            async with asyncio.timeout(PATIENCE_S):
                answer.body, answer.whole = await _body(self.reader, answer, to_end=True)
        return answer

    async def ask(self, request: bytes) -> Answer:
        await self.send(request)
        return await self.rest(await self.head(), head=request.startswith(b"HEAD "))


class Call(Wire):
    """The upstream's end of a connection, with a request on it."""

    request: Request

    async def reply(self, body: bytes = ANSWER, *fields: str, status: str = "200 OK") -> None:
        """A whole answer; JSON unless a field says otherwise."""
        if not any(one.lower().startswith("content-type:") for one in fields):
            fields = ("Content-Type: application/json", *fields)
        head = "\r\n".join([f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}"])
        await self.send(head.encode() + b"\r\n\r\n" + body)

    async def stream(self, *fields: str) -> None:
        """The head of a stream of events."""
        fields = ("Content-Type: text/event-stream", *fields, "Transfer-Encoding: chunked")
        await self.send("\r\n".join(["HTTP/1.1 200 OK", *fields]).encode() + b"\r\n\r\n")

    async def chunk(self, data: bytes) -> None:
        """One chunk; an empty one ends the body."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))


Part = Callable[[Call], Awaitable[None]]


class Upstream:
    """A model API whose part each test writes: `answer` is called with each request."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.url = ""
        self.answer: Part = Call.reply
        self.read_body = True
        self._changed = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0, limit=2**20)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def fresh(self) -> None:
        """Forget what was seen, and answer as at first."""
        self.requests.clear()
        self.connections = 0
        self.answer = Call.reply
        self.read_body = True

    async def until(self, count: int) -> None:
        """Wait until so many requests have come."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: len(self.requests) >= count)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            call = Call(reader, writer)
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while not writer.is_closing():
                    await self._serve(call)
        except asyncio.CancelledError:
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort() if writer.transport.is_closing() else writer.close()

    async def _serve(self, call: Call) -> None:
        call.request = Request(*await _head(call.reader))
        if self.read_body:
            call.request.body, whole = await _body(call.reader, call.request, to_end=False)
            if not whole:
                raise ConnectionResetError
        self.requests.append(call.request)
        async with self._changed:
            self._changed.notify_all()
        await self.answer(call)


@dataclass
class Gate:
    """A running gateway and all that a test asks of it."""

    server: Server
    upstream: Upstream
    directory: Path
    keys: Mapping[str, Iterator[str]]
    clients: list[Client] = field(default_factory=list)

    def key(self, tier: str = "free") -> str:
        """The key of an account that nobody has used."""
        return next(self.keys[tier])

    def post(
        self,
        body: bytes = CHAT,
        *fields: str,
        key: str | None = None,
        path: str = "/v1/chat/completions",
        method: str = "POST",
    ) -> bytes:
        """A request of a new account, or of a key's."""
        lines = [f"{method} {path} HTTP/1.1", "Host: gauger.test"]
        given = key if key is not None else self.key()
        lines += [f"Authorization: Bearer {given}"] if given else []
        if body and not any(one.lower().startswith("transfer-encoding:") for one in fields):
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, *fields]).encode() + b"\r\n\r\n" + body

    def message(self, body: bytes = MESSAGE, *fields: str, key: str | None = None) -> bytes:
        """The same in Anthropic's dialect."""
        given = key if key is not None else self.key()
        own = (f"x-api-key: {given}", "anthropic-version: 2023-06-01")
        return self.post(body, *own, *fields, key="", path="/v1/messages")

    async def connect(self, *, admin: bool = False, address: str = "") -> Client:
        there = address or (self.server.admin_address if admin else self.server.address)
        host, _, port = there.rpartition(":")
        client = Client(*await asyncio.open_connection(host, int(port), limit=2**20))
        self.clients.append(client)
        return client

    async def ask(self, request: bytes, *, admin: bool = False) -> Answer:
        """One request on a connection of its own."""
        client = await self.connect(admin=admin)
        try:
            return await client.ask(request)
        finally:
            client.close()

    def hang_up(self) -> None:
        for client in self.clients:
            client.close()
        self.clients.clear()

    async def idle(self) -> None:
        """Wait until nothing is under way."""
        await eventually(lambda: self.server.gateway.under_way == 0)

    async def records(self, kind: str = "", *, account: str = "") -> list[Entry]:
        """What the log has on disk, once all that was appended is there."""
        await self.idle()
        log = self.server._audit
        await eventually(lambda: log.lag == 0)
        found = entries(self.directory / "state" / "audit", types={kind} if kind else None)
        return list(found)

    async def last(self, kind: str) -> dict[str, Any]:
        """The newest record of a kind."""
        return (await self.records(kind))[-1].fields

    async def remaining(self, key: str) -> tuple[int, int]:
        """What a counted account has left before this very request: requests, tokens."""
        answer = await self.ask(self.post(key=key))
        left = (answer.get(f"x-ratelimit-remaining-{unit}") for unit in ("requests", "tokens"))
        requests, tokens = (int(one or -1) for one in left)
        return requests + 1, tokens


async def eventually(condition: Callable[[], object]) -> None:
    """Wait for something that tells nobody when it happens."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it never came about"
        await asyncio.sleep(0.002)


@pytest.fixture(scope="session", name="eventually")
def _eventually() -> Callable[[Callable[[], object]], Awaitable[None]]:
    return eventually


def account_line(key: str, tier: str, **more: object) -> str:
    digest = hashlib.sha256(key.encode()).hexdigest()
    account = {"account": key.replace("sk-", "acc-"), "tier": tier}
    return json.dumps(account | {"keys": [{"id": f"id-{key}", "sha256": digest}]} | more)


@pytest.fixture(scope="session", name="account_line")
def _account_line() -> Callable[..., str]:
    """A line of the directory for a key."""
    return account_line


def _merged(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in over.items():
        inner = base.get(name)
        base[name] = _merged(dict(inner), value) if isinstance(inner, dict) else value
    return base


def write_world(directory: Path, upstream: str, **over: Any) -> Path:
    """Policies, accounts and gauger.yaml in a directory; `over` is laid over the settings."""
    (directory / "policies").mkdir(parents=True)
    (directory / "policies" / "test.yaml").write_text(POLICY)
    keys = ((f"sk-{tier}-{number}", tier) for tier in TIERS for number in range(EACH))
    lines = (account_line(key, tier) for key, tier in keys)
    (directory / "accounts.jsonl").write_text("\n".join(lines) + "\n")
    api = {"url": upstream, "credential_env": "UPSTREAM_KEY"}
    settings = {
        "policies": "policies",
        "accounts": "accounts.jsonl",
        "state_dir": "state",
        "server": {"listen": "127.0.0.1:0", "drain_s": 1.0},
        "admin": {"listen": "127.0.0.1:0"},
        "upstreams": {"openai": dict(api), "anthropic": dict(api)},
        "detector": {"step_s": 1.0},
    }
    config = directory / "gauger.yaml"
    config.write_text(yaml.safe_dump(_merged(settings, over)))
    return config


@pytest.fixture(scope="session", name="write_world")
def _write_world() -> Callable[..., Path]:
    return write_world


@asynccontextmanager
async def opened(
    directory: Path, upstream: Upstream, disk: Disk | None = None, **over: Any
) -> AsyncIterator[Gate]:
    """A gateway of its own in a new directory."""
    url = over.pop("url", upstream.url)
    if (directory / "gauger.yaml").exists():
        config = directory / "gauger.yaml"
    else:
        config = write_world(directory, url, **over)
    settings = load(config, {"UPSTREAM_KEY": UPSTREAM_KEY})
    keys = {tier: iter([f"sk-{tier}-{n}" for n in range(EACH)]) for tier in TIERS}
    with pytest.MonkeyPatch.context() as patch:
        if disk is not None:
            patch.setattr(AuditLog, "open", functools.partial(AuditLog.open, disk=disk, retry_s=0.02))
        async with running(settings) as server:
            gate = Gate(server, upstream, directory, keys)
            yield gate
            gate.hang_up()


@pytest.fixture(scope="session", autouse=True)
def _environment() -> Iterator[None]:
    """The upstream's credential is where the settings say; no setting comes from outside."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("GAUGER_")]:
            patch.delenv(name)
        patch.setenv("UPSTREAM_KEY", UPSTREAM_KEY)
        yield


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _upstream() -> AsyncIterator[Upstream]:
    upstream = Upstream()
    await upstream.start()
    yield upstream
    await upstream.stop()


@pytest.fixture
def upstream(_upstream: Upstream) -> Upstream:
    """The model API, which answers every request with JSON until told otherwise."""
    _upstream.fresh()
    return _upstream


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _gate(
    tmp_path_factory: pytest.TempPathFactory, _upstream: Upstream, _environment: None
) -> AsyncIterator[Gate]:
    async with opened(tmp_path_factory.mktemp("gate") / "world", _upstream) as gate:
        yield gate


@pytest_asyncio.fixture(loop_scope="session")
async def gate(_gate: Gate, upstream: Upstream) -> AsyncIterator[Gate]:
    """The gateway that most tests share."""
    yield _gate
    _gate.hang_up()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _hasty(
    tmp_path_factory: pytest.TempPathFactory, _upstream: Upstream, _environment: None
) -> AsyncIterator[Gate]:
    times = {"connect_timeout_s": 0.2, "first_byte_timeout_s": 0.3, "idle_timeout_s": 0.2}
    over = {"upstreams": {"openai": times, "anthropic": times}}
    async with opened(tmp_path_factory.mktemp("hasty") / "world", _upstream, **over) as gate:
        yield gate


@pytest_asyncio.fixture(loop_scope="session")
async def hasty(_hasty: Gate, upstream: Upstream) -> AsyncIterator[Gate]:
    """A gateway that waits for its upstream no longer than a blink."""
    yield _hasty
    _hasty.hang_up()


Open = Callable[..., Awaitable[Gate]]


@pytest_asyncio.fixture(loop_scope="session")
async def open_gate(tmp_path: Path, upstream: Upstream) -> AsyncIterator[Open]:
    """Opens a gateway with settings of its own; closed after the test."""
    async with AsyncExitStack() as stack:
        number = itertools.count()

        async def open_one(disk: Disk | None = None, **over: Any) -> Gate:
            directory = tmp_path / f"world-{next(number)}"
            return await stack.enter_async_context(opened(directory, upstream, disk, **over))

        yield open_one


@pytest.fixture(scope="session", name="opened")
def _opened() -> Callable[..., Any]:
    """The same as a context manager, for tests about the end."""
    return opened


@pytest_asyncio.fixture(loop_scope="session")
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(key=UPSTREAM_KEY) as running_emulator:
        yield running_emulator


class TestDisk(Disk):
    """A disk that can be full, or hold every record back."""

    __test__ = False

    def __init__(self) -> None:
        self.full = False
        self.writing = threading.Event()
        self._may_write = threading.Event()
        self._may_write.set()

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        if len(data) != SLOT_BYTES:
            self.writing.set()
            assert self._may_write.wait(PATIENCE_S)
        if self.full:
            raise OSError(28, "No space left on device")
        super().write(descriptor, data, offset)

    @contextmanager
    def held(self) -> Iterator[None]:
        """No record is written inside."""
        self.writing.clear()
        self._may_write.clear()
        try:
            yield
        finally:
            self._may_write.set()


@pytest.fixture
def disk() -> TestDisk:
    return TestDisk()
