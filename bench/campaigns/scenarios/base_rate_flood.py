"""base-rate flood: cheap accounts make a campaign's traits common before it begins.

At scale 1, 16 days: in the first five, 50,000 free accounts without a card send a few exchanges
each with the campaign's programs, exits, mail domains, parameters and templates. After one to
three quiet days 1,000 accounts send 80 a day each until the end. A run that is cut short shrinks
all parts alike. The cheap accounts are decoys: nobody needs to find them.
"""

from bench.campaigns.hand import Hand, hand
from bench.campaigns.pace import DAY_S, Pace, Season
from bench.campaigns.reword import instructions
from bench.campaigns.scenario import Scenario
from bench.campaigns.stream import Cast
from bench.campaigns.succession import Succession
from bench.campaigns.work import Mixed, Talk, Templated, Work
from bench.campaigns.world import HUMAN, STEADY, Person, World

NAME = "base-rate-flood"
ACCOUNTS, CHEAP, PER_DAY, DAYS, AT_LEAST = 1_000, 50_000, 80.0, 16.0, 50
FLOOD, QUIET = 5.0 / DAYS, (1.0 / DAYS, 3.0 / DAYS)  # of the length


def build(world: World) -> Cast:
    """The campaign at the world's scale, and the flood before it."""
    plan, length_s = world.draw(NAME, "plan"), world.length_s(DAYS)
    one = hand(world, NAME, "brf")
    templates = instructions(plan, plan.pick((1, 1, 3, 10)))
    task = Templated(templates, world.corpus.harvest, in_system=plan.chance(0.5))
    low, high = QUIET
    begins_s = world.start_s + length_s * (FLOOD + low + (high - low) * plan.unit())
    shape = STEADY if plan.chance(0.5) else HUMAN

    def head(number: int, starts_s: float) -> Person:
        starts_s = max(starts_s, begins_s)
        return one.person(number, task, shape=shape, per_day=PER_DAY, starts_s=starts_s)

    count = world.accounts(ACCOUNTS, AT_LEAST)
    share = plan.pick((0.3, 0.6, 1.0))
    spread = Mixed(Talk(world.corpus), task, share)
    exchanges = 2.0 + plan.below(6)
    first = 10 * ACCOUNTS + count
    cheap = [
        _cheap(world, one, first + number, spread, exchanges, length_s * FLOOD)
        for number in range(world.accounts(CHEAP, 10 * AT_LEAST))
    ]
    note = f"{len(templates)} templates, in {share:.0%} of the flood; {one.habits.note}"
    cast = Succession(world, NAME, count, head).cast(NAME, length_s, note)
    cast.harvest_begins_s = begins_s
    cast.beside = [Cast(f"{NAME}-decoys", "decoy", cheap, length_s, campaign=NAME)]
    return cast


def _cheap(
    world: World, one: Hand, number: int, task: Work, exchanges: float, flood_s: float
) -> Person:
    """An account that costs nothing: no card, a few exchanges, gone before the campaign."""
    moment = world.draw(NAME, "cheap", number)
    starts_s = world.start_s + flood_s * 0.8 * moment.unit()
    until_s = world.start_s + flood_s
    per_day = exchanges * DAY_S / (until_s - starts_s)
    person = one.person(number, task, shape=HUMAN, per_day=per_day, starts_s=starts_s)
    draw = person.persona.draw
    pace = Pace(HUMAN, per_day, starts_s, DAY_S * draw.unit(), draw)
    person.persona.pace = Season(pace, until_s=until_s)
    person.account["tier"], person.account["verified"] = "free", False
    person.account["links"].pop("payment", None)
    return person


SCENARIO = Scenario(NAME, "campaign", ACCOUNTS, PER_DAY * 0.6, DAYS, build, AT_LEAST)
