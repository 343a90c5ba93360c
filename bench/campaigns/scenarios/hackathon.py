"""hackathon: strangers in one hall for two days, who all begin with the same starter kit.

At scale 1: 300 people on the hall's network, signed up in one morning by one link, with credits of
one voucher and no card. The kit fixes system prompt, tools, library and model; teams of four add a
sentence of their own to the prompt, and soon ask what nobody else asks. About 150 exchanges a day.
"""

from dataclasses import replace

from bench.campaigns import networks, texts
from bench.campaigns.clients import CLIENTS
from bench.campaigns.habits import Life
from bench.campaigns.harnesses import tool
from bench.campaigns.networks import Fixed
from bench.campaigns.pace import DAY_S, profile
from bench.campaigns.scenario import Scenario
from bench.campaigns.society import east_s
from bench.campaigns.stream import Cast
from bench.campaigns.work import Mixed, Rows, Talk
from bench.campaigns.world import Person, World, unrelated

NAME = "hackathon"
ACCOUNTS, PER_DAY, DAYS = 300, 150.0, 3.0
MORNING_S = DAY_S + 8 * 3600.0  # of the second day, by the hall's clock
LASTS_S, SIGNING_UP_S = 1.5 * DAY_S, 5_400.0
TEAM = 4
CHANGED = 0.5  # of the teams have touched the kit's prompt
EXITS = 4
SYSTEM = (
    "You are the assistant inside a prototype that was built this week-end. Use the tools to read "
    "and write the prototype's records. Answer in at most five sentences, in Markdown, and think "
    "step by step before you call a tool. If something is missing, invent sample data and say so."
)
TOOLS = (
    tool("get_record", "Read one record of the prototype.", "id"),
    tool("put_record", "Write one record of the prototype.", "id", "json"),
    tool("notify", "Show a message to the user.", "text"),
)
# Two long days and a short night.
HALL = profile(
    "hall", 3600.0,
    [30, 20, 12, 8, 6, 6, 10, 30, 60, 90, 100, 100,
     80, 90, 100, 100, 95, 90, 70, 80, 85, 80, 60, 45],
    2.0, 1.0,
)  # fmt: skip
CLIENT = replace(CLIENTS["openai-node"], versions=("6.7.0",))


def build(world: World) -> Cast:
    """The look-alike at the world's scale; the hall always has its four addresses."""
    plan = world.draw(NAME, "plan")
    place = networks.country(plan)
    network = plan.pick(networks.BY_KIND[place, "corporate"])
    first = plan.below(60_000)
    hall = tuple(network.host(first + number) for number in range(EXITS))
    length_s = world.length_s(DAYS)
    begins_s = world.start_s + max(60.0, min(MORNING_S - east_s(place), length_s / 4))
    count = world.accounts(ACCOUNTS)
    persons = [_guest(world, number, place, hall, begins_s) for number in range(count)]
    return Cast(NAME, "lookalike", persons, length_s)


def _guest(world: World, number: int, place: str, hall: tuple[str, ...], begins_s: float) -> Person:
    draw, team = world.draw(NAME, number), world.draw(NAME, "team", number // TEAM)
    idea = ""
    if team.chance(CHANGED):
        idea = f" The prototype is for a {team.pick(texts.TRADES)} in {team.pick(texts.CITIES)}."
    own = Rows(tuple(team.pick(world.corpus.support) for _ in range(200)), SYSTEM + idea)
    opened_s = begins_s + SIGNING_UP_S * draw.unit() ** 2
    links = {"voucher": "voucher-hack", "referrer": "hack-kit", "payment": "",
             "signup_ip": draw.pick(hall)}  # fmt: skip
    person = unrelated(
        world,
        f"ha-{number:05d}",
        draw,
        shape=HALL,
        per_day=draw.lognormal(PER_DAY * 0.8, 0.7),
        place=place if draw.chance(0.8) else networks.country(draw),
        addresses=Fixed(hall),
        client=CLIENT,
        task=Mixed(Talk(world.corpus, SYSTEM + idea, TOOLS), own, 0.4),
        parameters={"max_tokens": 2048},
        model="m-large",
        links=links,
        organization=None,
        life=Life(opened_s, opened_s + 60.0 + draw.lognormal(600.0, 0.8), begins_s + LASTS_S),
    )
    person.account.update(tier="free", verified=False)
    return person


SCENARIO = Scenario(NAME, "lookalike", ACCOUNTS, PER_DAY / 2, DAYS, build)
