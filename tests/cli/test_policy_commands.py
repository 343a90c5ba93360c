import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from proxy.cli.main import app
from proxy.policy.editor import DRAFT, policy_schema

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "policies").rglob("*.yaml"))
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
    assert json.loads(sound.output) == {"problems": []}


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
    jsonschema.Draft7Validator(policy_schema()).validate(yaml.safe_load(sample.read_text()))


@pytest.mark.parametrize(
    "text", [BAD, BAD.replace("enforce", "enforced"), "quota: []\n", BAD.replace("limit", "limt")]
)
def test_the_schema_underlines_what_the_check_refuses(text: str):
    validator = jsonschema.Draft7Validator(policy_schema())
    assert list(validator.iter_errors(yaml.safe_load(text)))
