"""`python -m bench.campaigns`: generate, replay, measure, report. See bench/README.md."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.campaigns.runs import run_all
from bench.campaigns.scenarios import SCENARIOS
from bench.campaigns.stage import Job

CONFIG = Path(__file__).with_name("gauger.yaml")


def main(
    scale: Annotated[
        float, typer.Option(help="Share of the accounts of a full-size world.")
    ] = 0.05,
    days: Annotated[float, typer.Option(help="Cut longer scenarios to this; 0: whole.")] = 1.0,
    seeds: Annotated[str, typer.Option(help="Seeds, with commas.")] = "0,1",
    scenario: Annotated[list[str] | None, typer.Option(help="Only these.")] = None,
    ratio: Annotated[
        float, typer.Option(help="Unrelated traffic as a share of the largest campaign's.")
    ] = 0.5,
    data: Annotated[
        Path | None, typer.Option(help="Folder of published prompts and traces.", exists=True)
    ] = None,
    out: Annotated[Path, typer.Option(help="Where results go.")] = Path("bench/out"),
    config: Annotated[Path, typer.Option(help="Settings of the session.", exists=True)] = CONFIG,
    workers: Annotated[int, typer.Option(help="Runs at the same time.", min=1)] = 2,
    write_only: Annotated[bool, typer.Option(help="Write the traffic, replay nothing.")] = False,
) -> None:
    """Replay campaigns and look-alikes over unrelated accounts and report what was caught."""
    from bench.campaigns import report  # noqa: PLC0415 (drawing weighs more than a run does)

    names = scenario or list(SCENARIOS)
    if unknown := [name for name in names if name not in SCENARIOS]:
        raise typer.BadParameter(f"unknown scenario {unknown[0]} (known: {', '.join(SCENARIOS)})")
    jobs = [
        Job(name, seed, scale, days or None, ratio, data, out, config)
        for name in names
        for seed in _numbers(seeds)
    ]
    runs = run_all(jobs, workers, write_only=write_only)
    if write_only:
        return
    out.mkdir(parents=True, exist_ok=True)
    (out / "campaigns.json").write_text(json.dumps(runs, indent=1) + "\n")
    how = f"Scale {scale:g}, {f'{days:g} days' if days else 'whole length'}, seeds {seeds}"
    page = report.write(out, runs, how)
    Console().print(page.read_text(encoding="utf-8"), markup=False, highlight=False)


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"seeds are whole numbers with commas, not {text!r}") from error


if __name__ == "__main__":
    typer.run(main)
