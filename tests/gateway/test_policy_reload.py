"""Policy files that change while the gateway serves."""

import hashlib
import json
import time

import pytest
import structlog

from proxy.gateway import policies as policies_module
from proxy.gateway.policies import DAY_NS
from proxy.policy.archive import Archive
from proxy.policy.problem import ProblemsError

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
    assert "quotas: write a list" in refused.json()["result"]


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


async def ready(gate):
    answer = await gate.ask(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", admin=True)
    assert answer.status == 200
    return answer.json()


async def metrics(gate):
    return (await gate.ask(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", admin=True)).body.decode()


def written(gate, text, committer=None):
    """Files changed in one step, as a deployment does it: another directory, swapped in."""
    policies = gate.directory / "policies"
    aside = gate.directory / f"policies-{len(list(gate.directory.iterdir()))}"
    aside.mkdir()
    (aside / "test.yaml").write_text(text)
    if committer is not None:
        (aside / ".committer").write_text(committer)
    away = aside.with_suffix(".away")
    policies.rename(away)
    aside.rename(policies)


def config_map(root, name, **files):
    """A directory of a ConfigMap's files as the kubelet writes it; the link to it is swapped."""
    (root / name).mkdir(parents=True)
    for file, text in files.items():
        (root / name / f"{file}.yaml").write_text(text)
        link = root / f"{file}.yaml"
        if not link.is_symlink():
            link.symlink_to(f"..data/{file}.yaml")
    aside = root / "..data_tmp"
    aside.symlink_to(name)
    aside.rename(root / "..data")


LISTED = "quotas:\n  - {{id: {0}, mode: enforce, limit: {{requests: {1}}}, window: 1w}}\n"


async def test_a_config_map_that_the_kubelet_swaps_comes_into_force_whole(
    tmp_path, open_gate, eventually
):
    root = tmp_path / "map"
    config_map(root, "..2026_01", a=LISTED.format("a", 5), b=LISTED.format("b", 5))
    gate = await open_gate(policies=str(root))
    before = digest(gate)
    config_map(root, "..2026_02", a=LISTED.format("a", 2), b=LISTED.format("b", 3))
    for file in (root / "..2026_01").iterdir():  # the kubelet takes the old one away
        file.unlink()
    (root / "..2026_01").rmdir()
    await eventually(lambda: digest(gate) != before)
    rules = gate.server.gateway.pipeline.policy.by_id
    assert [rules[name].limits[0].amount for name in ("a", "b")] == [2, 3]
    assert len(await gate.records("policy")) == 2


async def test_a_restart_with_faulty_files_serves_the_last_good_set_and_says_so(
    tmp_path, opened, upstream, eventually
):
    async with opened(tmp_path / "world", upstream, policy=LIMIT.format(2)) as gate:
        before = digest(gate)
        since = (await ready(gate))["policy_since"]
    file = tmp_path / "world" / "policies" / "test.yaml"
    file.write_text("quotas: 7\n")
    with structlog.testing.capture_logs() as logs:
        async with opened(tmp_path / "world", upstream) as gate:
            assert digest(gate) == before
            assert await limit_of(gate, gate.key()) == (200, "2")
            told = await ready(gate)
            assert "test.yaml:1:9: quotas: " in told["policy_problem"]
            assert (told["policy"], told["policy_since"]) == (before, since)
            assert "gauger_policy_failed 1.0" in await metrics(gate)
            assert (await gate.last("policy"))["last_good"] is True
            file.write_text(LIMIT.format(3))
            await eventually(lambda: digest(gate) != before)
            assert (await ready(gate))["policy_problem"] is None
            assert "last_good" not in await gate.last("policy")
    (line,) = [one for one in logs if "the last good set serves" in one["event"]]
    assert line["log_level"] == "error"
    assert "test.yaml:1:9" in line["problems"]


async def test_the_last_good_set_is_the_one_in_force_last(tmp_path, opened, upstream, eventually):
    async with opened(tmp_path / "world", upstream, policy=LIMIT.format(2)) as gate:
        first = digest(gate)
        file = gate.directory / "policies" / "test.yaml"
        file.write_text(LIMIT.format(3))
        await eventually(lambda: digest(gate) != first)
        second = digest(gate)
    file.unlink()
    async with opened(tmp_path / "world", upstream) as gate:
        assert digest(gate) == second
        assert "no .yaml file in this directory" in (await ready(gate))["policy_problem"]


async def test_faulty_files_and_no_set_that_ever_was_in_force_refuse_to_start(
    tmp_path, opened, upstream
):
    with pytest.raises(ProblemsError, match=r"test\.yaml:1:9: quotas: ") as refused:
        async with opened(tmp_path / "world", upstream, policy="quotas: 7\n"):
            pass
    assert len(refused.value.problems) == 1


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda kept, _: kept.write_text(LIMIT.format(9)), "the archived files of sha256:"),
        (lambda kept, _: kept.unlink(), "the archived files of sha256:"),
        (lambda kept, _: kept.with_name("x.yaml").write_text(""), "the archived files of sha256:"),
        (lambda _, note: note.write_text("{"), "current.json: cannot be read"),
    ],
)
async def test_a_last_good_set_that_is_not_what_it_was_is_refused_with_all_faults(
    tmp_path, opened, upstream, damage, told
):
    async with opened(tmp_path / "world", upstream, policy=LIMIT.format(2)) as gate:
        archive = gate.directory / "state" / "policies"
        kept = archive / digest(gate).removeprefix("sha256:") / "test.yaml"
    damage(kept, archive / "current.json")
    (gate.directory / "policies" / "test.yaml").write_text("quotas: 7\n")
    with pytest.raises(ProblemsError) as refused:
        async with opened(tmp_path / "world", upstream):
            pass
    assert "test.yaml:1:9: quotas: " in str(refused.value)
    assert told in str(refused.value)
    assert "cannot be served instead" in str(refused.value)


