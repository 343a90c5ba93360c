"""Who a caller is: its key, or the word of a trusted proxy, and nothing else."""

import hashlib
import json

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

TOKEN = "operator-token"
PRINCIPAL = {
    "name": "ops",
    "role": "operator",
    "token_sha256": hashlib.sha256(TOKEN.encode()).hexdigest(),
}
RELOAD = (
    "POST /v1/directory/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
    f"Authorization: Bearer {TOKEN}\r\n\r\n"
).encode()
READY = b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"


def asking(gate, *fields, key=""):
    return gate.post(b"", *fields, key=key, path="/v1/models", method="GET")


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ("Authorization: Bearer sk-nobody",),
        ("Authorization: Bearer",),
        ("Authorization: Basic c2s6",),
        ("Authorization: sk-free-0",),
        ("x-api-key: sk-nobody",),
        ("Authorization: Bearer sk-free-0 ",),
    ],
)
async def test_a_caller_without_a_known_key_is_refused_in_its_dialect(gate, upstream, fields):
    status = 200 if fields == ("Authorization: Bearer sk-free-0 ",) else 401
    got = await gate.ask(gate.post(b'{"messages":[]}', *fields, key=""))
    assert got.status == status
    anthropic = gate.post(b"{}", "anthropic-version: 1", *fields, key="", path="/v1/messages")
    other = await gate.ask(anthropic)
    if status == 401:
        assert got.json()["error"]["code"] == "invalid_api_key"
        assert other.json()["error"]["type"] == "authentication_error"
        assert got.get("x-should-retry") == "false"
        assert upstream.requests == []


async def test_two_different_keys_in_one_request_are_refused(gate, upstream):
    got = await gate.ask(asking(gate, f"x-api-key: {gate.key()}", key=gate.key()))
    assert got.status == 400
    twice = (f"Authorization: Bearer {gate.key()}", f"Authorization: Bearer {gate.key()}")
    assert (await gate.ask(asking(gate, *twice))).status == 400
    assert upstream.requests == []


async def test_a_refused_caller_is_recorded_without_its_key(gate):
    await gate.ask(asking(gate, key="sk-who-is-this"))
    record = await gate.last("decision")
    assert (record["verdict"], record["refusal"]) == ("deny", "authentication")
    written = b"".join(path.read_bytes() for path in (gate.directory / "state" / "audit").iterdir())
    for secret in (b"sk-", b"acc-free", b"127.0.0.1", b"the-upstream-credential"):
        assert secret not in written


@pytest.mark.parametrize("status", ["suspended", "closed"])
async def test_an_account_that_is_not_active_is_refused(open_gate, account_line, upstream, status):
    gate = await open_gate()
    with (gate.directory / "accounts.jsonl").open("a") as file:
        file.write(account_line("sk-gone", "free", status=status) + "\n")
    await gate.server.accounts.reload(gate.server.gateway.pipeline)
    for request in (gate.post(key="sk-gone"), gate.message(key="sk-gone")):
        got = await gate.ask(request)
        assert got.status == 403
        assert status in got.json()["error"]["message"]
    assert upstream.requests == []


async def test_a_revoked_key_is_refused_soon_after_the_file_changes(open_gate, eventually):
    gate = await open_gate()
    key, other = gate.key(), gate.key()
    assert (await gate.ask(asking(gate, key=key))).status == 200
    path = gate.directory / "accounts.jsonl"
    digest = hashlib.sha256(key.encode()).hexdigest()
    lines = [line for line in path.read_text().splitlines() if digest not in line]
    aside = gate.directory / "accounts.new"
    aside.write_text("\n".join(lines) + "\n")
    before = gate.server.accounts.directory
    aside.rename(path)
    await eventually(lambda: gate.server.accounts.directory is not before)
    assert (await gate.ask(asking(gate, key=key))).status == 401
    assert (await gate.ask(asking(gate, key=other))).status == 200


async def test_a_directory_can_be_taken_up_by_hand(open_gate, account_line):
    gate = await open_gate(admin={"principals": [PRINCIPAL]})
    with (gate.directory / "accounts.jsonl").open("a") as file:
        file.write(account_line("sk-new", "free") + "\n")
    got = await gate.ask(RELOAD, admin=True)
    assert (got.status, got.json()) == (200, {"result": "601 accounts"})
    assert (await gate.ask(asking(gate, key="sk-new"))).status == 200


