"""`gauger clusters exposure`: what a cluster obtained, from the audit log."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proxy.cli.clusters_options import DEFAULT_CONFIG, Config, Results
from proxy.cli.terminal import bar, console, fail, printable, told_plainly

if TYPE_CHECKING:
    from rich.table import Table

    from proxy.investigate.exposure import Exposure, Reckoning, Row, Tally
    from proxy.investigate.log_lines import LogRead
    from proxy.investigate.reckon import Pricing
    from proxy.settings.schema import Settings

WHICH = "say which cluster, or --all for all of them"
NO_SETTINGS = (
    "warning: no settings at {config}: pseudonyms are read as a replay without configured keys "
    "writes them, and nothing has a price"
)


def exposure(
    name: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The cluster's name, such as c-7f3a.")
    ] = None,
    config: Config = DEFAULT_CONFIG,
    results: Results = None,
    everything: Annotated[bool, typer.Option("--all", help="All clusters.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Also write the records it rests on, to a .json or .csv file."),
    ] = None,
    audit: Annotated[
        Path | None, typer.Option(help="The audit log, instead of the configured one.")
    ] = None,
    accounts: Annotated[
        Path | None, typer.Option(help="Account directory, instead of the configured one.")
    ] = None,
    min_weight: Annotated[
        float, typer.Option(min=0, max=1, help="Only accounts that belong there at least so much.")
    ] = 0.0,
) -> None:
    """Tell what a cluster obtained by model, before and after it was contained.

    It is contained from the first refusal on that rested on it.
    """
    from proxy.facts.pseudonyms import Pseudonyms  # noqa: PLC0415
    from proxy.investigate.export import Export, summary  # noqa: PLC0415
    from proxy.investigate.reckon import Pricing, reckon  # noqa: PLC0415
    from proxy.investigate.sources import source_of  # noqa: PLC0415
    from proxy.settings.load import load  # noqa: PLC0415

    with told_plainly(), ExitStack() as stack:
        if (name is None) != everything:
            raise typer.BadParameter(WHICH)
        source = source_of(config, results, os.environ)
        settings = None
        if results is None or config.exists():
            settings = load(config, os.environ, upstreams=False)
        found = source.found() if name is None else [source.one(name)]
        pseudonyms = Pseudonyms(_key(settings, config, replayed=results is not None))
        pricing = Pricing.of_policies(settings.policies) if settings is not None else None
        export = stack.enter_context(Export(out)) if out is not None else None

        def sink(row: "Row", log: "LogRead") -> None:
            if export is not None:
                export.add(row, log)

        with bar("Reading the audit log", None) as advance:
            reckoning, logs = reckon(
                found,
                audit or source.audit,
                pseudonyms,
                accounts=accounts or (settings.accounts if settings is not None else None),
                pricing=pricing,
                least_weight=min_weight,
                sink=sink,
                progress=lambda done, total: advance(done, "", total),
            )
        for line in _notes(reckoning, pricing):
            typer.echo(line, err=True)
        _print(reckoning, pricing, many=everything)
        if export is not None:
            export.finish(
                summary(
                    reckoning.exposures,
                    logs,
                    unreadable=reckoning.unreadable if reckoning.known else None,
                    unpriced=pricing.unnamed if pricing is not None else None,
                )
            )
            typer.echo(f"{out}: {export.rows:,} exchanges and the records that tell of them")


def _key(settings: "Settings | None", config: Path, *, replayed: bool) -> bytes:
    """The key of pseudonyms that the log was written under."""
    from proxy.settings.secrets import REPLAY_KEY, configured, ensured  # noqa: PLC0415

    if settings is None:
        typer.echo(NO_SETTINGS.format(config=config), err=True)
        return REPLAY_KEY
    if replayed:
        keys = configured(settings, missing=REPLAY_KEY)
        assert keys is not None
        return keys.pseudonym
    if configured(settings) is None and not (settings.state_dir / "keys.json").exists():
        fail(
            f"{settings.state_dir / 'keys.json'}: there is no such file, and secrets.pseudonym_key "
            "is not set: without the gateway's key nobody in its log can be told"
        )
    return ensured(settings).pseudonym


def _notes(reckoning: "Reckoning", pricing: "Pricing | None") -> list[str]:
    """What the reader must know of what could not be counted."""
    notes = []
    if reckoning.unreadable:
        notes.append(
            f"warning: {reckoning.unreadable:,} records name accounts that cannot be told: they "
            "were made under another key of pseudonyms, or of accounts that the directory no "
            "longer has"
        )
    if not reckoning.known:
        notes.append(
            "warning: no account directory: records that were made under another key cannot be "
            "told from those of others (--accounts names one)"
        )
    if pricing is None:
        notes.append("note: the policies have no prices, so that nothing has a cost")
    elif pricing.unnamed:
        named = ", ".join(printable(model) for model in sorted(pricing.unnamed)[:10])
        notes.append(f"warning: no price names these models, priced as the dearest: {named}")
    return notes


def _print(reckoning: "Reckoning", pricing: "Pricing | None", *, many: bool) -> None:
    out = console()
    for number, one in enumerate(reckoning.exposures):
        if number:
            typer.echo()
        for line in _heading(one):
            typer.echo(line)
        out.print(_table(one, priced=pricing is not None, short=many))


def _heading(one: "Exposure") -> list[str]:
    from proxy.investigate.wording import moment_words  # noqa: PLC0415

    contained = (
        f"contained since {moment_words(one.contained_ns)} UTC"
        if one.contained_ns is not None
        else "not contained: no refusal in this log rested on it"
    )
    seen = f"{len(one.seen):,} of its {one.members:,} accounts are in the log"
    unmatched = one.total().unmatched
    lines = [f"{printable(one.cluster)}: {contained}; {seen}"]
    if unmatched:
        lines.append(
            f"  {unmatched:,} exchanges did not show its traits, as their records say: they may be "
            "of somebody whose account it uses"
        )
    return lines


def _table(one: "Exposure", *, priced: bool, short: bool) -> "Table":
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    headings = ["model", "when", "exchanges", "refused", "input", "output"]
    headings += ["cost"] if priced else []
    for heading in (*headings, "first", "last"):
        words = heading in ("model", "when", "first", "last")
        table.add_column(heading, justify="left" if words else "right", no_wrap=True)
    rows = [] if short else sorted(one.by.items())
    for (model, after), tally in rows:
        table.add_row(*_cells(printable(model), after, tally, priced=priced))
    if one.contained_ns is not None:
        for after in (False, True):
            table.add_row(*_cells("all", after, one.total(after=after), priced=priced))
    table.add_row(*_cells("all", None, one.total(), priced=priced), style="bold")
    return table


def _cells(model: str, after: bool | None, tally: "Tally", *, priced: bool) -> list[str]:
    from proxy.investigate.wording import moment_words  # noqa: PLC0415

    when = {False: "before", True: "after", None: "in all"}[after]
    counts = (tally.exchanges, tally.refused, tally.input_tokens, tally.output_tokens)
    cost = [f"{tally.cost / 1_000_000:,.2f}"] if priced else []
    first, last = (moment_words(at or None) for at in (tally.first_ns, tally.last_ns))
    return [model, when, *(f"{count:,}" for count in counts), *cost, first, last]
