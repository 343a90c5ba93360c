"""From a job to a stage: the world of one scenario and one seed, with everybody in it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.campaigns import base, corpus, traces
from bench.campaigns.draw import digest
from bench.campaigns.files import write_changes, write_setting, write_traffic, write_truth
from bench.campaigns.scenario import Scenario
from bench.campaigns.scenarios import SCENARIOS
from bench.campaigns.stream import Cast, Traffic
from bench.campaigns.world import Account, World

Step = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Job:
    """What to run. `scenario` may be several, with + between. `ratio` is the unrelated traffic as a
    share of what the largest of `against` (all campaigns, where it is empty) sends in the time.

    `variant` names what the detector lacks, `baseline_days` is how much the baselines see (0:
    nothing, None: all).
    """

    scenario: str
    seed: int
    scale: float
    days: float | None
    ratio: float
    data: Path | None
    out: Path
    config: Path
    relations: bool = True  # whether the directory tells what joins a campaign's accounts
    variant: str = ""
    against: tuple[str, ...] = ()
    baseline_days: float | None = None
    audit: str = "none"
    keep: bool = False  # the files of the run: directory, truth, maps

    @property
    def name(self) -> str:
        """What tells this run from the others of a report."""
        whole = "" if self.relations else "-no-relations"
        variant = f"-{self.variant}" if self.variant else ""
        return f"{self.scenario}-{self.seed}{whole}{variant}"

    @property
    def folder(self) -> Path:
        """Where this run's files go."""
        return self.out / self.name

    @property
    def scenarios(self) -> list[Scenario]:
        """The scenarios that are played at the same time."""
        return [SCENARIOS[name] for name in self.scenario.split("+")]

    @property
    def law(self) -> Path | None:
        """Settings of its own, where a scenario is about law."""
        return next((one.law for one in self.scenarios if one.law), None)

    def lasts(self) -> float:
        """Its length in days."""
        return max(one.lasts(self.days) for one in self.scenarios)

    def unrelated(self) -> float:
        """How many exchanges the unrelated accounts send beside the scenario."""
        days = self.lasts()
        named = [SCENARIOS[name] for name in self.against]
        campaigns = named or [one for one in SCENARIOS.values() if one.kind == "campaign"]
        return self.ratio * max(one.exchanges(self.scale, days) for one in campaigns)

    def planned(self) -> float:
        """About how many exchanges there will be in all."""
        own = sum(one.exchanges(self.scale, self.days) for one in self.scenarios)
        share = 0.0 if self.baseline_days == 0 else 1.0
        if self.baseline_days:
            share = min(1.0, self.baseline_days / self.lasts())
        return (own + self.unrelated()) * (1.0 + share)

    def told(self) -> dict[str, Any]:
        """All that the result depends on, as plain values."""
        fields = asdict(self)
        for name in ("out", "keep"):
            del fields[name]
        return fields | {"data": bool(self.data), "config": self.config.parent.name}


@dataclass(frozen=True, slots=True)
class Stage:
    """A world with everybody in it."""

    world: World
    casts: list[Cast]

    def traffic(self) -> Traffic:
        """The stream, from its beginning; a stage can be played once."""
        return Traffic(self.casts, self.world.start_s)

    def changes(self) -> list[tuple[float, Account]]:
        """When lines of the directory change, and to what; the next one is the last."""
        changes = [change for cast in self.casts for change in cast.changes]
        return sorted(changes, key=lambda change: change[0], reverse=True)


def stage(job: Job) -> Stage:
    """Build the world of a job."""
    world = World(
        job.seed,
        job.scale,
        job.days,
        corpus.load(job.data),
        traces.load(job.data),
        relations=job.relations,
    )
    casts = [scenario.build(world) for scenario in job.scenarios]
    # Every run has unrelated accounts of its own: pooled, they are as many as they look.
    apart = replace(world, seed=digest("crowd", job.scenario, job.seed))
    length_s = max(cast.length_s for cast in casts)
    crowd = base.build(apart, length_s=length_s, exchanges=job.unrelated())
    return Stage(world, [crowd, *casts, *(beside for cast in casts for beside in cast.beside)])


def write(job: Job, step: Step) -> None:
    """Write the job's traffic as files, and run nothing."""
    on = stage(job)
    write_setting(job.folder, on.casts)
    write_truth(job.folder, on.casts, on.world)
    write_changes(job.folder, on.casts)
    write_traffic(job.folder, on.traffic(), lambda: step(1))
