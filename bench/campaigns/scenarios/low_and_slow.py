"""low-and-slow: very many accounts, each of which is a light user.

At scale 1: 25,000 accounts, 26 exchanges a day each, 45 days (28.8 M exchanges), 200 paraphrases
of one instruction, human hours, residential exits, one card for every four accounts.
"""

from bench.campaigns.draw import digest
from bench.campaigns.pace import DAY_S
from bench.campaigns.scenario import Scenario
from bench.campaigns.stream import Cast
from bench.campaigns.texts import paraphrase
from bench.campaigns.work import Templated
from bench.campaigns.world import HUMAN, MAIL, Person, World, head

NAME = "low-and-slow"
ACCOUNTS, PER_DAY, DAYS, TEMPLATES = 25_000, 26.0, 45.0, 200
PLACES = ("US", "IN", "BR", "DE", "SG", "NG", "MX", "PL")


def build(world: World) -> Cast:
    """The campaign at the world's scale; the number of paraphrases stays."""
    plan = world.draw(NAME, "plan")
    templates = tuple(paraphrase(plan) for _ in range(TEMPLATES))
    task = Templated(templates, world.corpus.harvest)
    count = world.accounts(ACCOUNTS)
    length_s = world.length_s(DAYS)
    persons = [_head(world, task, number) for number in range(count)]
    return Cast(NAME, "campaign", persons, length_s)


def _head(world: World, task: Templated, number: int) -> Person:
    draw = world.draw(NAME, number)
    links = {
        "payment": f"pay-{digest(world.seed, NAME, 'card', number // 4):012x}",
        "email_domain": draw.pick(MAIL),
        "signup_ip": f"198.51.100.{draw.below(250) + 1}",
        "device": f"d-{draw.bits():016x}",
    }
    return head(
        world,
        f"ls-{number:05d}",
        draw,
        shape=HUMAN,
        per_day=PER_DAY,
        starts_s=world.start_s,
        places=PLACES,
        session_s=4 * 3600.0,
        task=task,
        model="m-large" if draw.chance(0.8) else "m-mid",
        links=links,
        created_at=world.start_s - DAY_S * (1 + 40 * draw.unit()),
    )


SCENARIO = Scenario(NAME, "campaign", ACCOUNTS, PER_DAY, DAYS, build)
