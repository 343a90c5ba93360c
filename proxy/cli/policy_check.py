"""`gauger policy check`: every fault of a directory's policies, then what looks wrong."""

import json
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from proxy.policy.problem import Problem, ProblemsError

Problems = tuple[Problem, ...]


class Format(StrEnum):
    """How faults are told: to people, to programs, or as annotations of GitHub Actions."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def check(
    directory: Annotated[Path, typer.Argument(help="The directory of policy files.")],
    how: Annotated[Format, typer.Option("--format", help="How to tell faults.")] = Format.TEXT,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail, too.")] = False,
    against: Annotated[
        Path | None,
        typer.Option(help="The directory as it was: warn of counters that begin from nothing."),
    ] = None,
) -> None:
    """Compile a directory's policies; tell every fault, then what looks wrong.

    Exit code 1 if there is a fault, or with --strict a warning.
    """
    from proxy.policy.lint import lint  # noqa: PLC0415
    from proxy.policy.load import load, passed_over  # noqa: PLC0415

    problems: Problems = ()
    warnings: Problems = ()
    said = ""
    try:
        policy = load(directory)
        before = load(against) if against else None
        warnings = (*lint(policy, time.time_ns(), before), *passed_over(directory))
        counted = f"{_many(len(policy.rules), 'rule')} in {_many(len(policy.files), 'file')}"
        said = f"{directory}: {counted}, {_state(warnings)}\n{policy.digest}"
    except ProblemsError as error:
        problems = error.problems
    for line in told(problems, warnings, how):
        typer.echo(line)
    if how is Format.TEXT and not problems:
        typer.echo(said)
    raise typer.Exit(1 if problems or (strict and warnings) else 0)


def _state(warnings: Problems) -> str:
    return _many(len(warnings), "warning") if warnings else "in order"


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def told(problems: Problems, warnings: Problems, how: Format) -> list[str]:
    """The lines that tell problems and warnings; of JSON there is one, also where all is well."""
    match how:
        case Format.TEXT:
            return [*map(str, problems), *(f"warning: {warning}" for warning in warnings)]
        case Format.GITHUB:
            faults = [_annotation("error", problem) for problem in problems]
            return faults + [_annotation("warning", warning) for warning in warnings]
        case Format.JSON:
            rows = {"problems": _rows(problems), "warnings": _rows(warnings)}
            return [json.dumps(rows, ensure_ascii=False)]


def _rows(problems: Problems) -> list[dict[str, str | int]]:
    return [
        {"file": p.file, "line": p.line, "column": p.column, "message": p.message} for p in problems
    ]


def _annotation(level: str, problem: Problem) -> str:
    """A workflow command of GitHub Actions; in its texts %, CR and LF are escaped."""
    message = problem.message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    file = problem.file.replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
    place = f",line={problem.line},col={problem.column}" if problem.line else ""
    return f"::{level} file={file}{place}::{message}"
