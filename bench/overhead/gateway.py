"""A folder from which the gateway under test can be served: settings, policies, accounts, maps.

The policy set has all three kinds of rules. Five of them govern every request of the load; the
others name models and tiers that it does not use, as most rules of a real set do for a given
request. No limit is ever reached.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.campaigns.networks import write_mmdb
from bench.overhead.requests import directory

MATCHING = """\
quotas:
  - {id: minute, mode: enforce, limit: {requests: 1000000, tokens: 2000000000}, window: 1m}
  - {id: day, mode: enforce, limit: {tokens: 900000000000}, window: 1d}
  - id: day-per-organization
    mode: shadow
    per: organization
    limit: {requests: 900000000}
    window: 1d
geography:
  - {id: embargo, mode: enforce, deny_countries: [KP, SY, CU]}
fingerprints:
  - {id: shared-template, mode: enforce, template: {accounts: 5000, within: 1d}, then: throttle}
"""
MATCHING_RULES = 5
UPSTREAM_KEY = {"GAUGER_OPENAI_KEY": "sk-upstream"}


def write_folder(
    folder: Path, *, port: int, admin_port: int, upstream_port: int, durability: str, rules: int
) -> Path:
    """Write everything into `folder` and return the path of its gauger.yaml."""
    policies = folder / "policies"
    policies.mkdir(parents=True, exist_ok=True)
    (policies / "matching.yaml").write_text(MATCHING)
    (policies / "others.yaml").write_text("\n".join(_others(rules - MATCHING_RULES)) + "\n")
    write_mmdb(folder)
    with (folder / "accounts.jsonl").open("w") as out:
        for line in directory():
            out.write(json.dumps(line) + "\n")
    config = folder / "gauger.yaml"
    config.write_text(
        f"""\
policies: policies
accounts: accounts.jsonl
state_dir: state
server: {{listen: "127.0.0.1:{port}"}}
admin: {{listen: "127.0.0.1:{admin_port}"}}
upstreams:
  openai:
    url: "http://127.0.0.1:{upstream_port}"
    credential: replace
    credential_env: GAUGER_OPENAI_KEY
trusted_peers: ["127.0.0.0/8"]
geo: {{databases: [country.mmdb, asn.mmdb]}}
audit: {{durability: {durability}}}
secrets: {{fingerprint_key: "{"0f" * 32}", pseudonym_key: "{"f0" * 32}"}}
"""
    )
    return config


def command(config: Path) -> list[str]:
    """The command line that serves a folder."""
    run = "from proxy.cli.main import main; main()"
    return [sys.executable, "-c", run, "serve", "--config", str(config)]


def _others(count: int) -> Iterator[str]:
    """Rules that govern other models or tiers: six quotas to two geography and two fingerprint."""
    if count <= 0:
        return
    kinds = ["quotas"] * 6 + ["geography"] * 2 + ["fingerprints"] * 2
    numbered = [(kinds[number % len(kinds)], number) for number in range(count)]
    for kind in ("quotas", "geography", "fingerprints"):
        named = [number for own, number in numbered if own == kind]
        if named:
            yield f"{kind}:"
        for number in named:
            yield f"  - {{id: other-{number}, mode: enforce, {_match(number)}, {_then(kind)}}}"


def _match(number: int) -> str:
    if number % 3 == 0:
        return f"match: {{models: [other-{number}-*], tiers: [scale]}}"
    return f"match: {{models: [other-{number}]}}" if number % 3 == 1 else "match: {tiers: [scale]}"


def _then(kind: str) -> str:
    return {
        "quotas": "limit: {requests: 100}, window: 1h",
        "geography": "allow_countries: [US, DE]",
        "fingerprints": "template: {accounts: 50, within: 1h}, then: throttle",
    }[kind]
