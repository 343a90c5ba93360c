"""A decision of the audit log judged again: by id, from what the record says and no more."""

import hashlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.audit.errors import AuditDamaged
from proxy.audit.read import Entry
from proxy.demo.world import write_countries
from proxy.model.plan import Plan, Readings
from proxy.policy.load import load
from proxy.policy.problem import ProblemsError
from proxy.replay.inputs import settings_of
from proxy.store.memory import MemoryStore
from proxy.trial.again import Again
from proxy.trial.explanation import Mark
from proxy.trial.sources import explain_record, judged_record
from tests.replay.conftest import NOON, line
from tests.trial.test_explain import policies, rule
from tests.trial.worlds import make_world, served

POLICY = """
lists:
  embargoed: [DE]
quotas:
  - id: per-minute
    match: {tiers: [free]}
    mode: enforce
    limit: {requests: 2, tokens: 5000}
    window: 1m
  - id: org-hour
    match: {organizations: [org-1]}
    per: organization
    mode: shadow
    limit: {requests: 1}
    window: 1h
geography:
  - id: embargo
    match: {models: [m-large]}
    mode: enforce
    deny_countries: $embargoed
access:
  - id: office
    match: {networks: [203.0.113.0/24], models: [m-secret]}
    mode: enforce
    then: deny
  - id: guarded
    match: 'has(client.address) && request.model == "m-tiny"'
    mode: enforce
    then: step_up
  - id: bounded
    match: {tiers: [paid]}
    mode: enforce
    modify: {max_tokens: 9, reroute: m-other}
  - id: slow
    match: quota.used_share > 0.4
    mode: enforce
    then: delay
    delay: 1s
  - id: half
    match: {models: [m-half]}
    mode: enforce
    rollout: 50
    then: deny
  - id: named
    match: {accounts: [a2], models: [m-named]}
    mode: warn
    then: deny
exceptions:
  - id: trusted
    rules: [office]
    accounts: [a2]
    granted_by: j.doe
    reason: tests
    until: 2030-01-01
"""


def lines():
    """Exchanges of several accounts that the rules treat in each of their ways."""
    models = ["m-small", "m-large", "m-secret", "m-tiny", "m-half", "m-named", ""]
    for i in range(70):
        model = models[i % len(models)]
        body = {"max_tokens": 40, "messages": [{"role": "user", "content": "hello there"}]}
        more = {"body": {**body, "model": model} if model else body}
        if i % 10 == 9:
            more = {"path": "/v1/models", "method": "GET", "body": None}
        if i % 23 == 22:
            more = {"path": "/v1/audio/transcriptions", "body": None, "body_text": "x"}
        where = "198.51.100.1" if i % 3 == 0 else "203.0.113.7"
        yield line(i, NOON + 3 * i, f"a{i % 5 + 1}", client_ip=where, **more)


@pytest.fixture
def world(tmp_path: Path):
    def make(policy: str = POLICY, **more):
        write_countries(tmp_path / "country.mmdb")
        return make_world(tmp_path, policy, geo={"databases": ["country.mmdb"]}, **more)

    return make


def test_each_record_judged_again_gives_the_same_decision(world):
    config = world()
    decisions = served(config, lines())
    said = {entry.fields["verdict"] for entry in decisions.values()}
    assert said == {"allow", "delay", "step_up", "throttle", "deny"}
    for name, again in all_again(config, decisions).items():
        assert again.differs == (), name
        assert again.explanation.decided.verdict == decisions[name].fields["verdict"]


def test_what_cannot_be_judged_again_without_the_key_is_taken_from_the_record_and_named(world):
    config = world()
    decisions = served(config, lines())
    text = config.read_text()
    config.write_text(text.replace("22" * 32, "33" * 32))  # the pseudonyms are another key's
    another_key = text.replace("22" * 32, "33" * 32)
    no_key = text.replace(', "pseudonym_key": "' + "22" * 32 + '"', "")
    for changed in (another_key, no_key):
        config.write_text(changed)
        found = all_again(config, decisions)
        assert [name for name, again in found.items() if again.differs] == []
        taken = {rule for again in found.values() for rule in again.taken}
        assert taken == {"office", "guarded", "half", "named", "org-hour", "trusted"}
    assert explain_record(config, "x-0000", {}).account is None


COUNTED = """
quotas:
  - {id: nets, mode: enforce, per: [network, model], on_missing: abstain, limit: {requests: 2},
     window: 1h}
  - {id: keys, mode: enforce, per: {cel: account.key}, on_missing: abstain, limit: {tokens: 200},
     window: 1h, algorithm: gcra, clamp: 8}
  - {id: places, match: 'client.network == "198.51.100.0/24"', mode: enforce,
     limit: {requests: 20}, window: month}
"""


