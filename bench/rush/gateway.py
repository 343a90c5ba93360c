"""The gateway under test: `gauger serve` with its workers, in a folder that goes with it."""

import asyncio
import hashlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from bench.servers.ports import HOST, free_port
from bench.servers.process import Process

KEY = "the-upstream-credential"
LIMIT = 100
STARTS_WITHIN_S = 60.0
STOPS_WITHIN_S = 15.0
WAYS = {
    "fixed window": "fixed",
    "rolling window": "rolling",
    "bucket (GCRA)": "gcra",
    "three limits, apart": "apart",
}
RULE = "  - {{id: {id}, match: {{tiers: [{tier}]}}, mode: enforce, on_unavailable: deny, {how}}}"
ONE_LIMIT = f"window: 1w, limit: {{requests: {LIMIT}}}"
RULES = {
    "fixed": ("fixed", ONE_LIMIT),
    "rolling": ("rolling", f"{ONE_LIMIT}, algorithm: rolling"),
    "gcra": ("gcra", f"{ONE_LIMIT}, algorithm: gcra, burst: {LIMIT}"),
    "apart-account": ("apart", ONE_LIMIT),
    "apart-organization": ("apart", f"{ONE_LIMIT}, per: organization"),
    "apart-model": ("apart", f"{ONE_LIMIT}, per: model"),
}


def key_of(account: str) -> str:
    """The key of an account."""
    return f"sk-{account}"


@asynccontextmanager
async def served(
    upstream: str, accounts: dict[str, str], store: dict[str, Any] | None, workers: int
) -> AsyncIterator[str]:
    """A gateway with as many workers, which serve; its address. `accounts` have their tiers."""
    os.environ["RUSH_UPSTREAM_KEY"] = KEY
    process, port = Process(), free_port()
    try:
        config = _write(process.folder, upstream, accounts, store, workers, port)
        run = "from proxy.cli.main import main; main()"
        process.start(sys.executable, "-c", run, "serve", "--config", str(config))
        await _until_serving(process, workers)
        yield f"http://{HOST}:{port}"
        process.signal(signal.SIGTERM)
        async with asyncio.timeout(STOPS_WITHIN_S):
            while process.pid is not None:  # noqa: ASYNC110 (a process tells nobody)
                await asyncio.sleep(0.05)
    finally:
        process.close()


async def _until_serving(process: Process, workers: int) -> None:
    """Wait until all workers serve; RuntimeError with what was said where they do not."""
    serving = "all workers serve" if workers > 1 else "serving"
    for _ in range(int(STARTS_WITHIN_S / 0.1)):
        said = process.log.read_text() if process.log.exists() else ""
        if serving in said:
            return
        if process.pid is None:
            break
        await asyncio.sleep(0.1)
    raise RuntimeError(f"the gateway does not serve:\n{process.log.read_text()}")


def _write(
    folder: Path,
    upstream: str,
    accounts: dict[str, str],
    store: dict[str, Any] | None,
    workers: int,
    port: int,
) -> Path:
    (folder / "policies").mkdir()
    rules = [RULE.format(id=id_, tier=tier, how=how) for id_, (tier, how) in RULES.items()]
    (folder / "policies" / "rush.yaml").write_text("\n".join(["quotas:", *rules]) + "\n")
    lines = [json.dumps(_account(name, tier)) for name, tier in accounts.items()]
    (folder / "accounts.jsonl").write_text("\n".join(lines) + "\n")
    settings: dict[str, Any] = {
        "policies": "policies",
        "accounts": "accounts.jsonl",
        "state_dir": "state",
        "workers": workers,
        "server": {"listen": f"{HOST}:{port}", "drain_s": 1.0},
        "admin": {"listen": f"{HOST}:{free_port()}"},
        "detector": {"enabled": False},
        "upstreams": {"openai": {"url": upstream, "credential_env": "RUSH_UPSTREAM_KEY"}},
    }
    config = folder / "gauger.yaml"
    config.write_text(yaml.safe_dump(settings | ({"store": store} if store else {})))
    return config


def _account(name: str, tier: str) -> dict[str, object]:
    digest = hashlib.sha256(key_of(name).encode()).hexdigest()
    keys = [{"id": f"id-{name}", "sha256": digest}]
    return {"account": name, "organization": f"org-{name}", "tier": tier, "keys": keys}
