"""warm-up: accounts that are honest for a fortnight before they harvest.

At scale 1: 2,000 accounts; 14 days of ordinary work at 10 exchanges a day, by people's hours, then
30 times as many for 14 days. In a run that is cut short both parts shrink alike: half of it is
warm-up. Whether programs and exits stay the same at the turn is drawn with the seed.
"""

from bench.campaigns import clients, work
from bench.campaigns.hand import Hand, hand
from bench.campaigns.pace import DAY_S, Pace, Season
from bench.campaigns.persona import MODELS
from bench.campaigns.reword import instructions
from bench.campaigns.scenario import Scenario
from bench.campaigns.stream import Cast
from bench.campaigns.work import Marked, Templated, Work
from bench.campaigns.world import HUMAN, STEADY, Person, World

NAME = "warm-up"
ACCOUNTS, DAYS, AT_LEAST = 2_000, 28.0, 50
HONEST_PER_DAY, TIMES = 10.0, 30.0
PER_DAY = HONEST_PER_DAY * (1.0 + TIMES) / 2.0


def build(world: World) -> Cast:
    """The campaign at the world's scale: each account is two persons, one after the other."""
    plan, length_s = world.draw(NAME, "plan"), world.length_s(DAYS)
    turn_s = world.start_s + length_s / 2.0
    one = hand(world, NAME, "wu")
    count = plan.pick((1, 1, 3, 10, 40))
    templates = instructions(plan, count)
    task = Marked(Templated(templates, world.corpus.harvest, in_system=plan.chance(0.5)))
    stays, steady = plan.chance(0.5), plan.chance(0.6)
    # All at once, or account by account over some hours.
    rush_s = plan.pick((0.0, 600.0, 6 * 3600.0, length_s / 28.0))
    persons: list[Person] = []
    for number in range(world.accounts(ACCOUNTS, AT_LEAST)):
        starts_s = turn_s + rush_s * world.draw(NAME, "turn", number).unit()
        honest = _honest(world, one, number, starts_s)
        shape = STEADY if steady else HUMAN
        later = one.person(
            number, task, shape=shape, per_day=HONEST_PER_DAY * TIMES, starts_s=starts_s
        )
        if stays:
            was, now = honest.persona, later.persona
            now.client, now.headers, now.addresses = was.client, was.headers, was.addresses
        honest.account["tier"], honest.account["verified"] = "build", True
        persons += (honest, Person(honest.account, later.persona))
    note = f"{count} templates, {'the same' if stays else 'another'} program; {one.habits.note}"
    return Cast(NAME, "campaign", persons, length_s, note=note, harvest_begins_s=turn_s)


def _honest(world: World, one: Hand, number: int, until_s: float) -> Person:
    """The account while it warms up: what it asks is its own, and like anybody's."""
    draw = world.draw(NAME, "honest", number)
    task: Work = work.ordinary(world.corpus, draw)
    person = one.person(number, task, shape=HUMAN, per_day=HONEST_PER_DAY, starts_s=world.start_s)
    persona = person.persona
    shift_s = DAY_S * draw.below(7)
    persona.pace = Season(
        Pace(HUMAN, HONEST_PER_DAY, world.start_s, shift_s, draw), until_s=until_s
    )
    persona.client = clients.ordinary(draw)
    persona.headers = persona.client.render(draw.pick(persona.client.versions), persona.key)
    persona.draw, persona.model = draw, draw.pick(MODELS)
    return person


SCENARIO = Scenario(NAME, "campaign", ACCOUNTS, PER_DAY, DAYS, build, AT_LEAST)
