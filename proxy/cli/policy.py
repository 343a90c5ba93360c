"""`gauger policy`: checking policy files where they are edited, and a schema for the editor."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from proxy.policy.problem import Problem

app = typer.Typer(no_args_is_help=True, help="Policy files: check them, and help editors.")


class Format(StrEnum):
    """How faults are told: to people, to programs, or as annotations of GitHub Actions."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


@app.command()
def check(
    directory: Annotated[Path, typer.Argument(help="The directory of policy files.")],
    how: Annotated[Format, typer.Option("--format", help="How to tell faults.")] = Format.TEXT,
) -> None:
    """Compile a directory's policies and tell every fault; exit code 1 if there is one."""
    from proxy.policy.load import load  # noqa: PLC0415
    from proxy.policy.problem import ProblemsError  # noqa: PLC0415

    problems: tuple[Problem, ...] = ()
    said = ""
    try:
        policy = load(directory)
        said = f"{directory}: {len(policy.rules)} rules in {len(policy.files)} files, in order"
    except ProblemsError as error:
        problems = error.problems
    for line in told(problems, how):
        typer.echo(line)
    if how is Format.TEXT and not problems:
        typer.echo(f"{said}\n{policy.digest}")
    raise typer.Exit(1 if problems else 0)


@app.command()
def schema() -> None:
    """Print the JSON Schema (draft-07) of a policy file, for yaml-language-server."""
    from proxy.policy.editor import policy_schema  # noqa: PLC0415

    typer.echo(json.dumps(policy_schema(), indent=2))


def told(problems: tuple[Problem, ...], how: Format) -> list[str]:
    """The lines that tell problems; of JSON there is one, whether or not there are problems."""
    match how:
        case Format.TEXT:
            return [str(problem) for problem in problems]
        case Format.GITHUB:
            return [_annotation(problem) for problem in problems]
        case Format.JSON:
            rows = [
                {"file": p.file, "line": p.line, "column": p.column, "message": p.message}
                for p in problems
            ]
            return [json.dumps({"problems": rows}, ensure_ascii=False)]


def _annotation(problem: Problem) -> str:
    """A workflow command of GitHub Actions; in its texts %, CR and LF are escaped."""
    message = problem.message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    file = problem.file.replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
    place = f",line={problem.line},col={problem.column}" if problem.line else ""
    return f"::error file={file}{place}::{message}"
