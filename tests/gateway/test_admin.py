"""The admin listener: health for anyone, actions for named principals only."""

import hashlib

import pytest

from proxy.gateway import admin

pytestmark = pytest.mark.asyncio(loop_scope="session")


def principal(name, role):
    digest = hashlib.sha256(f"{name}-token".encode()).hexdigest()
    return {"name": name, "role": role, "token_sha256": digest}


PRINCIPALS = {"principals": [principal("vera", "viewer"), principal("otto", "operator")]}


def acting(*fields, method="POST", path="/v1/directory/reload", body=b""):
    lines = (f"{method} {path} HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", *fields)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


OTTO, VERA = "Authorization: Bearer otto-token", "Authorization: Bearer vera-token"


@pytest.mark.parametrize(
    ("fields", "status", "who", "result"),
    [
        ((), 401, None, "unknown token"),
        (("Authorization: Bearer nonsense",), 401, None, "unknown token"),
        (("Authorization: Basic otto-token",), 401, None, "unknown token"),
        (("Authorization: otto-token",), 401, None, "unknown token"),
        (("Authorization: Bearer",), 401, None, "unknown token"),
        (("Authorization: Bearer vera-token",), 403, "vera", "needs the role operator"),
        (("Authorization: Bearer otto-token",), 200, "otto", "600 accounts"),
        (("authorization: bearer otto-token",), 200, "otto", "600 accounts"),
    ],
)
async def test_actions_need_a_principals_token_and_are_recorded_by_name(
    open_gate, fields, status, who, result
):
    gate = await open_gate(admin=PRINCIPALS)
    got = await gate.ask(acting(*fields), admin=True)
    assert (got.status, got.json()) == (status, {"result": result})
    records = [entry.fields for entry in await gate.records("admin")]
    results = ["accepted", result] if status == 200 else [result]
    assert [record["result"] for record in records] == results
    assert {record["principal"] for record in records} == {who}
    assert {record["action"] for record in records} == {"directory.reload"}


async def test_an_action_without_a_body_takes_none_but_an_empty_one(open_gate):
    gate = await open_gate(admin=PRINCIPALS)
    assert (await gate.ask(acting(OTTO, body=b"{}"), admin=True)).status == 200
    refused = await gate.ask(acting(OTTO, body=b'{"force": true}'), admin=True)
    assert refused.status == 400
    assert refused.json()["result"] == (
        "write {} as the body (Object contains unknown field `force`)"
    )
    results = [entry.fields["result"] for entry in await gate.records("admin")]
    assert results == ["accepted", "600 accounts", refused.json()["result"]]


async def test_a_body_that_is_too_long_or_never_comes_is_refused_and_recorded(
    open_gate, monkeypatch
):
    monkeypatch.setattr(admin, "BODY_TIMEOUT_S", 0.05)
    gate = await open_gate(admin=PRINCIPALS)
    long = await gate.ask(acting(OTTO, body=b" " * (admin.MAX_BODY_BYTES + 1)), admin=True)
    assert (long.status, long.json()) == (413, {"result": "the body is longer than 65536 bytes"})
    slow = await gate.ask(acting(OTTO, body=b"{}")[:-2], admin=True)
    assert (slow.status, slow.json()["result"]) == (408, "the body did not arrive within 0.05 s")
    assert len(await gate.records("admin")) == 2


async def test_a_token_in_bytes_that_are_no_text_is_an_unknown_token(open_gate):
    gate = await open_gate(admin=PRINCIPALS)
    request = acting("Authorization: Bearer x").replace(b"Bearer x", b"Bearer \xff")
    got = await gate.ask(request, admin=True)
    assert (got.status, got.json()) == (401, {"result": "unknown token"})


async def test_without_principals_nobody_acts(gate):
    got = await gate.ask(acting("Authorization: Bearer otto-token"), admin=True)
    assert got.status == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/directory/reload", 405),
        ("POST", "/healthz", 405),
        ("POST", "/v1/rules", 405),
        ("GET", "/v1/rules/two-requests/disarm", 405),
        ("GET", "/v1/models", 404),
        ("POST", "/v1/chat/completions", 404),
    ],
)
async def test_the_admin_listener_serves_nothing_else(gate, upstream, method, path, status):
    got = await gate.ask(acting(method=method, path=path), admin=True)
    assert got.status == status
    assert upstream.requests == []


async def test_readiness_tells_what_is_in_use(gate):
    ready = await gate.ask(acting(method="GET", path="/readyz"), admin=True)
    told = ready.json()
    assert (ready.status, told["status"], told["accounts"]) == (200, "ready", 600)
    assert told["policy"].startswith("sha256:")
    assert (told["accounts_problem"], told["audit_problem"]) == (None, None)


async def test_metrics_count_exchanges_rules_and_failures_and_name_nobody(gate, upstream):
    key = gate.key("spent")
    for _ in range(3):
        await gate.ask(gate.post(key=key))

    async def reset(call):
        call.reset()

    upstream.answer = reset
    await gate.ask(gate.message())
    await gate.ask(gate.post(key="sk-nobody"))
    for malformed in (b"GET / HTTP/1.1\nHost: a\n\n", b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"):
        assert (await gate.ask(malformed)).status == 400
    got = await gate.ask(acting(method="GET", path="/metrics"), admin=True)
    assert got.get("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    text = got.body.decode()
    for line in (
        'gauger_exchanges_total{surface="chat.completions",verdict="throttle"}',
        'gauger_exchanges_total{surface="messages",verdict="allow"}',
        'gauger_rule_verdicts_total{mode="enforce",rule="two-requests",verdict="throttle"}',
        'gauger_upstream_failures_total{failure="upstream_reset"}',
        'gauger_turned_away_total{reason="bad_request"}',
        "gauger_added_latency_seconds_count",
        "gauger_upstream_latency_seconds_count",
        "gauger_exchanges_under_way 0.0",
        "gauger_audit_lag_records",
        "gauger_directory_accounts 600.0",
        "gauger_store_counters ",
    ):
        assert line in text
    for secret in ("sk-", "acc-", "id-sk", "127.0.0.1", gate.upstream.url):
        assert secret not in text
