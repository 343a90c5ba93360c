"""Policy files that change while the gateway serves."""

import hashlib

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

LIMIT = """
quotas:
  - id: limit
    mode: enforce
    limit: {{requests: {0}}}
    window: 1w
"""
OPERATOR = {
    "principals": [
        {
            "name": "otto",
            "role": "operator",
            "token_sha256": hashlib.sha256(b"otto-token").hexdigest(),
        }
    ]
}
RELOAD = (
    b"POST /v1/policies/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
    b"Authorization: Bearer otto-token\r\n\r\n"
)


def digest(gate):
    return gate.server.gateway.pipeline.policy.digest


async def limit_of(gate, key):
    answer = await gate.ask(gate.post(key=key))
    return answer.status, answer.get("x-ratelimit-limit-requests")


async def test_an_edited_limit_comes_into_force_and_keeps_its_count(open_gate, eventually):
    gate = await open_gate(policy=LIMIT.format(2))
    key, before = gate.key(), digest(gate)
    assert [await limit_of(gate, key) for _ in range(3)] == [(200, "2"), (200, "2"), (429, "2")]
    (gate.directory / "policies" / "test.yaml").write_text(LIMIT.format(3))
    await eventually(lambda: digest(gate) != before)
    assert [await limit_of(gate, key) for _ in range(2)] == [(200, "3"), (429, "3")]


async def test_a_set_with_a_fault_changes_nothing_and_says_why(open_gate, eventually):
    gate = await open_gate(policy=LIMIT.format(2))
    before = digest(gate)
    file = gate.directory / "policies" / "test.yaml"
    file.write_text(LIMIT.format('"many"'))
    await eventually(lambda: gate.server.policies.error)
    ready = await gate.ask(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", admin=True)
    assert ready.status == 200
    assert "test.yaml:5:23: " in ready.json()["policy_problem"]
    assert ready.json()["policy"] == digest(gate) == before
    metrics = await gate.ask(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", admin=True)
    assert b"gauger_policy_failed 1.0" in metrics.body
    file.write_text(LIMIT.format(5))
    await eventually(lambda: digest(gate) != before)
    assert gate.server.policies.error is None


async def test_a_link_that_is_swapped_is_seen_as_kubernetes_does_it(
    tmp_path, open_gate, eventually
):
    for number in (1, 2):
        (tmp_path / f"set-{number}").mkdir()
        (tmp_path / f"set-{number}" / "p.yaml").write_text(LIMIT.format(number))
    link = tmp_path / "now"
    link.symlink_to(tmp_path / "set-1")
    gate = await open_gate(policies=str(link))
    before = digest(gate)
    aside = tmp_path / "next"
    aside.symlink_to(tmp_path / "set-2")
    aside.rename(link)
    await eventually(lambda: digest(gate) != before)
    assert await limit_of(gate, gate.key()) == (200, "2")


async def test_an_operator_may_reload_at_once_and_is_recorded(open_gate):
    gate = await open_gate(policy=LIMIT.format(2), admin=OPERATOR)
    (gate.directory / "policies" / "test.yaml").write_text(LIMIT.format(4))
    answer = await gate.ask(RELOAD, admin=True)
    assert answer.status == 200
    assert answer.json()["result"].startswith(("1 rules, sha256:", "unchanged, sha256:"))
    assert (await gate.last("admin"))["principal"] == "otto"
    (gate.directory / "policies" / "test.yaml").write_text("quotas: 7\n")
    refused = await gate.ask(RELOAD, admin=True)
    assert refused.status == 409
    assert "quotas: input should be a valid list" in refused.json()["result"]


async def test_every_set_that_was_in_force_is_recorded_and_archived_by_digest(
    open_gate, eventually
):
    gate = await open_gate(policy=LIMIT.format(2))
    before = digest(gate)
    (gate.directory / "policies" / "test.yaml").write_text(LIMIT.format(9))
    await eventually(lambda: digest(gate) != before)
    recorded = [entry.fields["policy"] for entry in await gate.records("policy")]
    assert recorded == [before, digest(gate)]
    archive = gate.directory / "state" / "policies"
    kept = [archive / one.removeprefix("sha256:") / "test.yaml" for one in recorded]
    assert [file.read_text() for file in kept] == [LIMIT.format(2), LIMIT.format(9)]


async def test_an_archive_that_cannot_be_written_stops_nobody(tmp_path, open_gate, eventually):
    gate = await open_gate(policy=LIMIT.format(2))
    archive = gate.directory / "state" / "policies"
    archive.rename(tmp_path / "away")
    archive.write_text("a file where the archive was")
    before = digest(gate)
    (gate.directory / "policies" / "test.yaml").write_text(LIMIT.format(9))
    await eventually(lambda: digest(gate) != before)
    assert await limit_of(gate, gate.key()) == (200, "9")
