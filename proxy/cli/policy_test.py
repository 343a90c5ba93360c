"""`gauger policy test`: the cases beside the policies, and what no case guards."""

import time
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from proxy.policy.problem import ProblemsError

if TYPE_CHECKING:
    from proxy.policy.rules import PolicySet
    from proxy.trial.case import Case
    from proxy.trial.guard import Report

QUICK_S = 5.0  # so long mutation may take where nobody asked for it
QUICK_PAIRS = 50_000  # rules times cases: above, even to choose the cases that matter takes long
SOON_S = 1.0  # what takes longer shows a bar

Item = TypeVar("Item")


class Format(StrEnum):
    """How results are told: to people, to programs, or to what reads JUnit's XML."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"


def run_tests(
    directory: Annotated[
        Path, typer.Argument(help="The directory of policy files; cases are in tests/ below it.")
    ],
    how: Annotated[Format, typer.Option("--format", help="How to tell results.")] = Format.TEXT,
    cover: Annotated[
        bool, typer.Option("--cover", help="Fail also where a rule is not guarded by a case.")
    ] = False,
    mutate: Annotated[
        bool | None,
        typer.Option(
            "--mutate/--no-mutate",
            help="Loosen each rule and see whether a case notices; by default if all cases pass "
            "and that is quick, and with --cover.",
        ),
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Run the cases whose name has this text, and nothing else.")
    ] = None,
) -> None:
    """Run the cases beside the policies; exit code 1 if one does not come out as expected."""
    from proxy.cli.policy_test_formats import problems_as, report_as  # noqa: PLC0415
    from proxy.trial.cases import load_set  # noqa: PLC0415

    if only is not None and (cover or mutate):
        message = "what no case guards is seen with all cases only: leave --cover and --mutate out"
        raise typer.BadParameter(message, param_hint="--only")
    try:
        policy, cases = load_set(directory)
        chosen = [case for case in cases if only is None or only in case.title]
        if not chosen:
            message = f'no case has a name with "{only}" in it'
            raise typer.BadParameter(message, param_hint="--only")
    except ProblemsError as error:
        typer.echo(problems_as(how.value, error.problems), err=how is Format.TEXT)
        raise typer.Exit(1) from None
    wanted = False if only is not None else (mutate if mutate is not None or not cover else True)
    report = _run(policy, chosen, mutate=wanted, whole=only is None)
    typer.echo(report_as(how.value, report, cover=cover), nl=False)
    raise typer.Exit(0 if report.in_order(cover=cover) else 1)


def _run(
    policy: "PolicySet", cases: Sequence["Case"], *, mutate: bool | None, whole: bool
) -> "Report":
    """Run the cases; the mutants too where asked for, or (None) where that is quick."""
    from proxy.trial.compare_case import compared  # noqa: PLC0415
    from proxy.trial.guard import Report, attempts, noticed, unexercised  # noqa: PLC0415
    from proxy.trial.run_cases import Trial, Worlds  # noqa: PLC0415

    worlds = Worlds()
    trial = Trial(policy, worlds)
    began_s = time.perf_counter()
    results = tuple(compared(trial.run(case)) for case in _watched("Cases", cases))
    each_s = (time.perf_counter() - began_s) / len(cases)
    if not whole:
        return Report(policy, results)
    rules = unexercised(policy, results)
    if mutate is None and len(policy.rules) * len(results) > QUICK_PAIRS:
        mutate = False
    if mutate is None and not all(result.passed for result in results):
        mutate = False  # a failing case guards nothing yet: what no other notices is no news
    tries = attempts(policy, results) if mutate is not False else ()
    runs = sum(len(attempt.results) for attempt in tries)
    if mutate is False or (mutate is None and runs * each_s > QUICK_S):
        return Report(policy, results, rules)
    survivors = tuple(a.mutant for a in _watched("Mutants", tries) if not noticed(a, worlds))
    return Report(policy, results, rules, survivors, len(tries))


def _watched(title: str, items: Sequence[Item]) -> Iterator[Item]:
    """The items one by one; at a terminal with a bar on standard error, once it takes long."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = progress.add_task(title, total=len(items))
    began_s = time.perf_counter()
    started = False
    try:
        for done, item in enumerate(items):
            if not started and time.perf_counter() - began_s > SOON_S:
                started = True
                progress.start()
            progress.update(task, completed=done)
            yield item
    finally:
        if started:
            progress.stop()
