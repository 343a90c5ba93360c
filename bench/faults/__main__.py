"""`python -m bench.faults`: a store that fails in the middle of load. See bench/README.md."""

import asyncio
import gc
import json
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import structlog
import typer
import uvloop
from rich.console import Console

from bench.faults.faults import FAULTS, SLOW_S, Fault
from bench.faults.load import LIMIT, OFFERED, SUBJECTS, Load, everything
from bench.report import machine, table
from proxy.model.plan import Plan
from proxy.model.verdict import OnUnavailable
from proxy.store.guarded import GuardedStore
from proxy.store.redis.connect import route
from proxy.store.redis.store import RedisStore

PROCESSES = 2
AIM_MS = 20
PATIENCE_S = 20.0
HEAD = (
    "fault, part",
    "on_unavailable",
    "exchanges",
    "wrongly admitted",
    "wrongly refused",
    "errors",
    "p50, ms",
    "p99, ms",
    "longest, ms",
    "loop late, ms",
)
Row = dict[str, str | int | float]


def main(
    out: Annotated[Path, typer.Option(help="Where results go.")] = Path("bench/out"),
    each_s: Annotated[float, typer.Option(help="Length of each part, in seconds.", min=0.5)] = 3.0,
) -> None:
    """Break a store in five ways under load, and write a page."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    console = Console(stderr=True)
    out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    afterwards: list[Row] = []
    for name in FAULTS:
        gc.collect()
        gc.freeze()  # what earlier runs left behind is not searched during this one
        with console.status(name):
            parts, counted = uvloop.run(measure(name, each_s))
        rows += parts
        afterwards += counted
    (out / "faults.json").write_text(
        json.dumps({"parts": rows, "afterwards": afterwards}, indent=1) + "\n"
    )
    page = text(rows, afterwards, each_s)
    (out / "faults.md").write_text(page, encoding="utf-8")
    Console().print(page, markup=False, highlight=False)


async def measure(name: str, each_s: float) -> tuple[list[Row], list[Row]]:
    """One fault: figures of each part of the run, and what is counted afterwards."""
    async with AsyncExitStack() as stack:
        fault = await stack.enter_async_context(FAULTS[name]())
        stores = [await _store(fault) for _ in range(PROCESSES)]
        for store in stores:
            stack.push_async_callback(store.close)
            await store.watch.look()
        load = Load(stores, seed=1)
        back_s = await _run(load, fault, stores, each_s)
        await _until(lambda: not any(map(_owes, stores)))
        return _parts(name, load), [
            await _afterwards(name, load, stores, back_s, act) for act in OnUnavailable
        ]


async def _store(fault: Fault) -> GuardedStore:
    shared = RedisStore(route(fault.reach), b"a key of the benchmark".ljust(32, b"."))
    store = GuardedStore(shared, state_dir=None, max_replicas=PROCESSES)
    await store.start()
    return store


async def _run(load: Load, fault: Fault, stores: list[GuardedStore], each_s: float) -> float:
    """Before, during and after; how long after the fault's end all processes asked again."""
    over = asyncio.Event()
    running = asyncio.create_task(load.run(lambda: not over.is_set()))
    loop = asyncio.get_running_loop()
    await asyncio.sleep(each_s)
    load.part = "during"
    await fault.act(each_s)
    ended_s = loop.time()
    await _until(lambda: not any(store.breaker.open for store in stores))
    back_s = loop.time() - ended_s
    load.part = "after"
    await asyncio.sleep(each_s)
    over.set()
    await running
    return back_s


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 (what it waits for has no event)
            await asyncio.sleep(0.005)


def _owes(store: GuardedStore) -> bool:
    return bool(len(store.outbox) or len(store.outage.deferred))


def _parts(name: str, load: Load) -> list[Row]:
    return [
        {
            "fault": name,
            "part": part,
            "act": act.value,
            "exchanges": tally.exchanges,
            "wrongly_admitted": tally.wrongly_admitted,
            "wrongly_refused": tally.wrongly_refused,
            "errors": tally.errors,
            "p50_ms": tally.waited_ms(0.5),
            "p99_ms": tally.waited_ms(0.99),
            "max_ms": tally.waited_ms(1.0),
            "loop_late_ms": 1000 * tally.loop_late_s,
        }
        for part in ("before", "during", "after")
        for act in OnUnavailable
        for tally in (load.tallies[part, act],)
    ]


async def _afterwards(
    name: str, load: Load, stores: list[GuardedStore], back_s: float, act: OnUnavailable
) -> Row:
    (reading,) = (await stores[0].take(Plan(0, (everything(act),), take=False))).readings
    return {
        "fault": name,
        "act": act.value,
        "admitted": load.admitted(act),
        "counted": reading.before,
        "opened": sum(store.breaker.opened for store in stores),
        "back_s": back_s,
    }


def text(rows: list[Row], afterwards: list[Row], each_s: float) -> str:
    """The page."""
    shown = [
        (
            f"{row['fault']}, {row['part']}",
            row["act"],
            row["exchanges"],
            row["wrongly_admitted"],
            row["wrongly_refused"],
            row["errors"],
            f"{row['p50_ms']:.2f}",
            f"{row['p99_ms']:.2f}",
            f"{row['max_ms']:.2f}",
            f"{row['loop_late_ms']:.2f}",
        )
        for row in rows
    ]
    counts = [
        (
            row["fault"],
            row["act"],
            row["admitted"],
            row["counted"],
            int(row["counted"]) - int(row["admitted"]),
            row["opened"],
            f"{row['back_s']:.2f}",
        )
        for row in afterwards
    ]
    head = ("fault", "on_unavailable", "admitted", "counted", "difference", "opened", "back, s")
    return f"""# A store that fails in the middle of load

{machine()}. {PROCESSES} processes (guarded stores, in one event loop with the load) share
{3 * SUBJECTS} limits of {LIMIT} requests a second; {OFFERED} a second come for each, so that half
must be refused: {3 * SUBJECTS * OFFERED} exchanges a second in all. {each_s:g} s before, during and
after each fault; *during* lasts until all processes ask the store again. Times are those of `take`,
with everything else that the one loop does; *loop late* is how late its timer was at worst, which
is no fault of the store. The aim is that nobody waits longer than {AIM_MS} ms.

- *killed*: `kill -9` and a new start with nothing in memory. *paused*: SIGSTOP, SIGCONT. *flushed*:
  all keys and scripts removed, once. *failed over*: the primary of a Sentinel group killed.
  *slowed*: every reply {1000 * SLOW_S:g} ms later than it was given.
- Under `deny` what is refused while nobody knows is refused wrongly as often as there was room;
  under `allow` the excess is admitted. Under `local` a process refuses when its share is used up
  though the other's is not, and admits too much while one process asks the store already and the
  other still holds its share.

{table(HEAD, shown)}

*Afterwards*: what the store has counted once it was told all, against what was admitted. *Opened*:
how often breakers opened, both processes together. *Back*: from the end of the fault until all ask
again. A server that was killed without a copy, or flushed, has lost what it had counted until then;
all that was admitted while it was away is there.

{table(head, counts)}
"""


if __name__ == "__main__":
    typer.run(main)
