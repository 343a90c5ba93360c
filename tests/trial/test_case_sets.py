"""The golden decisions of the engine, and the cases of every set that comes with Gauger."""

from pathlib import Path

import jsonschema
import pytest

from proxy.model.verdict import (
    Cause,
    Durability,
    Mode,
    OnError,
    OnMissing,
    OnUnavailable,
    RuleKind,
    Verdict,
)
from proxy.policy.lint import lint
from proxy.policy.yamlfile import parse
from proxy.trial.case_editor import case_schema
from proxy.trial.cases import load_set
from proxy.trial.compare_case import compared
from proxy.trial.guard import attempts, noticed, unexercised
from proxy.trial.run_cases import Trial, Worlds

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "tests" / "policies" / "decisions"
EXAMPLES = sorted((ROOT / "policies" / "examples").iterdir())
# A set beside its own gauger.yaml is in the folder that this names.
SHIPPED = [
    ROOT / "policies",
    *(d / "policies" if (d / "gauger.yaml").exists() else d for d in EXAMPLES),
]
SETS = [DECISIONS, *SHIPPED]
FILES = sorted(file for set_ in SETS for file in (set_ / "tests").glob("*.yaml"))
IN_2027_NS = 1_803_902_400 * 10**9


@pytest.mark.parametrize("directory", SETS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_case_passes_and_together_they_guard_every_rule(directory: Path):
    policy, cases = load_set(directory)
    worlds = Worlds()
    trial = Trial(policy, worlds)
    results = [compared(trial.run(case)) for case in cases]
    failed = [
        f"{result.case.place}{result.case.title}: {difference}"
        for result in results
        for difference in result.differences
    ]
    assert not failed, "\n".join(failed)
    assert unexercised(policy, results) == ()
    tries = attempts(policy, results)
    unnoticed = [(a.mutant.rule, a.mutant.what) for a in tries if not noticed(a, worlds)]
    assert tries
    assert unnoticed == []


def test_the_decisions_have_every_kind_of_rule_and_everything_that_one_can_say():
    policy, cases = load_set(DECISIONS)
    trial = Trial(policy)
    said = [said for case in cases for said in trial.run(case).said]
    spoken = [o for one in said for o in (*one.decision.spoke, *one.decision.shadow)]
    assert {outcome.kind for outcome in spoken} == set(RuleKind)
    assert {(o.mode, o.verdict) for o in spoken} >= {(Mode.ENFORCE, v) for v in Verdict}
    for kind in (RuleKind.QUOTA, RuleKind.GEOGRAPHY, RuleKind.ACCESS, RuleKind.FINGERPRINT):
        assert {outcome.mode for outcome in spoken if outcome.kind is kind} == set(Mode)
        rules = [rule for rule in policy.rules if rule.kind is kind]
        assert {rule.on_missing for rule in rules} == set(OnMissing)
    assert {one.decision.verdict for one in said} == set(Verdict)
    assert {one.decision.durability for one in said} == set(Durability)
    assert {low.cause for one in said for low in one.weighed.plan.lowered} == set(Cause)
    words = {word.partition(":")[0] for one in said for word in one.decision.modifiers.words()}
    assert words == {"strip", "reroute", "clamp", "cut"}
    why = " ".join(outcome.why for outcome in spoken)
    for key, values in {
        "on_missing": OnMissing,
        "on_error": OnError,
        "on_unavailable": OnUnavailable,
    }.items():
        assert all(f"{key}: {value}" in why for value in values)


@pytest.mark.parametrize("directory", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_looks_wrong_in_a_set_that_is_shipped(directory: Path):
    policy, _ = load_set(directory)
    assert [str(problem) for problem in lint(policy, IN_2027_NS)] == []


def test_the_schema_of_cases_beside_the_policies_is_the_one_that_is_printed():
    schema = case_schema()
    jsonschema.Draft7Validator.check_schema(schema)
    written = parse("schema", (ROOT / "policies" / "cases.schema.json").read_bytes())
    assert written.data == schema


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_schema_accepts_every_file_of_cases_and_each_names_it(file: Path):
    line = file.read_text().splitlines()[0]
    named = line.removeprefix("# yaml-language-server: $schema=")
    assert (file.parent / named).resolve() == ROOT / "policies" / "cases.schema.json"
    jsonschema.Draft7Validator(case_schema()).validate(parse(str(file), file.read_bytes()).data)


@pytest.mark.parametrize(
    "text",
    [
        "cases: [{name: a, fatcs: {}}]",
        "cases: [{name: a, facts: {client.cuntry: DE}}]",
        "cases: [{name: a, facts: {request.stream: 7}}]",
        "cases: [{name: a, facts: {request.surface: chat}}]",
        "cases: [{name: a, cluster: {scor: 1}}]",
        "cases: [{name: a, expect: {verdict: denied}}]",
        "cases: [{name: a, for_each: {client.country: DE}}]",
        "cases: [{facts: {}}]",
        "case: []",
    ],
)
def test_the_schema_underlines_what_a_test_run_refuses(text: str):
    data = parse("cases.yaml", text.encode()).data
    assert list(jsonschema.Draft7Validator(case_schema()).iter_errors(data))
