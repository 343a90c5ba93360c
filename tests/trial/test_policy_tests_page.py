"""What docs/policy-tests.md shows is so: its set loads, its cases pass, its tables are complete."""

import re
from pathlib import Path
from textwrap import indent

import pytest

from proxy.trial.case_schema import CaseSpec, ExchangeSpec
from proxy.trial.cases import load_set
from proxy.trial.compare_case import compared
from proxy.trial.expect_schema import ExpectSpec
from proxy.trial.run_cases import Trial

PAGE = (Path(__file__).parents[2] / "docs" / "policy-tests.md").read_text()
FENCES = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
WORLD = {"accounts", "places", "anonymizers"}


def test_the_cases_of_the_page_pass_against_its_set(tmp_path: Path):
    policy_text, cases_text, *fragments = FENCES
    directory = tmp_path / "policies"
    (directory / "tests").mkdir(parents=True)
    (directory / "rules.yaml").write_text(policy_text)
    every = cases_text + "".join(indent(fragment, "  ") for fragment in fragments)
    (directory / "tests" / "rules.yaml").write_text(every)
    policy, cases = load_set(directory)
    trial = Trial(policy)
    results = [compared(trial.run(case)) for case in cases]
    assert [result.differences for result in results] == [()] * len(cases)
    assert len(cases) > len(fragments)
    assert policy_text.startswith("# policies/rules.yaml\n")


@pytest.mark.parametrize(
    ("spec", "elsewhere"),
    [(CaseSpec, WORLD), (ExpectSpec, set()), (ExchangeSpec, {"id"})],
)
def test_every_key_stands_in_a_table_of_the_page(spec, elsewhere: set[str]):
    first_cells = re.findall(r"^\| (.*?) \|", PAGE, re.MULTILINE)
    named = {name for cell in first_cells for name in re.findall(r"`(\w+)", cell)}
    assert set(spec.model_fields) - named == elsewhere
