from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli.main import app
from proxy.model.facts import CATALOGUE
from proxy.policy.cel import Environment
from proxy.policy.cel.functions import HELPERS, STANDARD
from proxy.policy.reference import EXAMPLES, facts_page

PAGE = Path(__file__).parents[2] / "docs" / "facts.md"
LISTS = {"embargoed": ("CU", "IR"), "partners": ("acme",)}
FUNCTIONS = [*(helper.function for helper in HELPERS.values()), *STANDARD.values()]


def test_the_page_in_docs_is_what_the_command_prints():
    printed = CliRunner().invoke(app, ["policy", "facts"])
    assert printed.exit_code == 0
    assert printed.output == facts_page()
    renew = "docs/facts.md is not current; renew it: gauger policy facts > docs/facts.md"
    assert PAGE.read_text() == facts_page(), renew


def test_the_page_has_every_fact_and_every_function():
    page = facts_page()
    for name in CATALOGUE:
        assert f"| `{name}` |" in page
    for function in FUNCTIONS:
        assert f"| `{function.usage}` |" in page


@pytest.mark.parametrize("text", [text for text, _ in EXAMPLES])
def test_every_example_compiles(text: str):
    assert text in facts_page()
    assert Environment(LISTS).compile(text)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_the_usage_of_every_function_compiles_and_uses_it(function):
    assert Environment(LISTS).compile(function.usage)
    assert f"{function.name}(" in function.usage
    assert function.method is (f".{function.name}(" in function.usage)