def test_a_quota_that_counts_by_what_cannot_be_read_any_more_is_judged_again_as_it_counted(world):
    config = world(COUNTED)
    asked = {"model": "m", "max_tokens": 40, "messages": [{"role": "user", "content": "hello"}]}
    where = ["198.51.100.1", "203.0.113.7", None]
    exchanges = [
        line(i, NOON + i, f"a{i % 2 + 1}", body=asked, client_ip=where[i % 3]) for i in range(18)
    ]
    decisions = served(config, exchanges)
    assert {e.fields["verdict"] for e in decisions.values()} == {"allow", "throttle"}
    assert any("abstain" in str(e.fields.get("rules")) for e in decisions.values())
    for key in ("22" * 32, "44" * 32):
        config.write_text(config.read_text().replace("22" * 32, key))
        found = all_again(config, decisions)
        assert [name for name, again in found.items() if again.differs] == []
        taken = {rule for again in found.values() for rule in again.taken}
        assert taken == ({"nets", "places"} if key == "22" * 32 else {"nets", "places", "keys"})


UNSURE = """
access:
  - {id: mixed, match: &m 'in_network(client.address, "10.0.0.0/8") || account.verified',
     on_missing: abstain, mode: enforce, then: deny}
  - {id: failing, match: 'in_network(client.address, "10.0.0.0/8") || 1 / request.body_bytes > 9',
     on_error: abstain, mode: enforce, then: deny}
  - {id: bounded, mode: enforce, modify: {max_tokens: 9}}
geography:
  - {id: duty, match: {networks: [203.0.113.0/24]}, legal: true, mode: enforce,
     deny_countries: [CU]}
exceptions:
  - {id: partners, rules: [bounded], match: *m, granted_by: ops, reason: r, until: 2030-01-01}
"""


def test_what_was_unsure_then_is_as_unsure_again_where_a_fact_is_withheld_now(world):
    """And a class of durability that a silent rule asked for is not told as a difference."""
    config = world(UNSURE)
    decisions = served(config, [line(1, NOON, "a3", path="/v1/models", method="GET", body=None)])
    fields = decisions["x-0001"].fields
    whys = {said[0]: said[3] for said in fields["rules"]}
    assert whys["mixed"] == "account.verified is not known; on_missing: abstain"
    assert whys["failing"] == "the condition failed (a division by zero); on_error: abstain"
    assert whys["partners"] == "the exception does not apply: account.verified is not known"
    assert fields["durability"] == "before"
    (again,) = all_again(config, decisions).values()
    assert again.differs == ()
    assert set(again.taken) == {"mixed", "failing", "partners", "duty"}


def test_clauses_over_an_address_say_that_it_cannot_be_read(world):
    config = world()
    served(config, lines())
    found = explain_record(config, "x-0002", {}).again.explanation  # m-secret
    network, model = sorted(rule(found, "office").clauses, key=lambda clause: clause.text[1])
    assert (network.text, model.text) == ("networks: [203.0.113.0/24]", "models: [m-secret]")
    assert (network.mark, model.mark) == (Mark.WITHHELD, Mark.TRUE)
    assert network.why == "client.address: addresses are recorded as pseudonyms only"


def test_people_are_told_by_the_directory_and_the_key(world):
    config = world()
    decisions = served(config, lines())
    assert "a1" not in str(decisions["x-0000"].fields)
    found = explain_record(config, "x-0000", {})
    assert found.account == "a1"
    facts = dict(found.again.explanation.facts)
    assert facts["account.key"] == "k-a1"
    assert facts["account.organization"] == "org-1"
    assert "client.address" not in facts


def test_how_it_ended_is_told_too(world):
    config = world()
    served(config, lines())
    ended = explain_record(config, "x-0000", {}).completion
    assert ended is not None
    assert (ended.fields["status"], ended.fields["duration_ms"]) == (200, 1500)


def test_a_record_that_comes_out_differently_says_what_differs(world):
    config = world()
    decisions = served(config, lines())
    name = next(n for n, e in decisions.items() if e.fields["verdict"] == "throttle")
    (segment,) = (config.parent / "var" / "audit").glob("*.jsonl")
    written = segment.read_text().splitlines(keepends=True)
    at = next(i for i, one in enumerate(written) if f'"id":"{name}"' in one)
    written[at] = written[at].replace('"verdict":"throttle"', '"verdict":"deny"')
    segment.write_text("".join(written))
    differs = explain_record(config, name, {}).again.differs
    assert differs == (("verdict", "deny", "throttle"),)


def test_what_a_check_of_gaugers_own_refused_is_told_and_not_judged_again(world):
    config = world()
    served(config, lines())
    found = explain_record(config, "x-0004", {})  # nobody's key
    explanation = found.again.explanation
    assert (explanation.asked, explanation.rules, found.again.differs) == (False, (), ())
    assert explanation.decided.own_check == "gauger.identity"
    assert explanation.decided.told is not None
    assert (explanation.decided.told.status, explanation.decided.told.message) == (401, "")


def test_modifiers_that_could_not_be_enacted_are_told(world):
    config = world("access: [{id: other, mode: enforce, modify: {reroute: m-other}}]")
    upload = {"path": "/v1/audio/transcriptions", "body": None, "body_text": "x"}
    decisions = served(config, [line(1, NOON, "a1", **upload), line(2, NOON, "a1")])
    assert [e.fields["verdict"] for e in decisions.values()] == ["deny", "allow"]
    for again in all_again(config, decisions).values():
        assert again.differs == ()
    found = explain_record(config, "x-0001", {}).again.explanation
    assert found.asked
    assert found.decided.own_check == "gauger.modifiers"