async def test_a_bad_line_keeps_the_last_good_directory_and_is_told(open_gate):
    gate = await open_gate(admin={"principals": [PRINCIPAL]})
    key = gate.key()
    path = gate.directory / "accounts.jsonl"
    good = path.read_text()
    path.write_text(good + '{"account": "x", "keys": [{"id": "k", "sha256": "sk-oops"}]}\n')
    got = await gate.ask(RELOAD, admin=True)
    assert got.status == 409
    assert "accounts.jsonl:601: keys[0].sha256" in got.json()["result"]
    assert "sk-oops" not in got.body.decode()
    ready = await gate.ask(READY, admin=True)
    assert ready.status == 200
    assert "accounts.jsonl:601" in ready.json()["accounts_problem"]
    metrics = await gate.ask(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", admin=True)
    assert b"gauger_directory_failed 1.0" in metrics.body
    assert (await gate.ask(asking(gate, key=key))).status == 200
    path.write_text(good)
    assert (await gate.ask(RELOAD, admin=True)).status == 200
    ready = await gate.ask(READY, admin=True)
    assert ready.json()["accounts_problem"] is None


async def test_the_last_good_directory_serves_over_a_restart_too(opened, tmp_path, upstream):
    async with opened(tmp_path / "world", upstream):
        pass
    with (tmp_path / "world" / "accounts.jsonl").open("a") as file:
        file.write("{}\n")
    async with opened(tmp_path / "world", upstream) as gate:
        assert (await gate.ask(asking(gate, key="sk-free-3"))).status == 200
        assert "account is missing" in gate.server.accounts.error


TRUSTING = {"trusted_peers": ["127.0.0.0/8"], "account_header": "X-Account"}


async def test_a_trusted_proxy_may_name_the_account_instead_of_a_key(open_gate, upstream):
    gate = await open_gate(**TRUSTING)
    assert (await gate.ask(asking(gate, "X-Account: acc-free-1"))).status == 200
    assert (await gate.ask(asking(gate, "x-account: acc-nobody"))).status == 401
    assert (await gate.ask(asking(gate, key=gate.key()))).status == 200
    assert (await gate.ask(asking(gate))).status == 401


async def test_the_account_header_of_anyone_else_is_ignored(open_gate, upstream):
    gate = await open_gate(**TRUSTING | {"trusted_peers": ["10.0.0.0/8"]})
    assert (await gate.ask(asking(gate, "X-Account: acc-free-1"))).status == 401
    key = gate.key("counted")
    got = await gate.ask(gate.post(b'{"messages":[]}', "X-Account: acc-free-1", key=key))
    assert got.get("x-ratelimit-limit-requests") == "1000"  # judged as the key's own account


async def test_a_client_cannot_put_its_account_before_the_proxys(open_gate, upstream):
    gate = await open_gate(**TRUSTING)
    both = ("X-Account: acc-free-1", "x-account: acc-free-2")
    got = await gate.ask(asking(gate, *both))
    assert got.status == 400
    assert upstream.requests == []


async def pseudonym(gate, *fields):
    """The address in the record of a request with these fields."""
    await gate.ask(asking(gate, *fields, key=gate.key()))
    return (await gate.last("decision")).get("address")


async def test_forwarding_headers_of_a_stranger_are_not_believed(gate):
    own = await pseudonym(gate)
    assert own is not None
    assert await pseudonym(gate, "X-Forwarded-For: 192.0.2.1") == own
    assert await pseudonym(gate, "Forwarded: for=192.0.2.1") == own
    assert await pseudonym(gate, "X-Real-IP: 192.0.2.1") == own


async def test_of_forwarding_headers_only_what_trusted_proxies_wrote_counts(open_gate):
    gate = await open_gate(trusted_peers=["127.0.0.0/8", "10.0.0.0/8"])
    true = await pseudonym(gate, "X-Forwarded-For: 192.0.2.1")
    assert true != await pseudonym(gate)
    spoofed = "X-Forwarded-For: 203.0.113.9, 198.51.100.1, 192.0.2.1"
    assert await pseudonym(gate, spoofed) == true
    assert await pseudonym(gate, "X-Forwarded-For: 203.0.113.9, 192.0.2.1, 10.1.1.1") == true
    assert (
        await pseudonym(gate, "X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 192.0.2.1") == true
    )
    assert await pseudonym(gate, 'Forwarded: for="192.0.2.1:443";proto=https') == true
    contradicting = ("X-Forwarded-For: 192.0.2.1", "Forwarded: for=203.0.113.9")
    assert await pseudonym(gate, *contradicting) is None


async def test_an_exchange_without_a_directory_is_refused(open_gate, upstream):
    gate = await open_gate(accounts=None)
    assert (await gate.ask(asking(gate, key="sk-free-0"))).status == 401


async def test_a_path_is_refused_before_a_key_is_looked_at_and_told_apart(gate):
    got = await gate.ask(gate.post(path="/v1/secret", key="sk-nobody"))
    assert (got.status, json.loads(got.body)["error"]["type"]) == (404, "invalid_request_error")
