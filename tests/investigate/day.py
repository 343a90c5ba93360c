"""A day of a cluster of two accounts, replayed into a log that is as a gateway writes it."""

import hashlib
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from proxy.cli.main import app
from tests.investigate.made import cluster, lines, replayed

NOON = 1_776_859_200.0  # 2026-04-22 12:00 UTC
POLICY = """
prices:
  - models: [m-large]
    input: 2.0
    output: 10.0
  - models: [m-small]
    input: 1.0
    output: 4.0
quotas:
  - id: one-hand
    per: cluster
    mode: enforce
    limit: {requests: 5}
    window: 1d
"""
CLUSTERS = """
clusters:
  - id: c-7f3a
    state: confirmed
    accounts: [a1, a2]
"""
MEMBERS = cluster(members=("a1", "a2"))


def account(name: str) -> dict[str, Any]:
    digest = hashlib.sha256(f"sk-{name}".encode()).hexdigest()
    return {"account": name, "keys": [{"id": f"k-{name}", "sha256": digest}]}


def exchange(number: int, minutes: float, name: str, model: str = "m-large") -> dict[str, Any]:
    return {
        "id": f"x-{number:04d}",
        "ts": NOON + 60 * minutes,
        "headers": [["Authorization", f"Bearer sk-{name}"]],
        "method": "POST",
        "path": "/v1/chat/completions",
        "body": {"model": model, "messages": [{"role": "user", "content": "hello"}]},
        "response": {
            "status": 200,
            "usage": {"input_tokens": 1000, "output_tokens": 500},
            "duration_s": 2,
        },
    }


def replay_day(at: Path, policy: str = POLICY, audit: str = "full") -> tuple[Path, Path]:
    """A replay of six exchanges of the cluster and two of somebody else; (settings, results)."""
    (at / "policies").mkdir()
    (at / "policies" / "p.yaml").write_text(policy)
    (at / "clusters.yaml").write_text(CLUSTERS)
    (at / "accounts.jsonl").write_bytes(lines([account(f"a{n}") for n in range(1, 4)]))
    config = at / "gauger.yaml"
    config.write_text(
        "policies: policies\naccounts: accounts.jsonl\nstate_dir: var\nclusters: clusters.yaml\n"
    )
    traffic = [
        exchange(1, 0, "a1"),
        exchange(2, 1, "a2"),
        exchange(3, 2, "a3"),
        exchange(4, 3, "a1", "m-small"),
        exchange(5, 4, "a2"),
        exchange(6, 5, "a1"),
        exchange(7, 6, "a2", "=m-small"),
        exchange(8, 7, "a3"),
    ]
    (at / "traffic.jsonl").write_bytes(lines(traffic))
    out = at / "out"
    recording = at / "traffic.jsonl"
    arguments = ("--traffic", recording, "--out", out, "--config", config, "--audit", audit)
    told = CliRunner().invoke(app, ["replay", *map(str, arguments)])
    assert told.exit_code == 0, told.output
    (out / "clusters.jsonl").write_bytes(lines([replayed(MEMBERS)]))
    return config, out
