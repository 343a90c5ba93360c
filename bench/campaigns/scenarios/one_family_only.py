"""one-family-only: everything differs but the prompts.

At scale 1: 500 accounts, about 40 exchanges a day each, 14 days. Cards, mail, networks, programs,
models, hours and ages are those of unrelated accounts; the templates alone are one hand's. That
much could be a popular tutorial: the evidence is too thin to act on, and enough to report.
"""

from bench.campaigns.draw import Draw
from bench.campaigns.reword import instructions
from bench.campaigns.scenario import Scenario
from bench.campaigns.stream import Cast
from bench.campaigns.work import Mixed, Templated, Work, ordinary
from bench.campaigns.world import Person, World, unrelated

NAME = "one-family-only"
ACCOUNTS, PER_DAY, DAYS, AT_LEAST = 500, 40.0, 14.0, 50
MOST_PER_DAY = 1_000.0


def build(world: World) -> Cast:
    """The campaign at the world's scale."""
    plan, length_s = world.draw(NAME, "plan"), world.length_s(DAYS)
    templates = instructions(plan, plan.pick((1, 1, 3, 12, 50)))
    in_system = plan.chance(0.5)
    task = Templated(templates, world.corpus.harvest, in_system=in_system)
    honest_share = plan.pick((0.0, 0.0, 0.2, 0.5))
    persons = [
        _account(world, number, task, honest_share)
        for number in range(world.accounts(ACCOUNTS, AT_LEAST))
    ]
    place = "system prompt" if in_system else "user's turn"
    note = f"{len(templates)} templates in the {place}, {honest_share:.0%} honest"
    return Cast(NAME, "campaign", persons, length_s, note=note)


def _account(world: World, number: int, task: Work, honest_share: float) -> Person:
    draw: Draw = world.draw(NAME, number)
    per_day = min(draw.lognormal(PER_DAY * 0.75, 0.75), MOST_PER_DAY)
    own = Mixed(task, ordinary(world.corpus, draw), honest_share) if honest_share else task
    shape = draw.pick(world.traces.profiles)
    return unrelated(world, f"of-{number:05d}", draw, shape=shape, per_day=per_day, task=own)


SCENARIO = Scenario(NAME, "campaign", ACCOUNTS, PER_DAY, DAYS, build, AT_LEAST)
