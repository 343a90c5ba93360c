import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NOON = 1_776_816_000.0
POLICY = """
quotas:
  - id: per-minute
    match: {tiers: [free]}
    mode: enforce
    limit: {requests: 3, tokens: 3000}
    window: 1m
  - id: watched
    mode: shadow
    limit: {requests: 1}
    window: 1m
geography:
  - id: embargo
    match: {models: [m-large]}
    mode: enforce
    deny_countries: [CU]
fingerprints:
  - id: shared
    mode: enforce
    template: {accounts: 3, within: 10m}
"""


def account(name: str, **more: Any) -> dict[str, Any]:
    digest = hashlib.sha256(f"sk-{name}".encode()).hexdigest()
    return {
        "account": name,
        "tier": "free",
        "keys": [{"id": f"k-{name}", "sha256": digest}],
        **more,
    }


def line(number: int, ts: float, name: str, text: str = "hello there", **more: Any):
    return {
        "id": f"x-{number:04d}",
        "ts": ts,
        "client_ip": "203.0.113.7",
        "headers": [["Authorization", f"Bearer sk-{name}"]],
        "method": "POST",
        "path": "/v1/chat/completions",
        "body": {
            "model": "m-small",
            "max_tokens": 100,
            "messages": [{"role": "user", "content": text}],
        },
        "response": {
            "status": 200,
            "usage": {"input_tokens": 10, "output_tokens": 5},
            "duration_s": 1.5,
        },
        **more,
    }


@pytest.fixture
def world(tmp_path: Path) -> Callable[..., Path]:
    """A folder with gauger.yaml, policies and accounts a1 … a5; answers its gauger.yaml."""

    def make(policy: str = POLICY) -> Path:
        (tmp_path / "policies").mkdir()
        (tmp_path / "policies" / "p.yaml").write_text(policy)
        lines = [json.dumps(account(f"a{i}")) for i in range(1, 6)]
        (tmp_path / "accounts.jsonl").write_text("\n".join(lines) + "\n")
        config = tmp_path / "gauger.yaml"
        config.write_text("policies: policies\naccounts: accounts.jsonl\nstate_dir: var\n")
        return config

    return make
