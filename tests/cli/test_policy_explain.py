"""`gauger policy explain`, as an operator reads it."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from proxy.cli.policy_explain import explain
from tests.replay.conftest import NOON, line
from tests.trial.worlds import make_world, served

POLICY = """
quotas:
  - id: per-minute
    description: Nobody needs more.
    match: {tiers: [free]}
    mode: enforce
    limit: {requests: 2}
    window: 1m
  - id: paid
    match: {tiers: [paid]}
    mode: enforce
    limit: {requests: 9}
    window: 1m
access:
  - id: unverified
    match: 'glob(request.model, "m-large*") && account.verified == false'
    mode: shadow
    then: step_up
  - id: odd
    match: 1 / (request.choices - 1) > 0
    mode: warn
    on_error: abstain
    then: deny
  - id: office
    match: {networks: [10.0.0.0/8]}
    mode: enforce
    then: deny
exceptions:
  - {id: moving, rules: [unverified], accounts: [a4], granted_by: j.doe, reason: moves,
     until: 2090-01-01}
"""
LINES = [line(i, NOON + i, "a1") for i in range(4)] + [line(9, NOON + 9, "a4")]


def run(*arguments: str | Path):
    app = typer.Typer()
    app.command()(explain)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    config = make_world(tmp_path, POLICY)
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(one) + "\n" for one in LINES))
    return config


def recorded(config: Path, *more: str):
    return run("--config", config, "--traffic", config.parent / "t.jsonl", *more)


def test_a_recorded_exchange_is_explained_after_what_came_before_it(config):
    done = recorded(config, "--id", "x-0003")
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[0] == "x-0003  2026-04-22T00:00:03Z  account a1"
    place = config.parent / "policies" / "p.yaml"
    for said in (
        "THROTTLE  Refused for now: per-minute "
        "(requests: 2 used and 1 asked for, limit 2 in 60 s).",
        '  told: 429 rate_limit, "Rate limit reached: 2 requests per minute.", '
        "to come back at 2026-04-22T00:01:00Z",
        f"  per-minute  enforce  {place}:3  ← decided",
        "    Nobody needs more.",
        "    ✓ tiers: [free]    account.tier free",
        "    ✗ room for requests: 2 before + 1 = 3 > 2 in 60 s    begins anew 2026-04-22T00:01:00Z",
        "    said in enforce: throttle: requests: 2 used and 1 asked for, limit 2 in 60 s",
        "    ! 1 / (request.choices - 1) > 0    request.choices 1    (a division by zero)",
        "4 more rules do not govern this exchange (--all shows them)",
    ):
        assert said in done.output.splitlines()
    assert "paid" not in done.output


def test_all_rules_and_facts_are_shown_if_asked_for(config):
    output = recorded(config, "--id", "x-0003", "--all").output
    for said in (
        "    ✗ tiers: [paid]    account.tier free",
        '    ✗ glob(request.model, "m-large*")    request.model m-small',
        "    ✗ networks: [10.0.0.0/8]    client.address 203.0.113.7",
        "    granted by j.doe: moves",
        "    ✗ accounts: [a4]    account.id a1",
        "  request.surface chat.completions",
    ):
        assert said in output.splitlines()


def test_as_json_it_is_data(config):
    said = json.loads(recorded(config, "--id", "x-0003", "--format", "json").output)
    assert (said["source"], said["exchange"], said["account"]) == ("traffic", "x-0003", "a1")
    assert said["decided"]["by"] == ["per-minute"]
    assert [rule["id"] for rule in said["rules"]] == ["odd", "per-minute"]
    assert said["rules_left_out"] == 3
    quota = said["rules"][1]
    assert quota["clauses"][0] == {
        "text": "tiers: [free]",
        "mark": "true",
        "facts": [["account.tier", "free"]],
        "why": "",
    }
    assert (quota["counted"][0]["before"], quota["counted"][0]["fits"]) == (2, False)
    everything = recorded(config, "--id", "x-0003", "--format", "json", "--all").output
    assert len(json.loads(everything)["rules"]) == 5


def test_of_a_recording_of_many_exchanges_one_is_to_be_named(config):
    done = recorded(config)
    assert done.exit_code == 1
    assert "holds more than one exchange: say which, such as --id x-0000" in done.output
    done = recorded(config, "--id", "x-7777")
    assert done.exit_code == 1
    assert 'there is no exchange "x-7777" in it' in done.output


def test_a_file_with_one_exchange_needs_no_id(config):
    for name, text in (("one.json", json.dumps(LINES[0], indent=2)), ("1.jsonl", None)):
        file = config.parent / name
        file.write_text(text or json.dumps(LINES[0]) + "\n")
        done = run("--config", config, "--traffic", file)
        assert done.exit_code == 0, done.output
        assert "ALLOW  Let through: no enforced rule says otherwise." in done.output
    (config.parent / "one.json").write_text("{")
    done = run("--config", config, "--traffic", config.parent / "one.json")
    assert done.exit_code == 1
    assert "one.json: " in done.output


def test_a_directory_beside_a_recording_judges_instead_of_the_policies_in_force(config):
    other = config.parent / "other"
    other.mkdir()
    (other / "p.yaml").write_text(POLICY.replace("requests: 2", "requests: 3"))
    traffic = config.parent / "t.jsonl"
    done = run(other, "--config", config, "--traffic", traffic, "--id", "x-0003")
    assert "requests: 3 used and 1 asked for, limit 3 in 60 s" in done.output
    done = run("nowhere", "--config", config, "--traffic", traffic, "--id", "x-0003")
    assert (done.exit_code, "nowhere: no such directory" in done.output) == (1, True)


def test_bad_lines_before_the_exchange_stop_it_or_are_left_out(config):
    traffic = config.parent / "t.jsonl"
    traffic.write_text("{nonsense\n" + traffic.read_text())
    done = recorded(config, "--id", "x-0003")
    assert (done.exit_code, "t.jsonl:1: " in done.output) == (1, True)
    assert recorded(config, "--id", "x-0003", "--skip-bad").exit_code == 0


def test_an_exchange_of_the_audit_log_is_explained_by_its_id(config):
    served(config, LINES)
    done = run("x-0003", "--config", config)
    assert done.exit_code == 0, done.output
    for said in (
        "x-0003  2026-04-22T00:00:03Z  account a1",
        "judged again from its record: the same decision",
        "  per-minute  enforce  p.yaml:3  ← decided",
        "    · networks: [10.0.0.0/8]    client.address not known    "
        "(client.address: addresses are recorded as pseudonyms only)",
        "  as the record has it, for nobody can tell now: office",
    ):
        assert said in done.output.splitlines()
    assert "nobody can tell now: a fact cannot be read any more" in done.output
    said = json.loads(run("x-0000", "--config", config, "--format", "json").output)
    assert said["again"] == {
        "judged": True,
        "same": True,
        "differs": [],
        "as_recorded": ["office"],
    }
    assert said["completion"]["status"] == 200


def test_what_comes_out_differently_is_told(config):
    served(config, LINES)
    (segment,) = (config.parent / "var" / "audit").glob("*.jsonl")
    segment.write_text(segment.read_text().replace('"verdict":"allow"', '"verdict":"deny"'))
    output = run("x-0000", "--config", config).output
    assert "judged again from its record, it comes out differently:" in output
    assert '  verdict: recorded "deny", again "allow"' in output


def test_bare_facts_are_explained_against_a_directory(config):
    facts = config.parent / "facts.yaml"
    facts.write_text("account.tier: free\nrequest.model: m-large-1\n")
    policies = config.parent / "policies"
    output = run(policies, "--facts", facts).output
    assert "    ? account.verified == false    account.verified not known" in output.splitlines()
    assert "? a fact is not known; ! it cannot be evaluated" in output.splitlines()
    facts.write_text(
        "at: 2026-12-01T12:00:00Z\nfacts: {account.tier: free, client.address: 192.0.2.1}\n"
        "counters: {per-minute: {requests: 2}}\n"
    )
    lines = run(policies, "--facts", facts).output.splitlines()
    assert lines[0] == "2026-12-01T12:00:00Z"
    assert any(line.startswith("THROTTLE") for line in lines)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("account.teir: free\n", 'facts.yaml:1:1: there is no fact "account.teir" (did you mean'),
        ("account.tier: 5\n", "facts.yaml:1:15: account.tier is a text"),
        ("a: [\n", "facts.yaml:2:1: not valid YAML"),
        ("", "facts.yaml: the file is empty"),
        ("facts: {account.tier: free}\ncounter: {}\n", "facts.yaml:2:1: unknown key"),
        ("for_each: {account.tier: [free, paid]}\n", "facts.yaml:1:1: one exchange is explained"),
        ("facts: {}\ncounters: {q: {requests: 1}}\n", "facts.yaml:2:12: "),
        (
            "facts: {account.tier: free}\ncounters: {paid: {requests: 1}}\n",
            "facts.yaml:2:29: paid counts no requests of this exchange",
        ),
    ],
)
def test_faults_of_a_file_of_facts_have_their_place(config, text, said):
    facts = config.parent / "facts.yaml"
    facts.write_text(text)
    done = run(config.parent / "policies", "--facts", facts)
    assert done.exit_code == 1
    assert said in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say what is to be explained"),
        (("/",), "/ is a directory: say what its policies are asked, with --facts FILE"),
        (("--traffic", "t.jsonl", "--facts", "f.yaml"), "--facts does not go with --traffic"),
        (("x-1", "--id", "x-2"), "--id goes with --traffic only"),
        (("x-1", "--geo", "c.mmdb"), "--geo goes with --traffic only"),
        (("x-1", "--skip-bad"), "--skip-bad goes with --traffic only"),
    ],
)
def test_options_that_would_do_nothing_are_refused(arguments, said):
    done = run(*arguments)
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())


def test_what_a_caller_wrote_cannot_steer_the_terminal(config):
    body = {"model": "m-\x1b[31mlarge", "messages": []}
    (config.parent / "t.jsonl").write_text(json.dumps(line(1, NOON, "a1", body=body)) + "\n")
    output = recorded(config, "--all").output
    assert "\x1b" not in output
    assert "m-?[31mlarge" in output


def test_faults_are_told_without_a_trace(config):
    done = run("x-1", "--config", config)
    assert (done.exit_code, "(the audit log)" in done.output) == (1, True)
    served(config, LINES)
    done = run("x-1", "--config", config)
    assert done.exit_code == 1
    assert "Traceback" not in done.output
    assert 'no decision on an exchange "x-1"' in done.output
