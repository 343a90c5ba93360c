"""corporate-nat: the staff of one company behind two addresses.

At scale 1: 4,000 accounts, office hours, one mail domain, signed up from the same two addresses,
mixed programs. One request in seven pastes a prompt from the company's own page of good prompts.
"""

from bench.campaigns import networks, texts, work
from bench.campaigns.draw import Draw
from bench.campaigns.networks import Fixed
from bench.campaigns.scenario import Scenario
from bench.campaigns.stream import Cast
from bench.campaigns.work import Mixed, Rows, Templated
from bench.campaigns.world import HUMAN, Person, World, unrelated

NAME = "corporate-nat"
ACCOUNTS, PER_DAY, DAYS = 4_000, 12.0, 14.0
PASTED = 1 / 7


def build(world: World) -> Cast:
    """The look-alike at the world's scale; it always has two addresses."""
    plan = world.draw(NAME, "plan")
    place = networks.country(plan)
    exits = tuple(networks.address(plan, place, "corporate") for _ in range(2))
    shared = Templated(tuple(_good_prompt(plan) for _ in range(12)), world.corpus.support)
    count = world.accounts(ACCOUNTS)
    length_s = world.length_s(DAYS)
    persons = [_colleague(world, number, place, exits, shared) for number in range(count)]
    return Cast(NAME, "lookalike", persons, length_s)


def _good_prompt(draw: Draw) -> str:
    return (
        f"Act as {draw.pick(texts.ROLES)} for our {draw.pick(texts.TRADES)} in "
        f"{draw.pick(texts.CITIES)}. {draw.pick(texts.TONES)} Text of the customer:\n{{task}}"
    )


def _colleague(
    world: World, number: int, place: str, exits: tuple[str, ...], shared: Templated
) -> Person:
    draw = world.draw(NAME, number)
    own: work.Work = work.ordinary(world.corpus, draw)
    if isinstance(own, Rows) and draw.chance(0.5):
        own = work.Talk(world.corpus)
    return unrelated(
        world,
        f"cn-{number:05d}",
        draw,
        shape=HUMAN,
        per_day=PER_DAY,
        place=place,
        addresses=Fixed(exits),
        task=Mixed(own, shared, PASTED),
        links={"email_domain": "staff.corp.example", "signup_ip": exits[number % 2]},
    )


SCENARIO = Scenario(NAME, "lookalike", ACCOUNTS, PER_DAY, DAYS, build)
