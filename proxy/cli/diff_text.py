"""A difference of two policy sets in words, for a terminal or for a file."""

from collections.abc import Iterator
from datetime import UTC, datetime

from rich.text import Text

from proxy.cli.terminal import printable
from proxy.trial.diff import TrafficDifference
from proxy.trial.flips import Direction, Flip
from proxy.trial.run_diff import Ran
from proxy.trial.tally import RuleTally, Total
from proxy.trial.words import Words

STYLES = {
    Direction.REFUSED: "red",
    Direction.LET_THROUGH: "green",
    Direction.OTHERWISE: "yellow",
}


def changed_lines(words: Words) -> Iterator[Text]:
    """What changed."""
    lines = words.difference.lines()
    yield Text("what changed" if lines else "nothing changed: both sets say the same", "bold")
    for line in lines:
        yield Text(f"  {printable(line)}")


def traffic_lines(ran: Ran, words: Words) -> Iterator[Text]:
    """What came of it over a recording."""
    found = ran.difference
    yield Text()
    yield Text(f"over {found.exchanges:,} exchanges of {found.accounts} accounts", "bold")
    if found.changed_at:
        yield Text(f"  the new set judges from {found.changed_at} on, the old one before", "dim")
    for direction, total in found.totals.items():
        yield Text(f"  {_counted(direction.words, total)}", _style(direction, total))
        if total.reset:
            yield _begun(total)
    for fuse in found.fuses:
        said = f"the fuse of {fuse.rule} blows at {fuse.at}, after {fuse.accounts} accounts"
        yield Text(f"  under the {fuse.side} set {said}", "bold red")
    if ran.skipped:
        lines = "line" if ran.skipped == 1 else "lines"
        yield Text(f"  left out: {ran.skipped:,} {lines} that cannot be read", "yellow")
        yield from (Text(f"    {printable(line)}", "dim") for line in ran.skipped_first[:3])
    yield from _resets(found, words)
    for tally in found.rules:
        yield Text()
        yield from _rule(tally)


def _resets(found: TrafficDifference, words: Words) -> Iterator[Text]:
    if not words.reset or found.changed_at:
        return
    names = ", ".join(words.reset)
    yield Text(f"  when this goes live, these count from nothing: {names}.", "yellow")
    yield Text(
        "    Here both sets count from the start of the recording; --change-at TIME shows what "
        "the loss of the counts does.",
        "dim",
    )


def _rule(tally: RuleTally) -> Iterator[Text]:
    yield Text(tally.rule, "bold")
    changed = tally.changed or ("as it was: its counts, or what others refuse, differ",)
    for line in changed:
        yield Text(f"  {printable(line)}", "dim")
    if tally.reset:
        yield Text(f"  counts from nothing when this goes live: {tally.reset}", "yellow")
    for direction, total in tally.totals.items():
        yield Text(f"  {_counted(direction.words, total)}", STYLES[direction])
        if total.reset:
            yield _begun(total)
        for flip in tally.examples[direction]:
            yield from _example(flip)
    if tally.shadow:
        yield Text(f"  {_counted('newly would refuse, in shadow', tally.shadow)}", "cyan")


def _example(flip: Flip) -> Iterator[Text]:
    at = datetime.fromtimestamp(flip.ts, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    whose = f"account {printable(flip.account)}" if flip.account else "no known account"
    sides = f"{printable(str(flip.old))} → {printable(str(flip.new))}"
    yield Text(f"    {printable(flip.id)}  {at}  {whose}: {sides}")
    for doing in flip.rules:
        yield Text(f"      {doing.side}: {doing.rule}: {printable(doing.why)}", "dim")


def _counted(words: str, total: Total) -> str:
    if not total.exchanges:
        return f"{words}: none"
    exchanges = "exchange" if total.exchanges == 1 else "exchanges"
    accounts = "account" if total.accounts.value == 1 else "accounts"
    said = f"{words}: {total.exchanges:,} {exchanges} of {total.accounts} {accounts}"
    untold = f" and {total.untold:,} without recorded usage" if total.untold else ""
    return f"{said}, {total.tokens:,} tokens{untold}"


def _begun(total: Total) -> Text:
    said = f"    {total.reset:,} of them in the window in which counts began from nothing"
    return Text(said, "yellow")


def _style(direction: Direction, total: Total) -> str:
    return STYLES[direction] if total.exchanges else "dim"
