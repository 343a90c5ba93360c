"""The gateway as `gauger serve` runs it, an emulated model API behind it, real SDKs before it.

Emulator and gateway live for the session; each test takes accounts that no other test has used.
"""

import hashlib
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
import pytest_asyncio
import yaml

from proxy.demo import children
from proxy.demo.emulator import Emulator, Seen
from proxy.demo.upstream.sending import Timing
from proxy.demo.world import write_countries

UPSTREAM_KEY = "the-upstream-credential"
TIERS = ("free", "counted", "spent", "tokens", "herd")
CHANGED = ("unverified", "told", "trimmed", "rerouted", "clamped", "cut")  # by access rules
EACH = 300
PATIENCE_S = 3.0  # long enough for a busy machine, short enough to wait for
AT_HOME = "198.51.100.1"  # DE in the database of the demo
EMBARGOED = "198.51.100.129"  # BV

POLICY = """
lists:
  embargoed: [BV]
quotas:
  - id: counted-requests
    match: {tiers: [counted]}
    mode: enforce
    limit: {requests: 1000, tokens: 1000000}
    window: 1w
  - id: two-requests
    match: {tiers: [spent]}
    mode: enforce
    limit: {requests: 2}
    window: 1w
    message: Two requests a week.
  - id: few-tokens
    match: {tiers: [tokens]}
    mode: enforce
    limit: {tokens: 2000}
    window: 1w
geography:
  - id: no-large
    match: {models: [m-large]}
    mode: enforce
    deny_countries: $embargoed
    message: m-large is not sold here.
fingerprints:
  - id: shared
    match: {tiers: [herd]}
    mode: enforce
    template: {accounts: 3, within: 1h}
access:
  - id: verify-first
    match: {tiers: [unverified]}
    mode: enforce
    then: step_up
    message: Verify your organization first.
  - id: soon-closed
    match: {tiers: [told]}
    mode: warn
    then: deny
    message: This tier closes in May.
  - id: trimmed
    match: {tiers: [trimmed]}
    mode: enforce
    modify: {strip: [logprobs, reasoning]}
  - id: rerouted
    match: {tiers: [rerouted], models: [m-large]}
    mode: enforce
    modify: {reroute: words-7}
  - id: clamped
    match: {tiers: [clamped]}
    mode: enforce
    modify: {max_tokens: 20}
  - id: cut
    match: {tiers: [cut]}
    mode: enforce
    modify: {cut_after: 30}
"""


@dataclass
class Gateway:
    """Where the gateway is, what its upstream saw, and keys of accounts by tier."""

    url: str
    emulator: Emulator
    audit: Path
    unused: dict[str, Iterator[str]] = field(default_factory=dict)

    def key(self, tier: str = "free") -> str:
        """The key of an account that nobody has used."""
        return next(self.unused[tier])


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    directory = tmp_path_factory.mktemp("gateway")
    listen, admin = children.free_address(), children.free_address()
    async with Emulator(key=UPSTREAM_KEY, timing=Timing(slow_s=0.1)) as emulator:
        _write(directory, listen, admin, emulator.url)
        config, log = directory / "gauger.yaml", directory / "gateway.log"
        environment = {"UPSTREAM_KEY": UPSTREAM_KEY}
        async with children.gateway(config, admin, environment, log):
            yield Gateway(
                url=f"http://{listen}",
                emulator=emulator,
                audit=directory / "state" / "audit",
                unused={tier: iter(_keys(tier)) for tier in TIERS + CHANGED},
            )


@pytest.fixture
def seen(gateway: Gateway) -> Callable[[], list[Seen]]:
    """What the upstream received since the test began."""
    before = len(gateway.emulator.seen)
    return lambda: gateway.emulator.seen[before:]


@dataclass
class Client:
    """An SDK client and the requests that it sent, retries included."""

    sdk: Any
    sent: list[str] = field(default_factory=list)


@pytest_asyncio.fixture(loop_scope="session")
async def oai(gateway: Gateway) -> AsyncIterator[Callable[..., Client]]:
    """Makes OpenAI clients: `oai(tier=…, address=…, **options of the SDK)`."""
    made: list[openai.AsyncOpenAI] = []

    def make(tier: str = "free", address: str = AT_HOME, **options: Any) -> Client:
        sent: list[str] = []
        http = openai.DefaultAsyncHttpxClient(event_hooks={"request": [_counter(sent)]})
        options = {"api_key": gateway.key(tier), "max_retries": 0} | options
        headers = {"X-Forwarded-For": address}
        base_url = f"{gateway.url}/v1"
        made.append(
            openai.AsyncOpenAI(
                base_url=base_url, default_headers=headers, http_client=http, **options
            )
        )
        return Client(made[-1], sent)

    yield make
    for client in made:
        await client.close()


@pytest_asyncio.fixture(loop_scope="session")
async def ant(gateway: Gateway) -> AsyncIterator[Callable[..., Client]]:
    """Makes Anthropic clients: `ant(tier=…, address=…, **options of the SDK)`."""
    made: list[anthropic.AsyncAnthropic] = []

    def make(tier: str = "free", address: str = AT_HOME, **options: Any) -> Client:
        sent: list[str] = []
        http = anthropic.DefaultAsyncHttpxClient(event_hooks={"request": [_counter(sent)]})
        options = {"api_key": gateway.key(tier), "max_retries": 0} | options
        headers = {"X-Forwarded-For": address}
        made.append(
            anthropic.AsyncAnthropic(
                base_url=gateway.url, default_headers=headers, http_client=http, **options
            )
        )
        return Client(made[-1], sent)

    yield make
    for client in made:
        await client.close()


def _counter(sent: list[str]) -> Callable[[Any], Any]:
    async def count(request: Any) -> None:
        sent.append(str(request.url))

    return count


def _keys(tier: str) -> list[str]:
    return [f"sk-{tier}-{number}" for number in range(EACH)]


def _write(directory: Path, listen: str, admin: str, upstream: str) -> None:
    (directory / "policies").mkdir()
    (directory / "policies" / "test.yaml").write_text(POLICY)
    lines = (
        json.dumps(
            {
                "account": key.replace("sk-", "acc-"),
                "keys": [{"id": f"id-{key}", "sha256": hashlib.sha256(key.encode()).hexdigest()}],
                "tier": tier,
            }
        )
        for tier, key in itertools.chain.from_iterable(
            ((tier, key) for key in _keys(tier)) for tier in TIERS + CHANGED
        )
    )
    (directory / "accounts.jsonl").write_text("\n".join(lines) + "\n")
    write_countries(directory / "country.mmdb")
    of_upstream = {
        "url": upstream,
        "credential_env": "UPSTREAM_KEY",
        "first_byte_timeout_s": PATIENCE_S,
        "idle_timeout_s": PATIENCE_S,
    }
    settings = {
        "policies": "policies",
        "accounts": "accounts.jsonl",
        "state_dir": "state",
        "server": {"listen": listen, "drain_s": 1.0},
        "admin": {"listen": admin},
        "upstreams": {"openai": dict(of_upstream), "anthropic": dict(of_upstream)},
        "trusted_peers": ["127.0.0.0/8"],
        "geo": {"databases": ["country.mmdb"]},
        "detector": {"step_s": 0.05, "enabled": False},
    }
    (directory / "gauger.yaml").write_text(yaml.safe_dump(settings))
