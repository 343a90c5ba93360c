"""`gauger clusters show`: one cluster, its evidence in words, its life and its members."""

import json
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proxy.cli.clusters_list import row
from proxy.cli.clusters_options import DEFAULT_CONFIG, Config, Json, Name, Results, plain
from proxy.cli.terminal import console, printable, told_plainly
from proxy.model.cluster import ClusterEvent
from proxy.model.finding import Finding

if TYPE_CHECKING:
    from rich.text import Text

    from proxy.investigate.found import Found
    from proxy.investigate.life import Moment

SHOWN = 10  # members, and moments, without --all


def show(
    name: Name,
    config: Config = DEFAULT_CONFIG,
    results: Results = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every member and every event.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show one cluster: what joins it, how it grew, and who is in it."""
    from proxy.investigate.sources import source_of  # noqa: PLC0415

    with told_plainly():
        source = source_of(config, results, os.environ)
        found = source.one(name)
        events, said = source.events_of(found), source.findings_of(found)
        if as_json:
            typer.echo(json.dumps(_json(found, events, said), indent=2, ensure_ascii=False))
            return
        out = console()
        for line in _lines(found, events, said, everything=everything):
            out.print(line)


def _json(
    found: "Found", events: Sequence[ClusterEvent], said: Sequence[Finding]
) -> dict[str, Any]:
    from proxy.investigate.wording import iso  # noqa: PLC0415

    return row(found) | {
        "parents": list(found.cluster.parents),
        "evidence": [plain(one) for one in found.evidence],
        "members": [{"account": name, "weight": weight} for name, weight in found.members],
        "shows": {trait: list(names) for trait, names in found.shows.items()},
        "samples": list(found.samples),
        "events": [{**plain(one), "at": iso(one.at_ns)} for one in events],
        "findings": [plain(one) for one in said],
    }


def _lines(
    found: "Found", events: Sequence[ClusterEvent], said: Sequence[Finding], *, everything: bool
) -> Iterator["Text"]:
    from rich.text import Text  # noqa: PLC0415

    from proxy.investigate.wording import moment_words, use_words  # noqa: PLC0415

    cluster = found.cluster
    accounts = "1 account" if cluster.accounts == 1 else f"{cluster.accounts:,} accounts"
    facts = f"  {cluster.state.value}, score {cluster.score:.2f}, {accounts}"
    yield Text.assemble((printable(found.id), "bold"), facts)
    yield Text(
        f"  opened {moment_words(found.opened_ns)}, last seen {moment_words(found.seen_ns)} (UTC)"
    )
    if found.use:
        yield Text(f"  used together in a day: {printable(use_words(found))}")
    if cluster.parents:
        yield Text(f"  carries on {printable(', '.join(cluster.parents))}")
    yield from _evidence(found)
    yield from _life(found, events, everything=everything)
    yield from _said(said)
    yield from _members(found, everything=everything)
    yield from _samples(found)


def _evidence(found: "Found") -> Iterator["Text"]:
    from rich.text import Text  # noqa: PLC0415

    from proxy.investigate.wording import evidence_words, trait_words  # noqa: PLC0415

    families = found.families
    agree = "family agrees" if len(families) == 1 else "families agree"
    yield from _heading(f"evidence ({len(families)} {agree})")
    if not found.evidence:
        yield Text("  none is written down")
    ordered = sorted(found.evidence, key=lambda one: (one.family, -one.accounts, one.trait))
    for one in ordered:
        trait = printable(trait_words(one.trait))
        yield Text.assemble("  ", (printable(one.family), "cyan"), " · ", (trait, "bold"))
        # What it says by itself with the numbers is not said twice.
        whole = f"{one.accounts} of " in one.why.replace(",", "")
        words = one.why if whole else evidence_words(one, found.cluster.accounts)
        yield Text(f"    {printable(words)} (lift {_lift(one.lift)})")
        if one.why and not whole:
            yield Text(f"    {printable(one.why)}", "dim")


def _life(found: "Found", events: Sequence[ClusterEvent], *, everything: bool) -> Iterator["Text"]:
    from rich.text import Text  # noqa: PLC0415

    from proxy.investigate.life import moments, spark, steps  # noqa: PLC0415
    from proxy.investigate.wording import moment_words  # noqa: PLC0415

    yield from _heading("time line (UTC)")
    told = moments(found.id, events, each=everything)
    if not told:
        yield Text("  no events are written down")
        return
    counted = steps(found.id, events)
    if counted:
        until = max(found.seen_ns or 0, counted[-1].at_ns)
        most = max(step.accounts for step in counted)
        yield Text.assemble("  ", (spark(counted, until), "green"), f"  at most {most:,} accounts")
        yield Text(f"  {moment_words(counted[0].at_ns):<32}{moment_words(until):>16}", "dim")
    hidden = 0 if everything else max(0, len(told) - 2 * SHOWN)
    for number, moment in enumerate(told):
        if not hidden or number < SHOWN or number >= len(told) - SHOWN:
            yield Text(f"  {_moment(moment)}")
        elif number == SHOWN:
            yield Text(f"  … {hidden:,} more (--all shows them)", "dim")


def _moment(moment: "Moment") -> str:
    from proxy.investigate.wording import moment_words  # noqa: PLC0415

    begin, end = moment_words(moment.from_ns), moment_words(moment.until_ns)
    if moment.times > 1:
        begin += f" to {end[11:] if end[:10] == begin[:10] else end[5:]}"
    times = f" {moment.times} times" if moment.times > 1 else ""
    count = f" +{moment.came:,}" if moment.came else ""
    count += f" -{moment.went:,}" if moment.went else ""
    other = f" with {printable(moment.other)}" if moment.other else ""
    said = f"{moment.kind.value}{times}{count}{other}"
    return f"{begin:<32}{said:<26}{moment.state.value}, score {moment.score:.2f}"


def _said(said: Sequence[Finding]) -> Iterator["Text"]:
    from rich.text import Text  # noqa: PLC0415

    from proxy.investigate.wording import moment_words  # noqa: PLC0415

    if said:
        yield from _heading("what investigators said (UTC)")
    for one in said:
        count = f" {len(one.accounts):,} accounts" if one.accounts else ""
        why = f": {one.why}" if one.why else ""
        at = moment_words(round(one.at * 1_000_000_000))
        yield Text(printable(f"  {at}  {one.who}  {one.action.value}{count}{why}"))


def _members(found: "Found", *, everything: bool) -> Iterator["Text"]:
    from rich.text import Text  # noqa: PLC0415

    yield from _heading("members, the surest first")
    shown = found.members if everything else found.members[:SHOWN]
    for name, weight in shown:
        yield Text(f"  {'-' if weight is None else f'{weight:.2f}':>5}  {printable(name)}")
    if len(found.members) > len(shown):
        more = len(found.members) - len(shown)
        yield Text(f"  … {more:,} more (--all shows them)", "dim")


def _samples(found: "Found") -> Iterator["Text"]:
    from rich.text import Text  # noqa: PLC0415

    yield from _heading("sample skeletons")
    if not found.samples:
        yield Text("  none are kept: text of prompts never leaves the gateway by itself")
    for sample in found.samples:
        yield Text(f"  {printable(sample)}")


def _heading(title: str) -> Iterator["Text"]:
    from rich.text import Text  # noqa: PLC0415

    yield Text()
    yield Text(title, "bold underline")


def _lift(lift: float) -> str:
    from proxy.investigate.wording import rounded  # noqa: PLC0415

    return f"{rounded(lift, 3):,}" if lift >= 100 else f"{lift:.3g}"
