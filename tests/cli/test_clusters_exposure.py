"""`gauger clusters exposure`: what a cluster obtained, over logs that replays really wrote."""

import csv
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from proxy.audit.read import entries
from proxy.audit.sync_log import SyncAuditLog
from proxy.cli.main import app
from proxy.facts.pseudonyms import Pseudonyms
from proxy.model.record import Record
from tests.investigate.day import MEMBERS, NOON, POLICY, replay_day
from tests.investigate.made import lines, replayed


def ran(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["clusters", "exposure", *map(str, arguments)])
    said = "\n".join(line.rstrip() for line in result.stdout.splitlines())
    return result.exit_code, said, result.stderr


@pytest.fixture
def replayed_day(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    return partial(replay_day, tmp_path)


TOLD = """\
c-7f3a: contained since 2026-04-22 12:06 UTC; 2 of its 2 accounts are in the log
model     when    exchanges  refused  input  output  cost  first             last
=m-small  after           0        1      0       0  0.00  2026-04-22 12:06  2026-04-22 12:06
m-large   before          4        0  4,000   2,000  0.03  2026-04-22 12:00  2026-04-22 12:05
m-small   before          1        0  1,000     500  0.00  2026-04-22 12:03  2026-04-22 12:03
all       before          5        0  5,000   2,500  0.03  2026-04-22 12:00  2026-04-22 12:05
all       after           0        1      0       0  0.00  2026-04-22 12:06  2026-04-22 12:06
all       in all          5        1  5,000   2,500  0.03  2026-04-22 12:00  2026-04-22 12:06"""


def test_what_a_cluster_obtained_is_told_by_model_before_and_after_it_was_contained(replayed_day):
    config, out = replayed_day()
    code, said, warned = ran("c-7f3a", "--from", out, "--config", config)
    assert (code, warned) == (0, "")
    assert said == TOLD


def test_all_clusters_are_told_in_one_line_each_and_contained_or_not(replayed_day):
    config, out = replayed_day(POLICY.replace("enforce", "shadow"))
    code, said, _ = ran("--all", "--from", out, "--config", config)
    assert code == 0
    assert "c-7f3a: not contained: no refusal in this log rested on it" in said
    assert said.splitlines()[2].split()[:4] == ["all", "in", "all", "6"]


def test_an_export_names_the_records_that_each_number_rests_on(replayed_day, tmp_path: Path):
    config, out = replayed_day()
    file = tmp_path / "exposure.json"
    assert ran("c-7f3a", "--from", out, "--config", config, "--out", file)[0] == 0
    told = json.loads(file.read_text())
    (one,) = told["clusters"]
    assert one["contained_at"] == "2026-04-22T12:06:00Z"
    assert one["total"]["output_tokens"] == 2500
    assert one["total"]["cost_millionths"] == 4 * 7000 + 3000
    log = {entry.seq: entry for entry in entries(out / "audit")}
    assert told["logs"][0]["log"] == log[1].id
    assert told["logs"][0]["last_hash"] == log[max(log)].hash
    assert len(told["records"]) == 6
    for row in told["records"]:
        assert log[row["decision_seq"]].hash == row["decision_hash"]
        assert log[row["decision_seq"]].id == row["exchange"]
        assert row["end_seq"] is None or log[row["end_seq"]].hash == row["end_hash"]
    assert sum(row["output_tokens"] or 0 for row in told["records"]) == 2500
    assert "a1" not in {row["account"] for row in told["records"]}


def test_a_table_for_spreadsheets_has_a_row_an_exchange_and_no_formula(
    replayed_day, tmp_path: Path
):
    config, out = replayed_day()
    file = tmp_path / "exposure.csv"
    assert ran("c-7f3a", "--from", out, "--config", config, "--out", file)[0] == 0
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["verdict"] for row in rows] == ["allow"] * 5 + ["throttle"]
    assert rows[-1]["model"] == "'=m-small"
    assert {row["contained"] for row in rows} == {"True", "False"}


def test_an_export_that_failed_leaves_no_file(replayed_day, tmp_path: Path):
    config, out = replayed_day()
    (segment,) = (out / "audit").glob("*.jsonl")
    segment.write_bytes(segment.read_bytes().replace(b'"x-0004"', b'x-0004"', 1))
    file = tmp_path / "exposure.json"
    code, _, said = ran("c-7f3a", "--from", out, "--config", config, "--out", file)
    assert (code, "not a line of an audit log" in said) == (1, True)
    assert sorted(path.name for path in tmp_path.glob("exposure*")) == []


def test_records_under_another_key_are_counted_as_unreadable_and_said_so(replayed_day):
    config, out = replayed_day()
    key = "secrets: {pseudonym_key: 000102030405060708090a0b0c0d0e0f}\n"
    config.write_text(config.read_text() + key)
    code, said, warned = ran("c-7f3a", "--from", out, "--config", config)
    assert code == 0
    assert warned.startswith("warning: 8 records name accounts that cannot be told")
    assert "0 of its 2 accounts are in the log" in said


