"""Results of `gauger policy test` for people: a table, the failures, and what no case guards."""

import sys
from collections.abc import Iterable, Iterator
from itertools import groupby

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from proxy.cli.terminal import WIDE, printable
from proxy.engine.refusal import shown
from proxy.engine.wording import asked, within
from proxy.model.plan import Charge, Reading
from proxy.model.verdict import Mode
from proxy.trial.compare_case import Result, spoken_in
from proxy.trial.guard import Report
from proxy.trial.mutate import Mutant
from proxy.trial.told import Said


def report_text(report: Report) -> str:
    """Everything about a run, folded and coloured for a terminal if there is one."""
    parts: list[RenderableType] = [_cases(report.results)]
    for result in report.failed:
        parts += ["", *_failure(result)]
    if report.unexercised:
        parts += ["", Text("No case exercises", style="bold")]
        parts += [_indented(_rows((id_,) for id_ in report.unexercised))]
    if report.survivors:
        parts += ["", Text("No case would notice if", style="bold")]
        parts += [_indented(_survivors(report.survivors))]
    parts += ["", Text(_summary(report), style="bold")]
    return _rendered(Group(*parts), terminal=sys.stdout.isatty())


def failure_text(result: Result) -> str:
    """One failure, in plain text."""
    return _rendered(Group(*_failure(result)), terminal=False)


def _rendered(what: RenderableType, *, terminal: bool) -> str:
    console = Console(width=None if terminal else WIDE, force_terminal=terminal, highlight=False)
    with console.capture() as captured:
        console.print(what)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    return "\n".join(lines) + "\n"


def _cases(results: Iterable[Result]) -> Table:
    """A line for each case; of one that is run with several values, for those that fail."""
    table = _grid()
    for _, group in groupby(results, key=_place):
        one = list(group)
        failed = [result for result in one if not result.passed]
        for result in failed:
            table.add_row(Text("FAIL", style="bold red"), _text(result.case.title), _dim(result))
        if passed := len(one) - len(failed):
            times = f" (with {passed} values)" if len(one) > 1 else ""
            word = Text("ok", style="green")
            table.add_row(word, _text(one[0].case.name + times), _dim(one[0]))
    return table


def _dim(result: Result) -> Text:
    return Text(_place(result), style="dim")


def _place(result: Result) -> str:
    place = result.case.place
    return f"{place.file}:{place.line}"


def _failure(result: Result) -> Iterator[RenderableType]:
    """What was wanted, what came, and what each rule said about it."""
    place = (_place(result), "bold")
    yield Text.assemble(("FAIL ", "bold red"), place, " ", _text(result.case.title))
    steps = sorted({difference.step for difference in result.differences})
    for step in steps:
        if len(result.ran.said) > 1:
            yield _indented(Text(f"exchange {step + 1} of {len(result.ran.said)}", style="bold"))
        table = _grid("", "wanted", "came")
        for difference in result.differences:
            if difference.step == step:
                table.add_row(*map(_text, (difference.what, difference.wanted, difference.came)))
        yield _indented(table)
        yield _indented(Text("what the rules said", style="bold"))
        said = list(_said(result.ran.said[step]))
        yield _indented(_rows(said) if said else Text("nothing"), 4)


def _said(said: Said) -> Iterator[tuple[str, ...]]:
    """What each rule said, what it counted, and what lowered it to shadow."""
    decision = said.decision
    for mode in Mode:
        for outcome in spoken_in(mode, said):
            changes = " ".join(outcome.modifiers.words())
            does = f"{outcome.verdict.word} {changes}".strip()
            yield mode.value, outcome.rule, does, outcome.why
    for charge, reading in zip(said.weighed.plan.charges, said.readings.readings, strict=False):
        limit = charge.limit // reading.share
        counted = asked(charge.unit, reading.before, charge.amount, limit, within(charge))
        yield f"count, {charge.mode.value}", charge.rule, _room(charge, reading), counted
    for lowered in said.weighed.plan.lowered:
        yield "lowered", lowered.rule, lowered.cause.value, lowered.exception
    if decision.refusal is not None:
        yield "told", "", str(said.status), decision.refusal.message


def _room(charge: Charge, reading: Reading) -> str:
    """Whether there was room for a charge, or for how much of it."""
    granted = charge.granted(reading.before, reading.share)
    if granted is None:
        return "no room"
    return "room" if granted == charge.amount else f"room for {shown(charge.unit, granted)}"


def _survivors(mutants: Iterable[Mutant]) -> Table:
    """A line for each way in which a rule could be changed, with what to write."""
    parts: dict[tuple[str, str], list[str]] = {}
    write: dict[tuple[str, str], str] = {}
    for mutant in mutants:
        key = (mutant.rule, mutant.what)
        parts.setdefault(key, []).append(mutant.of)
        write[key] = mutant.write
    table = _grid()
    for (rule, what), of in parts.items():
        done = f"{what} {', '.join(filter(None, of))}".strip()
        advice = _text(f"write: {write[rule, what]}")
        advice.stylize("dim")
        table.add_row(_text(rule), _text(done), advice)
    return table


def _summary(report: Report) -> str:
    failed = len(report.failed)
    said = [_counted(len(report.results), "case", f"{failed} failed" if failed else "all passed")]
    if report.unexercised is not None:
        rules = len(report.policy.rules) + len(report.policy.exceptions)
        left = len(report.unexercised)
        said.append(_counted(rules, "rule", f"{left} not exercised" if left else "all exercised"))
    if report.survivors is not None:
        left = len(report.survivors)
        outcome = f"{left} not noticed" if left else "all noticed"
        said.append(_counted(report.tried, "mutant", outcome))
    elif report.unexercised is not None:
        said.append("mutants not tried (--mutate)")
    return "; ".join(said)


def _counted(count: int, what: str, outcome: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}, {outcome}"


def _grid(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, show_header=bool(headings), header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _rows(rows: Iterable[tuple[str, ...]]) -> Table:
    table = _grid()
    for row in rows:
        table.add_row(*map(_text, row))
    return table


def _indented(what: RenderableType, columns: int = 2) -> Padding:
    return Padding(what, (0, 0, 0, columns), expand=False)


def _text(text: str) -> Text:
    """Text as it is, without what a terminal could take for a command."""
    return Text(printable(text))
