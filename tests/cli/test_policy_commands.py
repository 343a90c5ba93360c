import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from proxy.cli.main import app
from proxy.policy.editor import DRAFT, policy_schema
from proxy.policy.yamlfile import parse

ROOT = Path(__file__).parents[2]
SAMPLES = sorted(
    p
    for p in (ROOT / "policies").rglob("*.yaml")
    if p.parent.name != "tests" and p.name != "gauger.yaml"
)
BAD = "quotas:\n  - {id: q, mode: enforce, limit: {requests: 0}, window: 1m}\n"


def run(*arguments: str):
    return CliRunner().invoke(app, ["policy", *arguments])


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    (tmp_path / "50%,a.yaml").write_text(BAD)
    return tmp_path


@pytest.mark.parametrize("directory", sorted({sample.parent for sample in SAMPLES}))
def test_every_sample_set_is_in_order(directory: Path):
    done = run("check", str(directory))
    assert done.exit_code == 0, done.output
    assert "in order\nsha256:" in done.output


def test_a_fault_is_told_with_its_place_and_an_exit_code(bad: Path):
    done = run("check", str(bad))
    assert done.exit_code == 1
    assert "50%,a.yaml:2:46: quotas[0].limit.requests: " in done.output


def test_a_program_is_told_in_one_line_of_json(bad: Path):
    problems = json.loads(run("check", str(bad), "--format", "json").output)["problems"]
    assert [(p["line"], p["column"]) for p in problems] == [(2, 46)]
    sound = run("check", str(ROOT / "policies"), "--format", "json")
    assert json.loads(sound.output) == {"problems": [], "warnings": []}


def test_github_is_told_in_annotations_whose_texts_are_escaped(bad: Path):
    line = run("check", str(bad), "--format", "github").output.strip()
    assert line.startswith("::error file=")
    assert "50%25%2Ca.yaml,line=2,col=46::quotas[0].limit.requests: " in line


def test_the_schema_is_a_valid_draft_07_schema():
    schema = json.loads(run("schema").output)
    assert schema["$schema"] == DRAFT
    jsonschema.Draft7Validator.check_schema(schema)
    assert "$defs" not in json.dumps(schema)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_the_schema_accepts_every_sample(sample: Path):
    data = parse(sample.name, sample.read_bytes()).data  # as editors read it: a date is text
    jsonschema.Draft7Validator(policy_schema()).validate(data)


@pytest.mark.parametrize(
    "text", [BAD, BAD.replace("enforce", "enforced"), "quota: []\n", BAD.replace("limit", "limt")]
)
def test_the_schema_underlines_what_the_check_refuses(text: str):
    validator = jsonschema.Draft7Validator(policy_schema())
    assert list(validator.iter_errors(yaml.safe_load(text)))


def test_a_fault_in_a_condition_is_shown_in_its_line_and_told_to_programs_in_one(tmp_path: Path):
    file = tmp_path / "a.yaml"
    rule = BAD.replace("requests: 0", "requests: 1").replace("}\n", "")
    file.write_text(f"{rule}, match: 'account.teir == \"a\"'}}\n")
    message = 'there is no fact "account.teir" (did you mean "account.tier"?)'
    done = run("check", str(tmp_path))
    assert done.exit_code == 1
    place, source, caret = done.output.rstrip("\n").split("\n")
    assert place == f"{file}:2:70: {message}"
    assert source[caret.index("^") :].startswith("account.teir")
    assert run("check", str(tmp_path), "--format", "github").output.count("\n") == 1
    (problem,) = json.loads(run("check", str(tmp_path), "--format", "json").output)["problems"]
    assert problem == {"file": str(file), "line": 2, "column": 70, "message": message}
