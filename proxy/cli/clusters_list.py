"""`gauger clusters list`: the clusters that the detector states, as a table or as JSON."""

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from proxy.cli.clusters_options import DEFAULT_CONFIG, Config, Json, Results
from proxy.cli.terminal import told_plainly
from proxy.model.cluster import ClusterState

if TYPE_CHECKING:
    from rich.table import Table

    from proxy.investigate.found import Found

COLUMNS = ("cluster", "state", "score", "accounts", "families", "opened", "last seen", "daily use")
NUMBERS = ("score", "accounts")


def listed(
    config: Config = DEFAULT_CONFIG,
    results: Results = None,
    state: Annotated[
        list[ClusterState] | None, typer.Option(help="Only clusters in this state; repeatable.")
    ] = None,
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help="Only clusters that are at least so sure.")
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """List the clusters that the detector found, the surest first."""
    from proxy.investigate.sources import source_of  # noqa: PLC0415

    with told_plainly():
        source = source_of(config, results, os.environ)
        every = source.found()
        states = state or list(ClusterState)
        found = [
            one for one in every if one.cluster.state in states and one.cluster.score >= min_score
        ]
        if as_json:
            typer.echo(json.dumps([row(one) for one in found], indent=2, ensure_ascii=False))
            return
        _print(found, len(every))


def row(found: "Found") -> dict[str, Any]:
    """A cluster in a list, for programs."""
    from proxy.investigate.wording import iso  # noqa: PLC0415

    return {
        "cluster": found.id,
        "state": found.cluster.state.value,
        "score": round(found.cluster.score, 4),
        "accounts": found.cluster.accounts,
        "families": list(found.families),
        "opened": iso(found.opened_ns),
        "last_seen": iso(found.seen_ns),
        "daily_use": dict(found.use),
    }


def _print(found: Sequence["Found"], every: int) -> None:
    from proxy.cli.terminal import console  # noqa: PLC0415

    if found:
        console().print(_table(found))
    hidden = f" ({every - len(found):,} more do not match)" if every > len(found) else ""
    accounts = len({name for one in found for name, _ in one.members})
    clusters = "1 cluster" if len(found) == 1 else f"{len(found):,} clusters"
    typer.echo(f"{clusters} of {accounts:,} accounts{hidden}")


def _table(found: Sequence["Found"]) -> "Table":
    from rich.table import Table  # noqa: PLC0415

    from proxy.cli.terminal import printable  # noqa: PLC0415
    from proxy.investigate.wording import moment_words, use_words  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in COLUMNS:
        justify: Literal["left", "right"] = "right" if heading in NUMBERS else "left"
        table.add_column(heading, justify=justify, no_wrap=heading in COLUMNS[:4])
    for one in found:
        table.add_row(
            printable(one.id),
            one.cluster.state.value,
            f"{one.cluster.score:.2f}",
            f"{one.cluster.accounts:,}",
            printable(" ".join(one.families)) or "-",
            moment_words(one.opened_ns),
            moment_words(one.seen_ns),
            printable(use_words(one)),
        )
    return table
