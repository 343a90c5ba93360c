"""From a job to a stage: the world of one scenario and one seed, with everybody in it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.campaigns import base, corpus, traces
from bench.campaigns.files import write_setting, write_traffic, write_truth
from bench.campaigns.scenarios import LARGEST, SCENARIOS
from bench.campaigns.stream import Cast, Traffic
from bench.campaigns.world import World

Step = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Job:
    """What to run. `ratio` is the unrelated traffic as a share of the largest campaign's rate."""

    scenario: str
    seed: int
    scale: float
    days: float | None
    ratio: float
    data: Path | None
    out: Path
    config: Path

    @property
    def folder(self) -> Path:
        """Where this run's files go."""
        return self.out / f"{self.scenario}-{self.seed}"

    def unrelated(self) -> float:
        """How many exchanges the unrelated accounts send beside the scenario."""
        days = SCENARIOS[self.scenario].lasts(self.days)
        return LARGEST.accounts * LARGEST.per_day * days * self.scale * self.ratio

    def planned(self) -> float:
        """About how many exchanges there will be in all."""
        return SCENARIOS[self.scenario].exchanges(self.scale, self.days) + self.unrelated()


@dataclass(frozen=True, slots=True)
class Stage:
    """A world with everybody in it."""

    world: World
    casts: list[Cast]

    def traffic(self) -> Traffic:
        """The stream, from its beginning; a stage can be played once."""
        return Traffic(self.casts, self.world.start_s)


def stage(job: Job) -> Stage:
    """Build the world of a job."""
    world = World(job.seed, job.scale, job.days, corpus.load(job.data), traces.load(job.data))
    cast = SCENARIOS[job.scenario].build(world)
    crowd = base.build(world, length_s=cast.length_s, exchanges=job.unrelated())
    return Stage(world, [crowd, cast])


def write(job: Job, step: Step) -> None:
    """Write the job's traffic as files, and run nothing."""
    on = stage(job)
    write_setting(job.folder, on.casts)
    write_truth(job.folder, on.casts, on.world)
    write_traffic(job.folder, on.traffic(), lambda: step(1))
