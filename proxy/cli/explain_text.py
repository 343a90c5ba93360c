"""An explanation in words, for a terminal or for a file."""

from collections.abc import Iterator

from rich.text import Text

from proxy.cli.terminal import printable
from proxy.engine.refusal import shown
from proxy.model.verdict import Unit
from proxy.trial.explanation import (
    Clause,
    Counted,
    Decided,
    Explained,
    ExplainedException,
    Explanation,
    Mark,
    Value,
)

SIGNS = {
    Mark.TRUE: ("✓", "green"),
    Mark.FALSE: ("✗", "red"),
    Mark.MISSING: ("?", "yellow"),
    Mark.FAILED: ("!", "magenta"),
    Mark.WITHHELD: ("·", "cyan"),
}
LEGEND = {
    Mark.MISSING: "a fact is not known",
    Mark.FAILED: "it cannot be evaluated",
    Mark.WITHHELD: "nobody can tell now: a fact cannot be read any more",
}
_VERDICTS = {"allow": "green", "delay": "yellow", "step_up": "red", "throttle": "red"}
SHOWN = 6  # values of a fact that is a list


def lines_of(explanation: Explanation, *, everything: bool) -> Iterator[Text]:
    """What decided, then each rule by kind; those that do not govern with `everything` only."""
    yield from _decided(explanation.decided)
    if explanation.asked:
        yield from _asked(explanation, everything=everything)
    if everything:
        yield from _heading("facts")
        yield from (Text(f"  {f} {printable(_value(v))}", "dim") for f, v in explanation.facts)


def _asked(explanation: Explanation, *, everything: bool) -> Iterator[Text]:
    exceptions = [e for e in explanation.exceptions if everything or e.relevant]
    rules = [rule for rule in explanation.rules if everything or rule.relevant]
    if exceptions:
        yield from _heading("exceptions")
    for exception in exceptions:
        yield from _exception(exception)
    kind = ""
    for rule in rules:
        if rule.kind != kind:
            kind = rule.kind
            yield from _heading(kind)
        yield from _rule(rule)
    left = len(explanation.rules) + len(explanation.exceptions) - len(rules) - len(exceptions)
    yield from _legend([*exceptions, *rules])
    if left:
        yield Text()
        what = "rule does" if left == 1 else "rules do"
        yield Text(f"{left} more {what} not govern this exchange (--all shows them)", "dim")


def _decided(decided: Decided) -> Iterator[Text]:
    word = decided.verdict.upper()
    style = f"bold {_VERDICTS.get(decided.verdict, 'red')}"
    yield Text.assemble((word, style), "  ", printable(decided.why))
    if decided.own_check:
        yield Text(f"  by a check of Gauger's own ({decided.own_check}), not by a rule")
    if decided.by_cluster:
        yield Text("  it rests on recognizing the caller, who is not told so")
    if decided.delay_s:
        yield Text(f"  delayed by {decided.delay_s:g} s")
    if decided.modifiers:
        yield Text(f"  changed: {printable(', '.join(decided.modifiers))}")
    for warning in decided.warnings:
        yield Text(f'  warned: "{printable(warning)}"')
    if told := decided.told:
        words = f'"{printable(told.message)}"' if told.message else "(its words are not recorded)"
        when = f", to come back at {told.retry_at}" if told.retry_at else ""
        never = ", not to be tried again" if told.should_retry is False else ""
        yield Text(f"  told: {told.status} {told.kind}, {words}{when}{never}")


def _heading(title: str) -> Iterator[Text]:
    yield Text()
    yield Text(title, "bold underline")


