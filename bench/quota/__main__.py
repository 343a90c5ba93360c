"""`python -m bench.quota`: what a check of three limits costs. See bench/README.md."""

import json
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from bench.quota.memory import Figures, filled, speed, written_behind
from bench.quota.redis import CALLERS, measure
from bench.report import machine, table
from bench.servers.cluster import Cluster
from bench.servers.server import Server
from proxy.model.verdict import Algorithm
from proxy.store.redis.connect import Reach

AIM = 150_000
FULL = ("algorithm", "bytes an account", "longest call, filling, ms", "while windows end, ms")
SHARED = (
    "server, callers",
    "checks/s",
    "bare, calls/s",
    "share",
    "server, µs (bare)",
    "client, µs (bare)",
)
FILLED = (Algorithm.FIXED, Algorithm.GCRA, Algorithm.ROLLING)
Measured = dict[str, dict[str, Figures]]


def main(
    out: Annotated[Path, typer.Option(help="Where results go.")] = Path("bench/out"),
    tries: Annotated[int, typer.Option(help="Tries of which the best counts.", min=1)] = 30,
    accounts: Annotated[int, typer.Option(help="Accounts in a full store.", min=1000)] = 1_000_000,
    each_s: Annotated[float, typer.Option(help="Length of a round with Redis.", min=0.1)] = 2.0,
    rounds: Annotated[int, typer.Option(help="Rounds with Redis.", min=1)] = 5,
    redis: Annotated[bool, typer.Option(help="Whether to measure Redis.")] = True,
) -> None:
    """Time checks of three limits in memory and in Redis, fill a store, and write a page."""
    console = Console(stderr=True)
    out.mkdir(parents=True, exist_ok=True)
    measured: Measured = {"speed": {}, "journal": {}, "filled": {}, "redis": {}}
    for algorithm in Algorithm:
        with console.status(f"{algorithm} in memory"):
            measured["speed"][algorithm] = speed(algorithm, tries)
    with console.status("written behind"):
        measured["journal"]["fixed"] = uvloop.run(written_behind(min(tries, 5)))
    for algorithm in FILLED:
        with console.status(f"{accounts:,} accounts, {algorithm}"):
            measured["filled"][algorithm] = _apart(algorithm, accounts)
    if redis:
        for name in ("one server", "cluster of three"):
            with _server(name) as (reach, pids):
                for callers in CALLERS:
                    with console.status(f"{name}, {callers} callers"):
                        measured["redis"][f"{name}, {callers}"] = uvloop.run(
                            measure(reach, pids, callers, each_s, rounds)
                        )
    (out / "quota.json").write_text(json.dumps(measured, indent=1) + "\n")
    page = text(measured, tries, accounts, rounds)
    (out / "quota.md").write_text(page, encoding="utf-8")
    Console().print(page, markup=False, highlight=False)


def _apart(algorithm: Algorithm, accounts: int) -> Figures:
    """Fill a store in a process of its own, whose memory nothing else has used."""
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawned) as pool:
        return pool.submit(filled, algorithm, accounts).result()


@contextmanager
def _server(name: str) -> Iterator[tuple[Reach, list[int]]]:
    """How it is reached, and its processes."""
    if name == "one server":
        with Server() as server:
            yield Reach(address=server.address), _pids([server])
    else:
        with Cluster() as cluster:
            reach = Reach(address=cluster.nodes[0].address, cluster=True)
            yield reach, _pids(cluster.nodes)


def _pids(servers: Sequence[Server]) -> list[int]:
    return [pid for server in servers if (pid := server.process.pid) is not None]


def text(measured: Measured, tries: int, accounts: int, rounds: int) -> str:
    """The page."""
    speeds = [
        (name, f"{1e6 / one['take_us']:,.0f}", f"{one['take_us']:.1f}", f"{one['settle_us']:.1f}")
        for name, one in measured["speed"].items()
    ]
    full = [
        (
            name,
            f"{one['bytes']:,.0f}",
            f"{one['filling_ms']:.1f}",
            f"{one['turning_ms']:.1f}",
        )
        for name, one in measured["filled"].items()
    ]
    shared = [
        (
            name,
            f"{one['rate']:,.0f}",
            f"{one['bare_rate']:,.0f}",
            f"{100 * one['share']:.0f} %",
            f"{one['server_us']:.0f} ({one['bare_server_us']:.0f})",
            f"{one['client_us']:.0f} ({one['bare_client_us']:.0f})",
        )
        for name, one in measured["redis"].items()
    ]
    journal = measured["journal"]["fixed"]
    more_us = journal["with_us"] - journal["without_us"]
    return f"""# What a check of three limits costs

{machine()}. Three limits of one account: requests and tokens of a minute, tokens of a day. What the
columns mean stands in `bench/README.md`.

## In memory

One core, processor time, the best of {tries} tries. The aim is {AIM:,} checks per second.

{table(("algorithm", "checks/s", "check, µs", "settling, µs"), speeds)}

Writing behind costs {more_us:.1f} µs of processor time for each exchange (taken and settled).

A store that holds {accounts:,} accounts with three limits each:

{table(FULL, full)}

## In Redis

Medians of {rounds} rounds, callers in one process. *Bare* is `EVALSHA` of a script that
does nothing, through the same client in the same rounds. The aim is half of it.

{table(SHARED, shared)}
"""


if __name__ == "__main__":
    typer.run(main)
