"""Folders with settings, policies, accounts, recordings and an audit log, made by a replay."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from proxy.audit.read import Entry, entries
from proxy.policy.archive import Archive
from proxy.policy.load import compile_texts, read
from proxy.policy.rules import PolicySet
from proxy.replay.session import Session
from proxy.store.memory import MemoryStore
from tests.replay.conftest import account

SECRETS = {"fingerprint_key": "11" * 32, "pseudonym_key": "22" * 32}
ACCOUNTS = [
    account("a1", organization="org-1", verified=True),
    account("a2", organization="org-1", labels=["trusted"]),
    account("a3", tier="paid", organization="org-3"),
    account("a4", tier=None, verified=False),
]


def make_world(
    root: Path,
    policy: str,
    *,
    secrets: bool = True,
    accounts: Iterable[dict[str, Any]] = ACCOUNTS,
    **settings: Any,
) -> Path:
    """A folder with gauger.yaml, policies and accounts; answers its gauger.yaml."""
    (root / "policies").mkdir()
    (root / "policies" / "p.yaml").write_text(policy)
    (root / "accounts.jsonl").write_text("".join(json.dumps(one) + "\n" for one in accounts))
    config = root / "gauger.yaml"
    held = {"policies": "policies", "accounts": "accounts.jsonl", "state_dir": "var", **settings}
    config.write_text(json.dumps(held | ({"secrets": SECRETS} if secrets else {})))
    return config


def served(
    config: Path, lines: Iterable[dict[str, Any]], store: MemoryStore | None = None
) -> dict[str, Entry]:
    """What a gateway would have left behind: the log of these exchanges, and the set archived.

    Answers the decisions by exchange.
    """
    state = config.parent / "var"
    with Session(config, audit="full", audit_directory=state / "audit") as session:
        if store is not None:
            session._store = store
        for one in lines:
            session.exchange(one)
        texts, _ = read(config.parent / "policies")
        Archive(state / "policies").keep(session.policy.digest, texts)
    return {e.id: e for e in entries(state / "audit") if e.type == "decision"}


def set_of(text: str) -> PolicySet:
    return compile_texts([("p.yaml", text.encode())])
