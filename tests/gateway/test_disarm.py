"""Rules that a fuse or an operator lowers to shadow while the gateway serves."""

import asyncio
import hashlib
import json

import pytest
import pytest_asyncio
import structlog

from proxy.gateway import disarmed_file
from proxy.policy.problem import ProblemsError

pytestmark = pytest.mark.asyncio(loop_scope="session")


def principal(name, role):
    digest = hashlib.sha256(f"{name}-token".encode()).hexdigest()
    return {"name": name, "role": role, "token_sha256": digest}


ADMIN = {"principals": [principal("vera", "viewer"), principal("otto", "operator")]}
POLICY = """
exceptions:
  - {id: partner, rules: [law], accounts: [a], granted_by: Ada, reason: x, until: 2096-01-01}
access:
  - id: closed
    match: {models: [m-closed]}
    mode: enforce
    then: deny
    severity: high
    labels: [c-7]
    fuse: {accounts: 2, within: 10m}
  - {id: tried, match: {models: [m-tried]}, mode: shadow, then: deny}
  - {id: law, match: {models: [m-law]}, mode: enforce, then: deny, legal: true}
"""
CLOSED = b'{"model":"m-closed","messages":[{"role":"user","content":"hi"}]}'
WHY = {"why": "it refuses a hospital"}