def test_without_a_directory_it_says_that_it_cannot_tell_them_apart(replayed_day):
    config, out = replayed_day()
    config.write_text(config.read_text().replace("accounts: accounts.jsonl\n", ""))
    _, said, warned = ran("c-7f3a", "--from", out, "--config", config)
    assert "warning: no account directory" in warned
    assert said == TOLD


def test_without_prices_nothing_has_a_cost(replayed_day):
    config, out = replayed_day(POLICY[POLICY.index("quotas") :])
    _, said, warned = ran("c-7f3a", "--from", out, "--config", config)
    assert warned == "note: the policies have no prices, so that nothing has a cost\n"
    assert "cost" not in said


def test_a_model_without_a_price_is_named_and_priced_as_the_dearest(replayed_day):
    small = "  - models: [m-small]\n    input: 1.0\n    output: 4.0\n"
    config, out = replayed_day(POLICY.replace(small, ""))
    _, _, warned = ran("c-7f3a", "--from", out, "--config", config)
    assert warned == "warning: no price names these models, priced as the dearest: m-small\n"


def test_accounts_that_hardly_belong_there_can_be_left_out(replayed_day):
    config, out = replayed_day()
    line = {**replayed(MEMBERS), "accounts": [], "members": [["a1", 1.0], ["a2", 0.3]]}
    (out / "clusters.jsonl").write_bytes(lines([line]))
    _, said, _ = ran("c-7f3a", "--from", out, "--config", config, "--min-weight", 0.5)
    assert "1 of its 1 accounts" in said
    assert "not contained" in said


def test_a_log_of_digests_cannot_tell_and_says_so(replayed_day):
    config, out = replayed_day(audit="digest")
    code, _, said = ran("c-7f3a", "--from", out, "--config", config)
    assert (code, "holds digests in place of its records" in said) == (1, True)


def test_one_cluster_is_named_or_all_of_them(replayed_day):
    config, out = replayed_day()
    assert ran("--from", out, "--config", config)[0] == 2
    assert ran("c-7f3a", "--all", "--from", out, "--config", config)[0] == 2
    code, _, said = ran("c-7f3a", "--from", out, "--config", config, "--out", "x.txt")
    assert (code, "ends in .json or .csv" in said) == (1, True)


def test_the_logs_of_all_workers_count_by_their_times(tmp_path: Path):
    """The refusal is in the log that is read second, before an exchange of the first."""
    names = Pseudonyms(bytes.fromhex("00" * 16))
    config = tmp_path / "gauger.yaml"
    config.write_text(
        "policies: policies\nstate_dir: var\nsecrets:\n"
        f"  pseudonym_key: '{'00' * 16}'\n  fingerprint_key: '{'00' * 16}'\n"
    )
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "p.yaml").write_text(POLICY[POLICY.index("quotas") :])
    detector = tmp_path / "var" / "detector"
    detector.mkdir(parents=True)
    (detector / "clusters.jsonl").write_bytes(lines([MEMBERS]))

    def decided(id_: str, second: int, **fields: Any) -> Record:
        who = {"account": names.of("account", "a1"), "verdict": "allow"}
        return Record("decision", id_, round((NOON + second) * 1e9), {**who, **fields})

    def ended(id_: str, second: int) -> Record:
        used = {"status": 200, "complete": True, "usage": {"input": 5, "output": 7}}
        return Record("completion", id_, round((NOON + second) * 1e9), used)

    facts = {"cluster.ids": ["c-7f3a"]}
    refused = decided("x-2", 10, verdict="throttle", by_cluster=True, facts=facts)
    other = decided(
        "x-0", 1, verdict="throttle", by_cluster=True, facts={"cluster.ids": ["c-other"]}
    )
    written = {
        "worker-0": [
            other,
            decided("x-1", 5),
            ended("x-1", 6),
            decided("x-3", 20),
            ended("x-3", 30),
        ],
        "worker-1": [refused, decided("x-4", 40)],
    }
    for name, records in written.items():
        at = tmp_path / "var" / "audit" / name
        at.parent.mkdir(parents=True, exist_ok=True)
        with SyncAuditLog.create(at, log_id=f"log-{name}", at_ns=round(NOON * 1e9)) as log:
            for record in records:
                log.append(record)
    out = tmp_path / "x.json"
    code, said, _ = ran("c-7f3a", "--config", config, "--out", out)
    assert code == 0
    rows = [line.split() for line in said.splitlines()[2:4]]
    assert [row[1:6] for row in rows] == [
        ["before", "1", "1", "5", "7"],
        ["after", "2", "1", "5", "7"],
    ]
    told = json.loads(out.read_text())
    assert [log["log"] for log in told["logs"]] == ["log-worker-0", "log-worker-1"]
    assert told["clusters"][0]["total"]["open"] == 1
