"""`python -m bench.overhead`: what the gateway adds. See bench/README.md."""

import json
import shutil
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.overhead import parts, report, rounds


def main(
    out: Annotated[Path, typer.Option(help="Where results go.")] = Path("bench/out"),
    quick: Annotated[bool, typer.Option(help="Tiny: only to see that it works.")] = False,
    count: Annotated[int | None, typer.Option("--rounds", help="Rounds over all targets.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Of each measure of a target.")] = None,
    streams: Annotated[int | None, typer.Option(help="Open streams of the memory test.")] = None,
    rules: Annotated[int | None, typer.Option(help="Rules in the policy set.", min=5)] = None,
) -> None:
    """Measure the gateway against a bare pass-through and no proxy, and write a report."""
    sizes = rounds.QUICK if quick else rounds.Sizes()
    sizes = replace(
        sizes,
        rounds=count or sizes.rounds,
        seconds=seconds or sizes.seconds,
        streams=streams or sizes.streams,
        rules=rules or sizes.rules,
    )
    console = Console(stderr=True)
    out.mkdir(parents=True, exist_ok=True)
    # On the disk of `out`, where an audit log would be: a temporary file system has no fsync.
    work = Path(tempfile.mkdtemp(prefix="overhead-", dir=out)).resolve()
    try:
        with console.status("starting") as status:
            measured = rounds.measure(work, sizes, status.update)
            held = rounds.memory(work, sizes, status.update)
            blocks = 2 if quick else 25
            timed = parts.measure(
                work / "parts", rules=sizes.rules, blocks=blocks, say=status.update
            )
    finally:
        shutil.rmtree(work)
    result = {"sizes": asdict(sizes), **measured, "memory": held, "parts": timed}
    (out / "overhead.json").write_text(json.dumps(result, indent=1) + "\n")
    page = report.write(out, result)
    Console().print(page.read_text(encoding="utf-8"), markup=False, highlight=False)


if __name__ == "__main__":
    typer.run(main)