async def test_good_files_start_whatever_the_note_of_the_last_good_set_says(
    tmp_path, opened, upstream
):
    async with opened(tmp_path / "world", upstream, policy=LIMIT.format(2)) as gate:
        note = gate.directory / "state" / "policies" / "current.json"
    note.write_text("{")
    async with opened(tmp_path / "world", upstream) as gate:
        assert (await ready(gate))["policy_archive_problem"] is None
        assert json.loads(note.read_text())["digest"] == digest(gate)


async def test_an_archive_that_cannot_be_written_shows_in_readiness(open_gate, eventually):
    gate = await open_gate(policy=LIMIT.format(2))
    archive = gate.directory / "state" / "policies"
    archive.rename(archive.with_name("away"))
    archive.write_text("a file where the archive was")
    before = digest(gate)
    (gate.directory / "policies" / "test.yaml").write_text(LIMIT.format(9))
    await eventually(lambda: digest(gate) != before)
    assert "Not a directory" in (await ready(gate))["policy_archive_problem"]


async def test_files_that_somebody_still_writes_are_left_until_they_hold_still(
    open_gate, monkeypatch
):
    monkeypatch.setattr(policies_module, "LOOK_EVERY_S", 3600)  # only the looks of this test
    gate = await open_gate(policy=LIMIT.format(2))
    policies, pipeline, before = gate.server.policies, gate.server.gateway.pipeline, digest(gate)
    for limit in (33, 444):
        (gate.directory / "policies" / "test.yaml").write_text(LIMIT.format(limit))
        await policies.look(pipeline)
        assert digest(gate) == before
    await policies.look(pipeline)
    assert digest(gate) != before
    assert await limit_of(gate, gate.key()) == (200, "444")


async def test_who_changed_a_set_is_who_the_deployment_says_and_nobody_for_a_later_edit(
    tmp_path, opened, upstream, eventually
):
    async with opened(tmp_path / "world", upstream, policy=LIMIT.format(2)) as gate:
        assert (await ready(gate))["policy_committer"] == "unknown"
        before = digest(gate)
        written(gate, LIMIT.format(3), "Ada <ada@example.org>\nand more\n")
        await eventually(lambda: digest(gate) != before)
        assert (await ready(gate))["policy_committer"] == "Ada <ada@example.org>"
        assert (await gate.last("policy"))["committer"] == "Ada <ada@example.org>"
    async with opened(tmp_path / "world", upstream) as gate:  # the same set is still Ada's
        assert (await ready(gate))["policy_committer"] == "Ada <ada@example.org>"
        before = digest(gate)
        (gate.directory / "policies" / "test.yaml").write_text(LIMIT.format(4))
        await eventually(lambda: digest(gate) != before)
        assert (await gate.last("policy"))["committer"] == "unknown"


async def test_a_committer_written_beside_an_unchanged_set_does_not_sign_the_next_edit(
    tmp_path, opened, upstream, eventually
):
    async with opened(tmp_path / "world", upstream, policy=LIMIT.format(2)) as gate:
        before = digest(gate)
        written(gate, LIMIT.format(2), "Ada")
        assert (await gate.server.policies.reload(gate.server.gateway.pipeline))[0]
        assert (await ready(gate))["policy_committer"] == "unknown"
    (gate.directory / "policies" / "test.yaml").write_text(LIMIT.format(3))
    async with opened(tmp_path / "world", upstream) as gate:
        assert digest(gate) != before
        assert (await ready(gate))["policy_committer"] == "unknown"


