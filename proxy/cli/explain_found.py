"""An exchange that was found and explained, told as text or as JSON."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import typer
from rich.text import Text

from proxy.cli.explain_text import lines_of
from proxy.cli.terminal import console, printable
from proxy.trial.explanation import Explanation
from proxy.trial.sources import (
    FromRecord,
    Inputs,
    explain_facts,
    explain_record,
    explain_recording,
)


@dataclass(frozen=True, slots=True)
class Found:
    """An explanation, of which exchange it is, and what else is to be told about it."""

    explanation: Explanation
    source: str
    exchange: str | None = None
    account: str | None = None
    record: FromRecord | None = None


def found_in_recording(
    inputs: Inputs,
    traffic: Path,
    exchange: str | None,
    policies: str | None,
    progress: Callable[[int, int], None],
) -> Found:
    """An exchange of a recording."""
    judged, explanation = explain_recording(inputs, traffic, exchange, policies, progress)
    return Found(explanation, "traffic", judged.recorded.id, judged.account)


def found_in_record(config: Path, exchange: str, environment: Mapping[str, str]) -> Found:
    """An exchange of the audit log."""
    record = explain_record(config, exchange, environment)
    return Found(record.again.explanation, "audit", exchange, record.account, record)


def found_of_facts(policies: Path, facts: Path, now_ns: int) -> Found:
    """What is known of an exchange."""
    return Found(explain_facts(policies, facts, now_ns), "facts")


def tell(found: Found, *, as_json: bool, everything: bool) -> None:
    """Print it."""
    if as_json:
        typer.echo(json.dumps(_as_json(found, everything), indent=2, ensure_ascii=False))
        return
    out = console()
    for line in _lines(found, everything=everything):
        out.print(line, soft_wrap=not out.is_terminal)


def _lines(found: Found, *, everything: bool) -> Iterator[Text]:
    about = [found.exchange or "", found.explanation.at]
    if found.account:
        about.append(f"account {found.account}")
    yield Text("  ".join(printable(part) for part in about if part), "bold")
    yield Text(f"by {found.explanation.policy}", "dim")
    if found.record:
        yield from _again(found.record)
    yield Text()
    yield from lines_of(found.explanation, everything=everything)


def _again(record: FromRecord) -> Iterator[Text]:
    """Whether the recorded facts give the recorded decision."""
    again = record.again
    if not again.explanation.asked:
        yield Text("refused before any rule was asked; that is not judged again")
    elif again.differs:
        yield Text("judged again from its record, it comes out differently:", "bold red")
        for name, was, is_now in again.differs:
            was_text, now_text = (_short(value) for value in (was, is_now))
            yield Text(f"  {name}: recorded {was_text}, again {now_text}", "red")
    else:
        yield Text("judged again from its record: the same decision", "green")
    if again.taken:
        yield Text(f"  as the record has it, for nobody can tell now: {', '.join(again.taken)}")
    if record.completion:
        fields = record.completion.fields
        ended = f"ended with status {fields.get('status')} after {fields.get('duration_ms')} ms"
        yield Text(f"{ended}; used {_short(fields.get('usage'))}", "dim")


def _short(value: Any) -> str:
    return printable(json.dumps(value, ensure_ascii=False)) if value is not None else "nothing"


def _as_json(found: Found, everything: bool) -> Mapping[str, Any]:
    shown = found.explanation
    if not everything:
        rules = tuple(rule for rule in shown.rules if rule.relevant)
        exceptions = tuple(one for one in shown.exceptions if one.relevant)
        shown = replace(shown, rules=rules, exceptions=exceptions)
    said: dict[str, Any] = {"source": found.source, "exchange": found.exchange}
    said |= {"account": found.account, **msgspec.to_builtins(shown, str_keys=True)}
    said["rules_left_out"] = len(found.explanation.rules) - len(shown.rules)
    if record := found.record:
        again = record.again
        differs = [{"what": w, "recorded": r, "again": a} for w, r, a in again.differs]
        judged = {"judged": again.explanation.asked, "same": not differs, "differs": differs}
        said["again"] = judged | {"as_recorded": list(again.taken)}
        said["completion"] = dict(record.completion.fields) if record.completion else None
    return said
