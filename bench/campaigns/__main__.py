"""`python -m bench.campaigns`: generate, replay, measure, report. See bench/README.md."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bench.campaigns import plans
from bench.campaigns.kept import all_kept, kept
from bench.campaigns.runs import run_all
from bench.campaigns.scenarios import SCENARIOS
from bench.campaigns.stage import Job

CONFIG = Path(__file__).parents[2] / "policies" / "examples" / "containment" / "gauger.yaml"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for on the command line, of all jobs alike."""

    scale: float
    days: float | None
    ratio: float
    data: Path | None
    out: Path
    config: Path
    baselines: bool
    keep: bool

    def job(self, scenario: str, seed: int, variant: str = "", *, relations: bool = True) -> Job:
        """One run. Baselines need no second look at what only the detector lacks."""
        plain = not variant and relations
        return Job(
            scenario,
            seed,
            self.scale,
            plans.days_of(scenario, self.days),
            self.ratio,
            self.data,
            self.out,
            self.config,
            relations=relations,
            variant=variant,
            baseline_days=None if self.baselines and plain else 0.0,
            keep=self.keep,
        )

    def preset(self, name: str, seed: int) -> Job:
        """One campaign of the public reports, at full scale and whole, audited by digests."""
        scenario = plans.PRESETS[name].scenario
        return Job(
            scenario, seed, 1.0, None, self.ratio, self.data, self.out, self.config,
            against=(scenario, "low-and-slow"), audit="digest", keep=self.keep,
            baseline_days=plans.BASELINE_DAYS if self.baselines else 0.0,
        )  # fmt: skip


def main(
    scale: Annotated[
        float, typer.Option(help="Share of the accounts of a full-size world.", min=0.0001, max=1.0)
    ] = 0.05,
    days: Annotated[
        float | None,
        typer.Option(help="Cut longer scenarios to this (0: whole). Default: hours by scenario."),
    ] = None,
    seeds: Annotated[str, typer.Option(help="Seeds: 3 or 0,1 or 100-109.")] = "0,1",
    scenario: Annotated[
        list[str] | None, typer.Option(help="Only these; with + between, at the same time.")
    ] = None,
    preset: Annotated[
        list[str] | None, typer.Option(help=f"At full scale: {', '.join(plans.PRESETS)}.")
    ] = None,
    variant: Annotated[
        list[str] | None, typer.Option(help=f"Only these: {', '.join(plans.ABLATIONS)}.")
    ] = None,
    relations: Annotated[
        str, typer.Option(help="Facts that join a campaign's accounts: with, without, both.")
    ] = "both",
    ablations: Annotated[bool, typer.Option(help="Run detectors that lack something.")] = True,
    answers: Annotated[bool, typer.Option(help="Try to tell refusals apart.")] = True,
    baselines: Annotated[bool, typer.Option(help="Compare with rules of one trait.")] = True,
    ratio: Annotated[
        float, typer.Option(help="Unrelated traffic as a share of the largest campaign's.", min=0)
    ] = 1.0,
    data: Annotated[
        Path | None, typer.Option(help="Folder of published prompts and traces.", exists=True)
    ] = None,
    out: Annotated[Path, typer.Option(help="Where results go.")] = Path("bench/out"),
    config: Annotated[Path, typer.Option(help="Settings of the session.", exists=True)] = CONFIG,
    workers: Annotated[int, typer.Option(help="Runs at the same time.", min=1)] = 2,
    resume: Annotated[
        bool, typer.Option(help="Use results in --out, and report on all that are there.")
    ] = False,
    keep: Annotated[bool, typer.Option(help="Keep directory, truth and maps of each run.")] = False,
    write_only: Annotated[bool, typer.Option(help="Write the traffic, replay nothing.")] = False,
) -> None:
    """Replay campaigns and look-alikes over unrelated accounts and report what was caught."""
    from bench.campaigns import report  # noqa: PLC0415 (drawing weighs more than a run does)

    if relations not in ("with", "without", "both"):
        raise typer.BadParameter(f"--relations is with, without or both, not {relations!r}")
    asked = Asked(scale, days, ratio, data, out, config, baselines, keep or write_only)
    numbers = numbers_of(seeds)
    if preset:
        _known("preset", preset, plans.PRESETS)
        jobs = [asked.preset(name, numbers[0]) for name in preset]
    else:
        names = scenario or plans.default_scenarios()
        _known("scenario", [one for name in names for one in name.split("+")], SCENARIOS)
        _known("variant", variant or [], plans.VARIANTS)
        jobs = [] if variant else _plain(asked, names, numbers, relations)
        jobs += _lacking(asked, scenario, numbers, variant, ablations=ablations)
    if write_only:
        run_all(jobs, workers, write_only=True)
        return
    runs = _results(jobs, workers, resume=resume)
    told = report.answers_of(out, config, numbers[0], ask=answers and not preset, resume=resume)
    page = report.write(out, all_kept(out) if resume else runs, told)
    Console().print(page.read_text(encoding="utf-8"), markup=False, highlight=False)


