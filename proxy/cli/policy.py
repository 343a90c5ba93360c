"""`gauger policy`: policy files checked, tried, explained and compared where they are edited."""

import json
from typing import Annotated

import typer

from proxy.cli.policy_check import check
from proxy.cli.policy_diff import diff
from proxy.cli.policy_explain import explain
from proxy.cli.policy_test import run_tests

app = typer.Typer(no_args_is_help=True, help="Policy files: check, try, explain and compare them.")
app.command()(check)
app.command("test")(run_tests)
app.command()(explain)
app.command()(diff)


@app.command()
def schema(
    cases: Annotated[bool, typer.Option("--cases", help="Of a file of cases.")] = False,
) -> None:
    """Print the JSON Schema (draft-07) of a policy file, for yaml-language-server."""
    from proxy.policy.editor import policy_schema  # noqa: PLC0415
    from proxy.trial.case_editor import case_schema  # noqa: PLC0415

    typer.echo(json.dumps(case_schema() if cases else policy_schema(), indent=2))


@app.command()
def facts() -> None:
    """Print the reference of facts and functions (Markdown) that conditions may name."""
    from proxy.policy.reference import facts_page  # noqa: PLC0415

    typer.echo(facts_page(), nl=False)
