"""Account lines and address databases for the tests of facts."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet


def sha(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


@pytest.fixture
def account() -> Callable[..., dict[str, Any]]:
    """An account as its line decoded; its one key is `sk-<number>` with the id `k-<number>`."""

    def make(number: int, **fields: Any) -> dict[str, Any]:
        key = {"id": f"k-{number}", "sha256": sha(f"sk-{number}")}
        return {"account": f"acc-{number}", "keys": [key], **fields}

    return make


@pytest.fixture
def write_accounts(tmp_path: Path) -> Callable[..., Path]:
    """Write lines (objects or text) to accounts.jsonl by renaming, as an operator should."""
    path = tmp_path / "accounts.jsonl"

    def write(*lines: Any) -> Path:
        texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
        aside = path.with_suffix(".new")
        aside.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
        return aside.replace(path)

    return write


@pytest.fixture
def mmdb(tmp_path: Path) -> Callable[..., Path]:
    """Write a database of {network: record}."""

    def write(name: str, records: dict[str, Any], *, ip_version: int = 6) -> Path:
        writer = MMDBWriter(ip_version, ipv4_compatible=ip_version == 6)
        for network, record in records.items():
            writer.insert_network(IPSet([network]), record)
        path = tmp_path / name
        writer.to_db_file(str(path))
        return path

    return write
