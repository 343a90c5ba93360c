"""perfect: the control. Accounts of one hand that nothing joins.

At scale 1: 500 accounts, about 40 exchanges a day each, 14 days, with their own prompts, cards,
networks, programs, hours and ages, drawn as those of unrelated accounts are. No evidence exists, so
that whoever claims a cluster here has made it up: nobody may be refused, as in a look-alike.
"""

from bench.campaigns.scenario import Scenario
from bench.campaigns.stream import Cast
from bench.campaigns.world import Person, World, unrelated

NAME = "perfect"
ACCOUNTS, PER_DAY, DAYS, AT_LEAST = 500, 40.0, 14.0, 50
MOST_PER_DAY = 1_000.0


def build(world: World) -> Cast:
    """The control at the world's scale."""
    persons = [_account(world, number) for number in range(world.accounts(ACCOUNTS, AT_LEAST))]
    return Cast(NAME, "lookalike", persons, world.length_s(DAYS))


def _account(world: World, number: int) -> Person:
    draw = world.draw(NAME, number)
    per_day = min(draw.lognormal(PER_DAY * 0.75, 0.75), MOST_PER_DAY)
    shape = draw.pick(world.traces.profiles)
    return unrelated(world, f"pf-{number:05d}", draw, shape=shape, per_day=per_day)


SCENARIO = Scenario(NAME, "lookalike", ACCOUNTS, PER_DAY, DAYS, build, AT_LEAST)
