"""`python -m bench.rush`: never one too many. See bench/README.md."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console

from bench.report import machine, table
from bench.rush.gateway import LIMIT
from bench.rush.rounds import Rushed, rush
from bench.servers.cluster import Cluster
from bench.servers.server import Server

STORES = {"memory, 1 process": 1, "Valkey, 4 processes": 4, "Valkey Cluster, 4 processes": 4}
HEAD = (
    *("store", "counted by", "rounds", "most admitted", "least admitted"),
    *("falsely refused", "of the room", "no answer in time"),
)
TIMEOUT_MS = 500  # what is measured is counting, not how busy this machine is


def main(
    out: Annotated[Path, typer.Option(help="Where results go.")] = Path("bench/out"),
    rounds: Annotated[int, typer.Option(help="Rounds of each kind.", min=1)] = 20,
    clients: Annotated[int, typer.Option(help="Clients at once.", min=1)] = 200,
    only: Annotated[str, typer.Option(help="Only stores with this in the name.")] = "",
) -> None:
    """Rush at one limit of 100, at each store and by each algorithm, and write a page."""
    out.mkdir(parents=True, exist_ok=True)
    found: list[Rushed] = []
    for name, workers in STORES.items():
        if only in name:
            with Console(stderr=True).status(name), _store(name) as store:
                found += uvloop.run(rush(name, store, workers, rounds, clients))
    (out / "rush.json").write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n")
    page = text(found, clients)
    (out / "rush.md").write_text(page, encoding="utf-8")
    Console().print(page, markup=False, highlight=False)
    if any(one.too_many for one in found):
        raise typer.Exit(1)


@contextmanager
def _store(name: str) -> Iterator[dict[str, Any] | None]:
    """The settings of a store that runs."""
    options = {"timeout_ms": TIMEOUT_MS, "max_replicas": 4}
    if name.startswith("memory"):
        yield None
    elif "Cluster" in name:
        with Cluster() as cluster:
            yield {"redis": {"url": cluster.url, "cluster": True} | options}
    else:
        with Server() as server:
            yield {"redis": {"url": server.url} | options}


def text(found: list[Rushed], clients: int) -> str:
    """The page."""
    rows = [
        (
            one.store,
            one.way,
            one.rounds,
            one.most,
            one.least,
            one.refused_falsely,
            f"{100 * one.refused_falsely / (one.rounds * LIMIT):.2f} %",
            one.unavailable + one.others,
        )
        for one in found
    ]
    return f"""# Many clients on one limit: never one too many

{machine()}. {clients} clients ask at once on a limit of {LIMIT} requests that
nobody has used, round by round, through `gauger serve` with that many processes. Refused falsely
is whoever found no room although some was left in the end: what a round admitted less than
{LIMIT}. The cluster has three masters. `timeout_ms` is {TIMEOUT_MS}, and a store that does not
answer in time refuses (`on_unavailable: deny`); such refusals are among the false ones.

*Three limits, apart* are one of {LIMIT} for the account, one for its organization and one for the
model, which lie in three slots. In a cluster these are asked in parallel; where one refuses, the
others are given back, and whoever asks in between may be refused for a moment. This is the worst
that can be asked of it: all limits are equally large, and all clients come in one instant, of whom
half are refused by one slot while they hold a place in another.

{table(HEAD, rows)}
"""


if __name__ == "__main__":
    typer.run(main)