def asking(path="/v1/rules", *, token="otto", body=None, method=None):
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = (
        f"{method or ('GET' if path == '/v1/rules' else 'POST')} {path} HTTP/1.1",
        "Host: a",
        f"Authorization: Bearer {token}-token",
        f"Content-Length: {len(data)}",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


async def act(gate, verb, rule="closed", body=WHY, token="otto"):
    answer = await gate.ask(asking(f"/v1/rules/{rule}/{verb}", token=token, body=body), admin=True)
    return answer.status, answer.json()["result"]


async def listed(gate, token="vera"):
    answer = await gate.ask(asking(token=token), admin=True)
    assert answer.status == 200
    return {rule["id"]: rule for rule in answer.json()["rules"]}


async def ready(gate):
    answer = await gate.ask(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", admin=True)
    return answer.status, answer.json()


async def metric(gate, name):
    answer = await gate.ask(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", admin=True)
    lines = answer.body.decode().splitlines()
    return next(line.rpartition(" ")[2] for line in lines if line.startswith(name))


async def statuses(gate, count=1):
    """How so many new accounts fare with the closed model."""
    return [(await gate.ask(gate.post(CLOSED))).status for _ in range(count)]


def state(gate):
    return json.loads((gate.directory / "state" / "disarmed.json").read_text())


@pytest_asyncio.fixture(loop_scope="session")
async def armed(open_gate):
    return await open_gate(policy=POLICY, admin=ADMIN)


async def test_a_rule_that_refuses_more_accounts_than_its_fuse_allows_falls_to_shadow(
    armed, eventually
):
    gate = armed
    with structlog.testing.capture_logs() as logs:
        assert await statuses(gate, 5) == [403, 403, 403, 200, 200]
    blown = {"rule": "closed", "accounts": 3, "within_s": 600}
    (line,) = [one for one in logs if one["log_level"] == "error"]
    assert blown.items() <= line.items()
    assert "acc-" not in repr(logs)
    (entry,) = await gate.records("fuse")
    assert entry.fields == {**blown, "policy": gate.server.gateway.pipeline.policy.digest}
    decisions = await gate.records("decision")
    assert entry.id == decisions[2].id
    assert [one.fields.get("lowered") for one in decisions[2:4]] == [
        None,
        [["closed", "disarmed"]],
    ]
    assert await metric(gate, "gauger_fuses_blown_total") == "1.0"
    assert await metric(gate, 'gauger_rule_disarmed{rule="closed"}') == "1.0"
    assert await metric(gate, 'gauger_rule_disarmed{rule="law"}') == "0.0"
    status, told = await ready(gate)
    assert (status, told["disarmed"]) == (200, ["closed"])
    rule = (await listed(gate))["closed"]
    assert rule["disarmed"]["who"] == "gauger.fuse"
    assert rule["disarmed"]["why"] == "3 accounts refused within 600 s; the fuse allows 2"
    await eventually(lambda: "closed" in state(gate)["rules"])
    assert "acc-" not in (gate.directory / "state" / "disarmed.json").read_text()


async def test_an_operator_disarms_and_arms_a_rule_and_is_recorded_with_why(armed):
    gate = armed
    said = (200, "closed is disarmed: it records what it would do, and does nothing else")
    assert await act(gate, "disarm") == said
    assert await statuses(gate) == [200]
    status, told = await act(gate, "arm", body={"why": "the list is mended"})
    assert status == 200
    assert told.startswith("closed is armed (it was disarmed by otto since 20")
    assert told.endswith("Z: it refuses a hospital)")
    assert await statuses(gate) == [403]
    records = [entry.fields for entry in await gate.records("admin")]
    assert [(one["action"], one["rule"], one["why"]) for one in records] == [
        ("rules.disarm", "closed", "it refuses a hospital"),
        ("rules.disarm", "closed", "it refuses a hospital"),
        ("rules.arm", "closed", "the list is mended"),
        ("rules.arm", "closed", "the list is mended"),
    ]
    assert [one["result"] for one in records] == ["accepted", said[1], "accepted", told]
    assert {one["principal"] for one in records} == {"otto"}


async def test_what_is_disarmed_stays_so_over_a_restart_and_over_other_policies(
    tmp_path, opened, upstream
):
    async with opened(tmp_path / "world", upstream, policy=POLICY, admin=ADMIN) as gate:
        assert (await act(gate, "disarm"))[0] == 200
    policies = tmp_path / "world" / "policies" / "test.yaml"
    policies.write_text(POLICY.replace("closed", "shut"))
    async with opened(tmp_path / "world", upstream) as gate:
        rule = (await listed(gate))["closed"]
        assert (rule["kind"], rule["armed"], rule["disarmed"]["who"]) == (None, False, "otto")
        assert (await ready(gate))[1]["disarmed"] == ["closed"]
        policies.write_text(POLICY)
        await gate.server.policies.reload(gate.server.gateway.pipeline)
        assert await statuses(gate) == [200]
        policies.write_text(POLICY.replace("closed", "shut"))
        await gate.server.policies.reload(gate.server.gateway.pipeline)
        status, told = await act(gate, "arm")
        assert status == 200
        assert told.startswith("closed is armed, but it is not in the policy set now (it was")
        assert "closed" not in await listed(gate)


async def test_a_fuse_that_blew_is_kept_also_where_the_gateway_stops_before_it_was_written(
    tmp_path, opened, upstream, eventually, monkeypatch
):
    monkeypatch.setattr(disarmed_file, "RETRY_S", 3600)
    async with opened(tmp_path / "world", upstream, policy=POLICY, admin=ADMIN) as gate:
        in_the_way = gate.directory / "state" / "disarmed.json.new"
        in_the_way.mkdir()
        await statuses(gate, 3)
        await eventually(lambda: gate.server.disarming.file.unsaved)
        in_the_way.rmdir()
    assert list(state(gate)["rules"]) == ["closed"]


async def test_everybody_with_a_token_may_see_the_rules(armed):
    rules = await listed(armed)
    assert list(rules) == ["closed", "tried", "law"]
    assert rules["closed"] == {
        "id": "closed",
        "kind": "access",
        "mode": "enforce",
        "severity": "high",
        "labels": ["c-7"],
        "legal": False,
        "armed": True,
        "disarmed": None,
    }
    refused = await armed.ask(asking(token="nobody"), admin=True)
    assert (refused.status, refused.json()) == (401, {"result": "unknown token"})
    assert [entry.fields["action"] for entry in await armed.records("admin")] == ["rules.list"]


async def test_a_rule_that_is_not_there_is_told_with_the_nearest_one(armed):
    for rule, told in (
        ("close", 'there is no rule "close" (did you mean "closed"?)'),
        ("Closed", 'there is no rule "Closed" (did you mean "closed"?)'),
        ("zzz", 'there is no rule "zzz"'),
        ("%2e%2e%2fetc", 'there is no rule "../etc"'),
        ("partner", "partner is an exception, not a rule: end it in the policy files"),
    ):
        for verb in ("disarm", "arm"):
            assert await act(armed, verb, rule) == (404, told)
            assert (await armed.last("admin"))["result"] == told


async def test_a_legal_rule_is_not_disarmed(armed):
    told = "law is a legal rule: nothing but a change of the policy stops it"
    assert await act(armed, "disarm", "law") == (409, told)
    body = CLOSED.replace(b"closed", b"law")
    assert (await armed.ask(armed.post(body))).status == 403


async def test_what_would_change_nothing_says_so(armed):
    assert await act(armed, "arm") == (200, "closed is armed already")
    assert await act(armed, "arm", "tried") == (
        200,
        "tried is armed already, but its mode is shadow",
    )
    assert await act(armed, "disarm", "tried") == (
        200,
        "tried is disarmed; its mode is shadow, so it did nothing anyway",
    )
    await act(armed, "disarm")
    status, told = await act(armed, "disarm", body={"why": "still"})
    assert status == 200
    assert told.startswith("closed is disarmed: it records what it would do")
    assert "(it was already, by otto since 20" in told
    assert (await listed(armed))["closed"]["disarmed"]["why"] == "still"


async def test_a_viewer_disarms_nothing_and_is_recorded_with_what_he_wanted(armed):
    assert await act(armed, "disarm", token="vera") == (403, "needs the role operator")
    record = await armed.last("admin")
    assert (record["principal"], record["rule"]) == ("vera", "closed")
    assert record["why"] == "it refuses a hospital"
    assert await statuses(armed) == [403]


ONE_LINE = "why is one line of 1 to 500 printable characters"
UNREASONED = (
    (b"", "Input data was truncated"),
    (b"why", "JSON is malformed"),
    ([], "Expected `object`, got `array`"),
    ({}, "Object missing required field `why`"),
    ({"why": 1}, "Expected `str`, got `int` - at `$.why`"),
    ({"why": "x", "rule": "law"}, "unknown field `rule`"),
    ({"why": ""}, ONE_LINE),
    ({"why": "  "}, ONE_LINE),
    ({"why": "one\ntwo"}, ONE_LINE),
    ({"why": "\x1b[31m"}, ONE_LINE),
    ({"why": "x" * 501}, ONE_LINE),
)


async def test_without_a_reason_nothing_is_done(armed):
    for body, told in UNREASONED:
        status, said = await act(armed, "disarm", body=body)
        assert status == 400
        assert said.startswith('write {"why": "…"} as the body (')
        assert told in said
        record = await armed.last("admin")
        assert (record["result"], record["rule"], record["principal"]) == (said, "closed", "otto")
    assert (await listed(armed))["closed"]["armed"]


async def test_a_reason_may_have_500_characters(armed):
    assert (await act(armed, "disarm", body={"why": "ü" * 500}))[0] == 200


async def test_what_could_not_be_saved_is_in_force_and_told_and_tried_again(
    armed, eventually, monkeypatch
):
    monkeypatch.setattr(disarmed_file, "RETRY_S", 0.02)
    file = armed.directory / "state" / "disarmed.json.new"
    file.mkdir()
    status, told = await act(armed, "disarm")
    assert status == 500
    assert told.startswith("closed is disarmed: ")
    assert "but that could not be saved (" in told
    assert "disarmed.json: Is a directory): a restart would undo it" in told
    assert await statuses(armed) == [200]
    status, details = await ready(armed)
    assert status == 200
    assert details["disarmed_problem"].endswith("disarmed.json: Is a directory")
    status, told = await act(armed, "arm", "tried")  # already armed, but the disk still disagrees
    assert (status, told[:22]) == (500, "tried is armed already")
    file.rmdir()
    await eventually(lambda: armed.server.disarming.file.unsaved is None)
    assert list(state(armed)["rules"]) == ["closed"]


async def test_two_operators_at_once_lose_nothing(armed):
    said = await asyncio.gather(
        *(act(armed, verb, rule) for rule in ("closed", "tried") for verb in ("disarm",) * 5)
    )
    assert {status for status, _ in said} == {200}
    assert sorted(state(armed)["rules"]) == ["closed", "tried"]


async def test_while_the_audit_log_cannot_be_written_nothing_is_done(open_gate, disk):
    gate = await open_gate(disk, policy=POLICY, admin=ADMIN)
    disk.full = True
    told = "The audit log cannot be written, so nothing is done."
    assert await act(gate, "disarm") == (503, told)
    disk.full = False
    assert gate.server.disarming.names == frozenset()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("", "truncated"),
        ("[]", "expected a mapping with version 1"),
        ('{"version": 2, "rules": {}}', "expected a mapping with version 1"),
        ('{"version": 1}', "expected a mapping of rules"),
        ('{"version": 1, "rules": {"r": {}}}', '"r" needs who, why and since_ns'),
    ],
)
async def test_a_damaged_file_of_disarmed_rules_keeps_the_gateway_from_starting(
    tmp_path, opened, upstream, damage, told
):
    world = tmp_path / "world"
    async with opened(world, upstream, policy=POLICY, admin=ADMIN):
        pass
    (world / "state" / "disarmed.json").write_text(damage)
    with pytest.raises(ProblemsError) as refused:
        async with opened(world, upstream):
            pass
    assert "disarmed.json: cannot be read (" in str(refused.value)
    assert told in str(refused.value)
    assert str(refused.value).endswith("restore it, or remove it to start with every rule armed")


async def test_a_rule_that_a_new_set_makes_legal_acts_although_it_was_disarmed(armed):
    await act(armed, "disarm")
    file = armed.directory / "policies" / "test.yaml"
    legal = POLICY.replace("    fuse: {accounts: 2, within: 10m}\n", "    legal: true\n")
    file.write_text(legal)
    with structlog.testing.capture_logs() as logs:
        await armed.server.policies.reload(armed.server.gateway.pipeline)
    assert await statuses(armed) == [403]
    lines = [one for one in logs if one["log_level"] == "error"]
    assert [(one["rule"], one["by"]) for one in lines] == [("closed", "otto")]
    rule = (await listed(armed))["closed"]
    assert (rule["armed"], rule["disarmed"]["who"]) == (True, "otto")


async def test_a_disarmed_rule_does_not_count_for_its_fuse_and_counts_anew_once_armed(armed):
    await statuses(armed, 2)
    await act(armed, "disarm")
    await statuses(armed, 9)
    await act(armed, "arm")
    assert await statuses(armed, 4) == [403, 403, 403, 200]
