"""Who takes part in the demo, and the files that tell the gateway about them.

Addresses are from the ranges reserved for documentation (RFC 5737), spread over countries by a
database that is written on the spot.
"""

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path

import yaml

UPSTREAM_KEY = "upstream-key"
UPSTREAM_KEY_ENV = "DEMO_UPSTREAM_KEY"
CREATED_AT_S = 1774000000
HEADS = 20

# Each country has sixteen addresses of 198.51.100.0/24, in this order.
COUNTRIES = ("DE", "BR", "JP", "PL", "NG", "FR", "SG", "NL", "BV", "CA", "KE", "CL")


@dataclass(frozen=True, slots=True)
class Party:
    """One account and where it calls from; its key is as easy to guess as its name."""

    account: str
    tier: str
    country: str
    host: int = 1

    @property
    def key(self) -> str:
        """The bare API key."""
        return f"demo-{self.account}"

    @property
    def address(self) -> str:
        """The address that its requests come from."""
        return f"198.51.100.{COUNTRIES.index(self.country) * 16 + self.host}"


ORDINARY = (
    Party("ada", "build", "DE"),
    Party("bruno", "build", "BR"),
    Party("chiyo", "build", "JP"),
    Party("daria", "build", "PL"),
    Party("emeka", "trial", "NG"),
    Party("fleur", "build", "FR"),
)
HASTY = Party("hasty", "trial", "CA")
ISLANDER = Party("islander", "build", "BV")
HYDRA = tuple(
    Party(f"hydra-{number:02}", "build", ("SG", "NL", "KE", "CL")[number % 4], 1 + number // 4)
    for number in range(1, HEADS + 1)
)
YOU = Party("you", "build", "NL", 14)
ACCOUNTS = (*ORDINARY, HASTY, ISLANDER, *HYDRA, YOU)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the demo's files are, and the addresses that its gateway takes."""

    directory: Path
    policies: Path
    listen: str
    admin: str
    fingerprint_key: str = field(default_factory=lambda: secrets.token_hex(32))
    pseudonym_key: str = field(default_factory=lambda: secrets.token_hex(32))

    @property
    def config(self) -> Path:
        """The gateway's settings."""
        return self.directory / "gauger.yaml"

    @property
    def audit(self) -> Path:
        """The audit log."""
        return self.directory / "state" / "audit"

    @property
    def environment(self) -> dict[str, str]:
        """What the gateway is told by environment: everything secret."""
        return {
            UPSTREAM_KEY_ENV: UPSTREAM_KEY,
            "GAUGER_SECRETS__FINGERPRINT_KEY": self.fingerprint_key,
            "GAUGER_SECRETS__PSEUDONYM_KEY": self.pseudonym_key,
        }


def write(places: Places, upstream_url: str) -> None:
    """Write the account directory, the country database and gauger.yaml."""
    lines = (json.dumps(_account(party)) for party in ACCOUNTS)
    (places.directory / "accounts.jsonl").write_text("\n".join(lines) + "\n")
    write_countries(places.directory / "country.mmdb")
    places.config.write_text(yaml.safe_dump(_settings(places, upstream_url), sort_keys=False))


def write_countries(path: Path) -> None:
    """A small MMDB in MaxMind's layout."""
    from mmdb_writer import MMDBWriter  # noqa: PLC0415 - part of the demo extra only
    from netaddr import IPSet  # type: ignore[import-untyped]  # noqa: PLC0415

    writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="Demo-Country")
    for number, country in enumerate(COUNTRIES):
        network = IPSet([f"198.51.100.{number * 16}/28"])
        writer.insert_network(network, {"country": {"iso_code": country}})
    writer.to_db_file(str(path))


def _account(party: Party) -> dict[str, object]:
    key = {"id": f"k-{party.account}", "sha256": hashlib.sha256(party.key.encode()).hexdigest()}
    return {
        "account": party.account,
        "keys": [key],
        "tier": party.tier,
        "created_at": CREATED_AT_S,
        "country": party.country,
    }


def _settings(places: Places, upstream_url: str) -> dict[str, object]:
    upstream = {"url": upstream_url, "credential_env": UPSTREAM_KEY_ENV}
    return {
        "policies": str(places.policies),
        "accounts": "accounts.jsonl",
        "state_dir": "state",
        "server": {"listen": places.listen, "drain_s": 3},
        "admin": {"listen": places.admin},
        "upstreams": {"openai": dict(upstream), "anthropic": dict(upstream)},
        # The demo's clients run on this machine and name the address they play in X-Forwarded-For.
        "trusted_peers": ["127.0.0.0/8"],
        "geo": {"databases": ["country.mmdb"]},
        "detector": {"step_s": 0.5, "enabled": False},
    }