def _plain(asked: Asked, names: list[str], seeds: list[int], relations: str) -> list[Job]:
    """The scenarios with the whole detector; campaigns also over a directory that tells nothing,
    for the first seeds where both are asked for."""
    jobs = [asked.job(name, seed) for name in names for seed in seeds if relations != "without"]
    if relations == "both":
        seeds = seeds[: plans.ABLATION_SEEDS]
    if relations != "with":
        jobs += [
            asked.job(name, seed, relations=False)
            for name in names
            for seed in seeds
            if name in SCENARIOS and SCENARIOS[name].kind == "campaign" and not SCENARIOS[name].law
        ]
    return jobs


def _lacking(
    asked: Asked,
    scenario: list[str] | None,
    seeds: list[int],
    variant: list[str] | None,
    *,
    ablations: bool,
) -> list[Job]:
    """Runs of detectors that lack something, and one that is made twice."""
    if variant:
        return [
            asked.job(name, seed, one)
            for name in scenario or plans.ABLATED
            for seed in seeds
            for one in variant
        ]
    if not ablations:
        return []
    names = [name for name in plans.ABLATED if not scenario or name in scenario]
    jobs = [
        asked.job(name, seed, one)
        for name in names
        for seed in seeds[: plans.ABLATION_SEEDS]
        for one in plans.ABLATIONS
    ]
    if not scenario or plans.AGAIN in scenario:
        jobs.append(asked.job(plans.AGAIN, seeds[0], "again"))
    return jobs


def _results(jobs: list[Job], workers: int, *, resume: bool) -> list[dict[str, Any]]:
    """The results of all jobs in their order, those that are on disk already taken from there."""
    old = {job.name: kept(job) if resume else None for job in jobs}
    left = [job for job in jobs if old[job.name] is None]
    new = dict(zip((job.name for job in left), run_all(left, workers), strict=True))
    return [new.get(job.name) or old[job.name] or {} for job in jobs]


def _known(what: str, names: list[str], known: Any) -> None:
    if unknown := [name for name in names if name not in known]:
        raise typer.BadParameter(f"unknown {what} {unknown[0]} (known: {', '.join(known)})")


def numbers_of(text: str) -> list[int]:
    """Seeds: whole numbers and ranges, with commas."""
    found: list[int] = []
    try:
        for part in text.split(","):
            first, dash, last = part.partition("-")
            found += range(int(first), int(last) + 1) if dash else [int(first)]
    except ValueError as error:
        message = f"seeds are whole numbers or ranges with commas, not {text!r}"
        raise typer.BadParameter(message) from error
    if not found:
        raise typer.BadParameter(f"no seed in {text!r}")
    return found


if __name__ == "__main__":
    typer.run(main)
