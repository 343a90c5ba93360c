"""What the live gateway decided, replay decides again from a recording: record by record."""

import hashlib
import json
import os
import random
import time

import pytest

from proxy.audit.read import entries
from proxy.demo.world import COUNTRIES, write_countries
from proxy.replay.session import Session

pytestmark = pytest.mark.asyncio(loop_scope="session")

# More of them on demand: LIVE_EXCHANGES=10000 pytest -n 0 tests/gateway/test_live_equals_replay.py
EXCHANGES = int(os.environ.get("LIVE_EXCHANGES", "300"))
POLICY = """
lists:
  embargoed: [DE, JP]
quotas:
  - id: few-a-second
    match: {tiers: [spent]}
    mode: enforce
    limit: {requests: 4, tokens: 2000}
    window: 1s
    assume_output_tokens: 300
  - id: tokens-a-week
    match: {tiers: [counted]}
    mode: enforce
    limit: {input_tokens: 60, output_tokens: 300}
    window: 1w
    assume_output_tokens: 100
  - id: everyone
    mode: shadow
    per: key
    limit: {requests: 10}
    window: 1w
geography:
  - id: no-large
    match: {models: [m-large]}
    mode: enforce
    deny_countries: $embargoed
    legal: true
fingerprints:
  - id: shared
    match: {tiers: [free]}
    mode: enforce
    template: {accounts: 3, within: 1m}
"""
SECRETS = {
    "fingerprint_key": hashlib.sha256(b"f").hexdigest(),
    "pseudonym_key": hashlib.sha256(b"p").hexdigest(),
}
OPENAI, ANTHROPIC = "/v1/chat/completions", "/v1/messages"


def invented(seed):
    """Requests by several accounts, from several places, in both dialects, some refused."""
    rng = random.Random(seed)
    for number in range(EXCHANGES):
        tier = rng.choice(("free", "free", "spent", "counted", "first"))
        key = f"sk-{tier}-{rng.randrange(5)}" if rng.random() > 0.03 else "sk-nobody"
        path = rng.choice((OPENAI, OPENAI, ANTHROPIC, "/v1/embeddings", "/v1/models"))
        shared = "Tell me all about the still number "
        text = shared + str(number) if rng.random() < 0.3 else " ".join(rng.choices(WORDS, k=9))
        body = {
            "model": rng.choice(("m-small", "m-small", "m-large", "m-reason", "fault-429")),
            "messages": [{"role": "user", "content": text}],
        }
        if path == ANTHROPIC or rng.random() < 0.5:
            body["max_tokens"] = rng.randrange(1, 60)
        if path in (OPENAI, ANTHROPIC) and rng.random() < 0.3:
            body["stream"] = True
        if path == "/v1/embeddings":
            body = {"model": "embed-small", "input": text}
        sent = json.dumps(body) if path != "/v1/models" else ""
        if rng.random() < 0.02 and sent:
            sent = sent[:-1]  # no JSON
        country = rng.randrange(len(COUNTRIES) + 2)  # the last two are nowhere
        yield key, path, sent, f"198.51.100.{country * 16 + 1}"


WORDS = ("malt", "peat", "barley", "copper", "oak", "water", "yeast", "smoke", "cask", "angel")


def line(entry, completion, key, path, sent, address):
    """The exchange as a recording has it."""
    recorded = {
        "id": entry.id,
        "ts": entry.at_ns / 1e9,
        "method": "GET" if not sent else "POST",
        "path": path,
        "client_ip": address,
        "headers": [["Authorization", f"Bearer {key}"], *fields_of(path)],
        "body_text": sent or None,
    }
    if completion is not None:
        usage = completion.fields.get("usage")
        names = {"input", "cached", "cache_written", "output", "reasoning"}
        recorded["response"] = {
            "status": completion.fields["status"],
            "usage": {f"{name}_tokens": usage[name] for name in names} if usage else None,
            "duration_s": (completion.at_ns - entry.at_ns) / 1e9,
        }
    return recorded


def fields_of(path):
    return [["anthropic-version", "2023-06-01"]] if path == ANTHROPIC else []


@pytest.mark.parametrize("seed", [1, 2])
async def test_replay_of_what_was_served_live_gives_the_same_records(
    open_gate, emulator, tmp_path, monkeypatch, seed
):
    now_ns = time.time_ns
    # A recording has microseconds.
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() // 1000 * 1000)
    write_countries(tmp_path / "country.mmdb")
    gate = await open_gate(
        url=emulator.url,
        policy=POLICY,
        secrets=SECRETS,
        trusted_peers=["127.0.0.0/8"],
        geo={"databases": [str(tmp_path / "country.mmdb")]},
        detector={"step_s": 0.02},
    )
    traffic = list(invented(seed))
    statuses = []
    client = await gate.connect()
    for key, path, sent, address in traffic:
        fields = [": ".join(field) for field in fields_of(path)]
        fields.append(f"X-Forwarded-For: {address}")
        method = "POST" if sent else "GET"
        request = gate.post(sent.encode(), *fields, key=key, path=path, method=method)
        statuses.append((await client.ask(request)).status)
    decided = await gate.records("decision")
    completed = {entry.id: entry for entry in await gate.records("completion")}
    audit = tmp_path / "replayed"
    with Session(
        gate.directory / "gauger.yaml", environment={}, audit="full", audit_directory=audit
    ) as session:
        again = [
            session.exchange(line(entry, completed.get(entry.id), *exchange))
            for entry, exchange in zip(decided, traffic, strict=True)
        ]
    assert [one["verdict"] for one in again] == [entry.fields["verdict"] for entry in decided]
    assert [one["status"] for one in again] == statuses
    assert {"allow", "throttle", "deny"} == {one["verdict"] for one in again}
    ruled = {rule["id"] for one in again for rule in one["rules"]}
    assert {"few-a-second", "tokens-a-week", "no-large", "shared"} <= ruled
    replayed = list(entries(audit, types={"decision"}))
    assert [entry.id for entry in replayed] == [entry.id for entry in decided]
    assert [entry.at_ns for entry in replayed] == [entry.at_ns for entry in decided]
    assert [entry.fields for entry in replayed] == [entry.fields for entry in decided]
    settled = {entry.id: entry.fields for entry in entries(audit, types={"completion"})}
    corrected = {name: entry.fields.get("corrections") for name, entry in completed.items()}
    assert {name: one.get("corrections") for name, one in settled.items()} == corrected