async def test_a_policy_record_says_what_each_rule_is(open_gate):
    gate = await open_gate(
        policy="""
access:
  - {id: bait, match: account.honeypot, mode: shadow, then: deny, severity: high, labels: [c-7]}
quotas:
  - {id: limit, mode: enforce, limit: {requests: 5}, window: 1w}
"""
    )
    assert await gate.last("policy") == {
        "policy": digest(gate),
        "committer": "unknown",
        "rules": [
            {
                "id": "bait",
                "kind": "access",
                "mode": "shadow",
                "severity": "high",
                "labels": ["c-7"],
            },
            {"id": "limit", "kind": "quota", "mode": "enforce"},
        ],
    }


async def test_a_set_too_large_for_a_line_of_the_log_is_recorded_by_its_rules_ids(open_gate):
    rule = "  - {id: limit, mode: enforce, limit: {requests: 5}, window: 1w, labels: [%s]}\n"
    gate = await open_gate(policy="quotas:\n" + rule % ("x" * 1_100_000))
    assert (await gate.last("policy"))["rules"] == [{"id": "limit"}]


async def test_a_set_with_more_rules_than_a_line_can_name_is_recorded_all_the_same(
    open_gate, monkeypatch
):
    monkeypatch.setattr("proxy.audit.format.MAX_LINE_BYTES", 500)
    rules = [
        LIMIT.format(5).replace("quotas:", "").replace("id: ", f"id: a-long-name-{i}-")
        for i in range(20)
    ]
    gate = await open_gate(policy="quotas:" + "".join(rules))
    recorded = await gate.last("policy")
    assert recorded == {"policy": digest(gate), "committer": "unknown", "rules_left_out": 20}


async def test_counters_that_a_change_resets_are_told_and_recorded(open_gate):
    gate = await open_gate(policy=LIMIT.format(2), admin=OPERATOR)
    written(gate, LIMIT.format(2).replace("1w", "2w"))
    with structlog.testing.capture_logs() as logs:
        answer = await gate.ask(RELOAD, admin=True)
    said = "limit (its window was 604800 s and is 1209600 s)"
    assert answer.json()["result"].endswith(f"; counting from nothing: {said}")
    assert (await gate.last("policy"))["reset"] == [said]
    (line,) = [one for one in logs if one["event"] == "quotas count from nothing"]
    assert (line["log_level"], line["quotas"]) == ("warning", (said,))


EXCEPTED = """
exceptions:
  - {{id: partner, rules: [limit], accounts: [a], granted_by: Ada, reason: launch, until: {0}}}
quotas:
  - {{id: limit, mode: enforce, limit: {{requests: 5}}, window: 1w}}
"""


async def test_an_exception_that_has_run_out_shows_in_readiness_metrics_and_log_once_a_day(
    open_gate,
):
    with structlog.testing.capture_logs() as logs:
        gate = await open_gate(policy=EXCEPTED.format("2026-01-01"))
        policies, told = gate.server.policies, "exception partner ended 2026-01-01T00:00:00Z"
        now_ns = time.time_ns()
        policies.tell_endings(now_ns)
        policies.tell_endings(now_ns + DAY_NS)
    lines = [one for one in logs if one["event"] == "a policy comes to its end"]
    assert [one["problem"] for one in lines] == [f"{told}: renew it or remove it"] * 2
    assert (await ready(gate))["policy_endings"] == [f"{told}: renew it or remove it"]
    assert "gauger_policy_exceptions_expiring 1.0" in await metrics(gate)


async def test_an_exception_that_lasts_shows_nowhere(open_gate):
    gate = await open_gate(policy=EXCEPTED.format("2096-01-01"))
    assert (await ready(gate))["policy_endings"] == []
    assert "gauger_policy_exceptions_expiring 0.0" in await metrics(gate)


async def test_a_defect_in_taking_up_a_set_is_told_and_the_files_are_watched_on(
    open_gate, eventually, monkeypatch
):
    gate = await open_gate(policy=LIMIT.format(2))
    policies, before = gate.server.policies, digest(gate)

    class Broken(Archive):
        def keep(self, digest, texts):
            raise RuntimeError(digest)

    with structlog.testing.capture_logs() as logs:
        monkeypatch.setattr(policies, "_archive", Broken(gate.directory))
        (gate.directory / "policies" / "test.yaml").write_text(LIMIT.format(3))
        await eventually(lambda: policies.error)
        assert digest(gate) == before
        monkeypatch.undo()
    assert [one["error"] for one in logs if one["event"] == "defect"] == ["RuntimeError"]
    (gate.directory / "policies" / "test.yaml").write_text(LIMIT.format(4))
    await eventually(lambda: digest(gate) != before)
    assert policies.error is None
