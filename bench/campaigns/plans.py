"""What is run by default: how long each scenario is cut, what is left out of the detector, and the
campaigns of the public reports at full scale.

A campaign is stopped early or not at all: a run takes the hours until 1 % of it is sent (2 to 14)
at least twice over, and some to see that it stays stopped. The harvest of a scenario with a prelude
(honest days, a flood) begins at the same share of the cut run.
"""

from dataclasses import dataclass

from bench.campaigns.scenarios import SCENARIOS

HOURS_PER_DAY = 24.0
DEFAULT_HOURS = 16.0
# Longer where 1 % of the campaign takes longer than half of that, or where only a part of the run
# is harvest.
HOURS: dict[str, float] = {
    "low-and-slow": 24.0,
    "serve-and-harvest": 30.0,
    "warm-up": 24.0,
    "base-rate-flood": 24.0,
    "framing": 20.0,
}
TOGETHER = "small-and-fast+rubric-grader+template-variants"  # campaigns that must not be merged


@dataclass(frozen=True, slots=True)
class Variant:
    """A detector that lacks something. `without` are families or traits; what a step found takes
    effect `delay_s` later."""

    name: str
    said: str
    without: tuple[str, ...] = ()
    delay_s: float | None = None


FULL = Variant("", "all of it")
VARIANTS: dict[str, Variant] = {
    one.name: one
    for one in (
        FULL,
        Variant("again", "the same once more"),
        Variant("no-network", "without the network family", ("network",)),
        Variant("no-client", "without the client family", ("client",)),
        Variant("no-prompt", "without the prompt family", ("prompt",)),
        Variant("no-behaviour", "without the behaviour family", ("behaviour",)),
        Variant("no-relationship", "without the relationship family", ("relationship",)),
        Variant("delay-1h", "steps take effect an hour later", delay_s=3_600.0),
        Variant("delay-6h", "steps take effect six hours later", delay_s=21_600.0),
    )
}
ABLATIONS = tuple(name for name in VARIANTS if name not in {"", "again"})
ABLATED = ("fixed-prompt", "low-and-slow", "template-variants", "mixed-hydra-10", "pivot")
ABLATION_SEEDS = 2  # the first ones, also of directories that tell nothing
AGAIN = "small-and-fast"  # is run twice with the first seed


@dataclass(frozen=True, slots=True)
class Preset:
    """A campaign of the public reports, at full scale and length. The unrelated accounts send as
    much as it does, and not less than low-and-slow would in the same time."""

    scenario: str
    said: str


PRESETS: dict[str, Preset] = {
    "full-150k": Preset("rubric-grader", "150 thousand exchanges"),
    "full-3.4m": Preset("small-and-fast", "3.4 million exchanges"),
    "full-13m": Preset("pivot", "13 million exchanges"),
    "full-28.8m": Preset("low-and-slow", "25,000 accounts, 28.8 million exchanges"),
}
BASELINE_DAYS = 2.0  # of a preset: enough to see whether 1 % is passed, and memory has an end


def days_of(scenario: str, asked: float | None) -> float | None:
    """How many days a run of a scenario is cut to: as asked (0: whole), or by the table."""
    if asked is not None:
        return asked or None
    names = scenario.split("+")
    return max(HOURS.get(name, DEFAULT_HOURS) for name in names) / HOURS_PER_DAY


def default_scenarios() -> list[str]:
    """All of them, and the campaigns that run at the same time."""
    return [*SCENARIOS, TOGETHER]
