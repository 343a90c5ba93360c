"""A gateway before two emulated model APIs: OpenAI's at a pace, Anthropic's as fast as it can.

Every kind of client has an account of its own, whose counts are read from the gateway's store.
"""

import hashlib
import json
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from proxy.demo.emulator import Emulator, Seen
from proxy.demo.upstream.sending import Timing
from proxy.gateway.serve import running
from proxy.gateway.server import Server
from proxy.model.price import Price
from proxy.settings.load import load

KEY = "the-upstream-credential"
PACE = Timing(first_s=0.5, event_s=0.01)  # a hundred tokens in a second
PRICE = Price(input=2_000_000, output=8_000_000, cached=2_000_000, cache_written=2_000_000)
POLICY = """
prices:
  - {models: ["*"], input: 2, output: 8}
quotas:
  - id: counted
    mode: enforce
    window: 1w
    limit: {requests: 1000000, input_tokens: 1000000000, output_tokens: 1000000000,
            cost: 1000000, concurrent: 1000}
  - {id: at-once, match: {tiers: [at-once]}, mode: enforce, window: 1w, limit: {requests: 100}}
  - {id: tokens, match: {tiers: [tokens]}, mode: enforce, window: 1w, limit: {tokens: 20000}}
  - {id: soft, match: {tiers: [soft]}, mode: enforce, window: 1w, limit: {output_tokens: 3000}}
  - {id: hard, match: {tiers: [hard]}, mode: enforce, window: 1w, limit: {output_tokens: 3000},
     hard: true}
"""
LIMITS = {
    "at-once.requests": 100,
    "tokens.tokens": 20_000,
    "soft.output_tokens": 3000,
    "hard.output_tokens": 3000,
}


@dataclass
class World:
    """The running parts."""

    server: Server
    paced: Emulator
    fast: Emulator

    @property
    def base(self) -> str:
        """Where clients send to."""
        return f"http://{self.server.address}"

    def counted(self, account: str) -> dict[str, int]:
        """What the store holds for an account, by rule and unit."""
        found = {}
        windows = self.server.gateway.store.memory.fixed.values()  # type: ignore[attr-defined]  # a store in memory
        for part in (part for window in windows for part in window):
            for counter, n in part.items():
                rule, unit, subject, _ = counter.split("|")
                if subject == f"account.id={account}":
                    found[f"{rule}.{unit}"] = n
        return found

    def leases(self, account: str) -> int:
        """Slots that an account holds."""
        leases = self.server.gateway.store.memory._leases._held  # type: ignore[attr-defined]  # see above
        held = [len(one) for name, one in leases.items() if f"account.id={account}|" in name]
        return sum(held)

    def seen(self) -> list[Seen]:
        """All that the model APIs saw."""
        return [*self.paced.seen, *self.fast.seen]

    def forget(self) -> None:
        """Forget what they saw."""
        self.paced.seen.clear()
        self.fast.seen.clear()


def key_of(account: str) -> str:
    """The key of an account."""
    return f"sk-{account}"


@asynccontextmanager
async def opened(folder: Path, accounts: Iterable[tuple[str, str]]) -> AsyncIterator[World]:
    """The world in an empty folder; `accounts` are names with their tiers."""
    paced, fast = Emulator(key=KEY, timing=PACE), Emulator(key=KEY)
    async with paced, fast:
        config = _write(folder, accounts, paced.url, fast.url)
        os.environ["SLOPPY_UPSTREAM_KEY"] = KEY
        async with running(load(config, os.environ)) as server:
            yield World(server, paced, fast)


def _write(folder: Path, accounts: Iterable[tuple[str, str]], openai: str, anthropic: str) -> Path:
    (folder / "policies").mkdir(parents=True)
    (folder / "policies" / "sloppy.yaml").write_text(POLICY)
    lines = [json.dumps(_account(name, tier)) for name, tier in accounts]
    (folder / "accounts.jsonl").write_text("\n".join(lines) + "\n")
    api = {"credential_env": "SLOPPY_UPSTREAM_KEY", "idle_timeout_s": 1.5}
    settings = {
        "policies": "policies",
        "accounts": "accounts.jsonl",
        "state_dir": "state",
        "server": {"listen": "127.0.0.1:0", "drain_s": 0.5},
        "admin": {"listen": "127.0.0.1:0"},
        "detector": {"enabled": False},
        "upstreams": {"openai": api | {"url": openai}, "anthropic": api | {"url": anthropic}},
    }
    config = folder / "gauger.yaml"
    config.write_text(yaml.safe_dump(settings))
    return config


def _account(name: str, tier: str) -> dict[str, object]:
    digest = hashlib.sha256(key_of(name).encode()).hexdigest()
    return {"account": name, "tier": tier, "keys": [{"id": f"id-{name}", "sha256": digest}]}
