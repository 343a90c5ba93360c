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
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
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
from proxy.gateway.serve import running
from proxy.gateway.server import Server
from proxy.settings.load import load
from tests.gateway.peers import PATIENCE_S, Answer, Client, Upstream

UPSTREAM_KEY = "the-upstream-credential"
TIERS = {"free": 400, "counted": 80, "spent": 40, "first": 40, "quick": 40}  # accounts of each

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


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Any]:
    """The event loop that `gauger serve` runs on."""
    return {"uvloop": uvloop.new_event_loop}


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

    async def records(self, kind: str = "") -> list[Entry]:
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
        both = isinstance(inner, dict) and isinstance(value, dict)
        base[name] = _merged(dict(inner), value) if both else value
    return base


def write_world(directory: Path, upstream: str, **over: Any) -> Path:
    """Policies, accounts and gauger.yaml in a directory; `over` is laid over the settings."""
    (directory / "policies").mkdir(parents=True)
    (directory / "policies" / "test.yaml").write_text(over.pop("policy", POLICY))
    keys = ((f"sk-{tier}-{number}", tier) for tier in TIERS for number in range(TIERS[tier]))
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
        "detector": {"step_s": 1.0, "enabled": False},
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
    """A gateway in a directory; clients that are left when it stops see how it stops."""
    url = over.pop("url", upstream.url)
    if (directory / "gauger.yaml").exists():
        config = directory / "gauger.yaml"
    else:
        config = write_world(directory, url, **over)
    settings = load(config, {"UPSTREAM_KEY": UPSTREAM_KEY})
    keys = {tier: iter([f"sk-{tier}-{n}" for n in range(TIERS[tier])]) for tier in TIERS}
    with pytest.MonkeyPatch.context() as patch:
        if disk is not None:
            patch.setattr(
                AuditLog, "open", functools.partial(AuditLog.open, disk=disk, retry_s=0.02)
            )
        async with running(settings) as server:
            gate = Gate(server, upstream, directory, keys)
            yield gate


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


Opened = Callable[..., AbstractAsyncContextManager[Gate]]


@pytest_asyncio.fixture(loop_scope="session", name="opened")
async def _opened() -> AsyncIterator[Opened]:
    """Gateways as context managers, for tests about the end: their clients outlive them."""
    gates: list[Gate] = []

    @asynccontextmanager
    async def open_one(*given: Any, **over: Any) -> AsyncIterator[Gate]:
        async with opened(*given, **over) as gate:
            gates.append(gate)
            yield gate

    yield open_one
    for gate in gates:
        gate.hang_up()


Open = Callable[..., Awaitable[Gate]]


@pytest_asyncio.fixture(loop_scope="session")
async def open_gate(tmp_path: Path, upstream: Upstream, opened: Opened) -> AsyncIterator[Open]:
    """Opens a gateway with settings of its own; closed after the test."""
    async with AsyncExitStack() as stack:
        number = itertools.count()

        async def open_one(disk: Disk | None = None, **over: Any) -> Gate:
            directory = tmp_path / f"world-{next(number)}"
            gate = await stack.enter_async_context(opened(directory, upstream, disk, **over))
            stack.callback(gate.hang_up)
            return gate

        yield open_one


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