def _rule(rule: Explained) -> Iterator[Text]:
    by = ("  ← decided", "bold") if rule.decided else ""
    yield Text.assemble("  ", (rule.id, "bold"), f"  {rule.mode}", (f"  {rule.place}", "dim"), by)
    if rule.description:
        yield Text(f"    {printable(rule.description)}", "dim")
    if rule.rests:
        yield Text(f"    does not work now: {rule.rests}", "yellow")
    if rule.lowered:
        yield Text(f"    in shadow here: {rule.lowered}", "yellow")
    if not rule.clauses:
        yield Text.assemble("    ", SIGNS[Mark.TRUE], " governs every exchange")
    for clause in (*rule.clauses, *rule.own):
        yield _clause(clause)
    for counted in rule.counted:
        yield _counted(counted)
    for said in rule.said:
        more = [f"by {said.delay_s:g} s"] if said.delay_s else []
        more += [printable(word) for word in said.modifiers]
        extra = f" ({', '.join(more)})" if more else ""
        yield Text(f"    said in {said.mode}: {said.verdict}{extra}: {printable(said.why)}")


def _exception(exception: ExplainedException) -> Iterator[Text]:
    place = (f"  {exception.place}", "dim")
    yield Text.assemble("  ", (exception.id, "bold"), f"  until {exception.until}", place)
    granted = f"granted by {exception.granted_by}: {exception.reason}"
    yield Text(f"    {printable(granted)}", "dim")
    if exception.rests:
        yield Text(f"    does not work now: {exception.rests}", "yellow")
    for clause in exception.clauses:
        yield _clause(clause)
    if exception.said:
        yield Text(f"    said: {printable(exception.said)}")
    if exception.lowers:
        yield Text(f"    puts in shadow here: {', '.join(exception.lowers)}")


def _clause(clause: Clause) -> Text:
    values = ", ".join(f"{fact} {_value(value)}" for fact, value in clause.facts)
    line = Text.assemble("    ", SIGNS[clause.mark], f" {printable(clause.text)}")
    if values:
        line.append(f"    {printable(values)}", "dim")
    if clause.mark is not Mark.MISSING and clause.why:
        line.append(f"    ({printable(clause.why)})", "dim")
    return line


def _counted(counted: Counted) -> Text:
    unit = Unit(counted.unit)
    amount, limit = shown(unit, counted.amount), shown(unit, counted.limit)
    if counted.before is None:
        said = f" {unit.word}: {amount} asked for, limit {limit}; not counted"
        return Text.assemble("    ", SIGNS[Mark.MISSING], said, " (the store could not answer)")
    total = counted.before + counted.amount
    relation = "≤" if total <= counted.limit else ">"
    sign = SIGNS[Mark.TRUE if counted.fits else Mark.FALSE]
    said = (
        f" room for {unit.word}: {shown(unit, counted.before)} before + {amount} = "
        f"{shown(unit, total)} {relation} {limit} {counted.within}{_partly(counted, unit)}"
    )
    said += f" ({counted.learned})" if counted.learned else ""
    anew = f"    begins anew {counted.resets_at}" if counted.resets_at else ""
    return Text.assemble("    ", sign, said, (anew, "dim"))


def _partly(counted: Counted, unit: Unit) -> str:
    """A limit of which one replica has a share only, and an amount of which a part was given."""
    said = f" (the share of this replica, 1 of {counted.share})" if counted.share > 1 else ""
    if counted.granted is None or counted.granted >= counted.amount:
        return said
    given, amount = shown(unit, counted.granted), shown(unit, counted.amount)
    return f"{said}: given {given} of {amount}"


def _legend(shown: list[Explained | ExplainedException]) -> Iterator[Text]:
    """What the rarer signs mean, where one of them is there."""
    marks = {clause.mark for one in shown for clause in one.clauses}
    marks |= {clause.mark for one in shown if isinstance(one, Explained) for clause in one.own}
    said = [f"{SIGNS[mark][0]} {words}" for mark, words in LEGEND.items() if mark in marks]
    if said:
        yield Text()
        yield Text("; ".join(said), "dim")


def _value(value: Value) -> str:
    match value:
        case None:
            return "not known"
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"' if value == "" or " " in value else value
        case tuple():
            more = f", … {len(value)} in all" if len(value) > SHOWN else ""
            return f"[{', '.join(value[:SHOWN])}{more}]"
        case float():
            return f"{value:.4g}"
        case _:
            return str(value)