def test_a_disarmed_rule_is_judged_again_as_it_stood_then(world):
    fused = POLICY.replace("id: embargo\n", "id: embargo\n    fuse: {accounts: 1, within: 1h}\n")
    config = world(fused)
    decisions = served(
        config, [line(i, NOON + i, f"a{i}", body={"model": "m-large"}) for i in (1, 2, 3, 4)]
    )
    assert ["embargo", "disarmed"] in decisions["x-0003"].fields["lowered"]
    found = explain_record(config, "x-0003", {}).again
    assert found.differs == ()
    assert rule(found.explanation, "embargo").lowered == "disarmed, by an operator or its fuse"


class Unavailable(MemoryStore):
    def take(self, plan: Plan) -> Readings:
        return Readings(available=False)


def test_a_store_that_could_not_answer_is_so_again(world):
    config = world(POLICY.replace("window: 1m", "window: 1m\n    on_unavailable: deny"))
    decisions = served(config, lines(), Unavailable())
    assert decisions["x-0000"].fields["store"] == "unavailable"
    found = explain_record(config, "x-0000", {}).again
    assert found.differs == ()
    assert [counted.before for counted in rule(found.explanation, "per-minute").counted] == [
        None
    ] * 2


def test_the_set_is_the_archived_one_or_the_configured_one_if_it_is_the_same(world):
    config = world()
    served(config, lines())
    policies = config.parent / "policies" / "p.yaml"
    policies.write_text(POLICY.replace("requests: 2", "requests: 9"))
    assert explain_record(config, "x-0000", {}).again.differs == ()
    archive = config.parent / "var" / "policies"
    archive.rename(archive.with_name("gone"))
    with pytest.raises(ProblemsError, match="is not among the sets that are archived here"):
        explain_record(config, "x-0000", {})
    policies.write_text(POLICY)
    assert explain_record(config, "x-0000", {}).again.differs == ()


def test_an_archived_set_that_was_changed_judges_nobody(world):
    config = world()
    served(config, lines())
    (archived,) = (config.parent / "var" / "policies").rglob("p.yaml")
    archived.write_text(POLICY.replace("requests: 2", "requests: 9"))
    with pytest.raises(ProblemsError, match=r"the archived files of .* were changed"):
        explain_record(config, "x-0000", {})


def test_an_exchange_that_is_not_in_the_log_is_told(world):
    config = world()
    served(config, lines())
    with pytest.raises(ProblemsError, match='no decision on an exchange "x-9999"'):
        explain_record(config, "x-9999", {})
    (segment,) = (config.parent / "var" / "audit").glob("*.jsonl")
    segment.write_text('{"seq":1,"type":"decision","id":"x-1","at_ns":1,"hash":""}\n')
    with pytest.raises(AuditDamaged, match="says neither verdict nor policy"):
        explain_record(config, "x-1", {})


def test_nothing_is_written_and_no_key_is_made(world):
    config = world(secrets=False)
    served(config, lines())
    before = {path: path.stat().st_mtime_ns for path in config.parent.rglob("*")}
    explain_record(config, "x-0000", {})
    assert {path: path.stat().st_mtime_ns for path in config.parent.rglob("*")} == before


def test_the_keys_that_a_gateway_made_for_itself_tell_people_too(world):
    config = world(secrets=False)
    served(config, lines())  # under a replay's keys
    keys = '{"fingerprint_key": "%s", "pseudonym_key": "%s"}' % (("00" * 32,) * 2)
    (config.parent / "var" / "keys.json").write_text(keys)
    assert explain_record(config, "x-0000", {}).account == "a1"


@settings(max_examples=25)
@given(policy=policies(), seed=st.integers(0, 10**6))
def test_records_under_any_rules_judged_again_give_the_same_decisions(policy, seed):
    (document, _), *_ = policy.sources
    with tempfile.TemporaryDirectory() as folder:
        config = make_world(Path(folder), document.text, detector={"step_s": 0.5})
        exchanges = [
            line(
                i,
                NOON + i / 2,
                f"a{hashed(seed, i, 5) + 1}",
                body={"model": ["m-a", "xy", None][hashed(seed, -i, 3)], "n": i % 2 + 1},
                client_ip=["10.1.2.3", "203.0.113.9", None][i % 3],
            )
            for i in range(8)
        ]
        decisions = served(config, exchanges)
        for key in ("22" * 32, "44" * 32):
            config.write_text(config.read_text().replace("22" * 32, key))
            for again in all_again(config, decisions).values():
                assert again.differs == ()


def all_again(config: Path, decisions: dict[str, Entry]) -> dict[str, Again]:
    """Each record judged again; the set is read once."""
    settings = settings_of(config, environment={})
    policy = load(settings.policies)
    return {name: judged_record(policy, settings, e)[0] for name, e in decisions.items()}


def hashed(seed: int, number: int, below: int) -> int:
    return hashlib.sha256(f"{seed}:{number}".encode()).digest()[0] % below
