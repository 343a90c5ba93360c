"""migration: firms that come over from another provider, at full rate from the first day.

At scale 1: 20 unrelated firms with 5,000 exchanges a day each, 7 days. A price rise elsewhere
brings them in one week, by the same guide for movers and with its client settings; each runs an
application of its own, with its own card, place and machines, and ramps nothing up.
"""

from bench.campaigns import exits, networks, texts
from bench.campaigns.clients import CLIENTS
from bench.campaigns.habits import Life
from bench.campaigns.pace import DAY_S
from bench.campaigns.scenario import Scenario
from bench.campaigns.stream import Cast
from bench.campaigns.work import Mixed, Rows, Talk
from bench.campaigns.world import HUMAN, STEADY, Person, World, unrelated

NAME = "migration"
ACCOUNTS, PER_DAY, DAYS = 20, 5_000.0, 7.0
WITHIN_DAYS = 5.0
BY_GUIDE = 0.7


def build(world: World) -> Cast:
    """The look-alike at the world's scale."""
    length_s = world.length_s(DAYS)
    persons = [_firm(world, number, length_s) for number in range(world.accounts(ACCOUNTS))]
    return Cast(NAME, "lookalike", persons, length_s)


def _firm(world: World, number: int, length_s: float) -> Person:
    draw = world.draw(NAME, number)
    place = networks.country(draw)
    account = f"mi-{number:05d}"
    own = Rows(world.corpus.support, texts.firm(draw))
    task = Mixed(own, Talk(world.corpus, texts.firm(draw)), 0.3 * draw.unit())
    # The first of them come within the run however short it is.
    opened_s = world.start_s + min(DAY_S * WITHIN_DAYS, length_s * 0.7) * draw.unit()
    machines = networks.Fixed(tuple(exits.rack(draw, place) for _ in range(1 + draw.below(3))))
    links = {"email_domain": f"{account}.example", "payment": f"pay-{draw.bits():016x}"}
    if draw.chance(BY_GUIDE):
        links["referrer"] = "guide-for-movers"
    return unrelated(
        world,
        account,
        draw,
        shape=HUMAN if draw.chance(0.5) else STEADY,
        per_day=draw.lognormal(PER_DAY, 0.5),
        place=place,
        addresses=machines,
        client=CLIENTS["openai-node" if draw.chance(0.4) else "openai-python"],
        task=task,
        parameters={"max_tokens": 1024, "temperature": 0.3},
        links=links,
        organization=f"org-{account}",
        life=Life(opened_s, opened_s + 60.0 + draw.lognormal(1200.0, 0.7)),
    )


SCENARIO = Scenario(NAME, "lookalike", ACCOUNTS, PER_DAY, DAYS, build)
