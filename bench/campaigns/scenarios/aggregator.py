"""aggregator: one account through which a firm serves very many end users.

At scale 1: 5,000 end users with six exchanges a day each, 7 days. Every request names its end user;
what they ask is diverse, some bring a system prompt of their own. Whether all comes from one relay
or from the many exits of a platform is drawn with the seed.
"""

from bench.campaigns import exits, networks
from bench.campaigns.clients import CLIENTS
from bench.campaigns.habits import Life
from bench.campaigns.jobs import Resold
from bench.campaigns.networks import Fixed
from bench.campaigns.pace import DAY_S, profile
from bench.campaigns.scenario import Scenario
from bench.campaigns.stream import Cast
from bench.campaigns.world import World, unrelated

NAME = "aggregator"
USERS, EACH_PER_DAY, DAYS = 5_000, 6.0, 7.0
# People of several continents: never quiet, busiest when Europe and America are awake.
WORLD_WIDE = profile(
    "world-wide", 3600.0,
    [60, 55, 50, 50, 52, 55, 60, 70, 80, 85, 88, 90,
     95, 100, 100, 98, 95, 92, 90, 88, 84, 78, 70, 64],
    1.1, 1.0,
)  # fmt: skip


def build(world: World) -> Cast:
    """The look-alike: always one account, with end users at the world's scale."""
    plan = world.draw(NAME, "plan")
    place = networks.country(plan)
    users = world.accounts(USERS, 20)
    relay = plan.chance(0.5)
    person = unrelated(
        world,
        "ag-00000",
        world.draw(NAME, 0),
        shape=WORLD_WIDE,
        per_day=users * EACH_PER_DAY,
        place=place,
        addresses=Fixed((exits.rack(plan, place),)) if relay else exits.platform(plan.below(6)),
        client=CLIENTS["relay"],
        task=Resold(f"{world.seed}/{NAME}", world.corpus, users),
        links={"referrer": ""},
        organization="org-ag-00000",
        life=Life(world.start_s - DAY_S * (30 + plan.below(300)), world.start_s),
    )
    note = "one relay" if relay else "a platform's exits"
    return Cast(NAME, "lookalike", [person], world.length_s(DAYS), note=note)


SCENARIO = Scenario(NAME, "lookalike", 1, USERS * EACH_PER_DAY, DAYS, build, at_least=0)
