"""franchise: shops of one brand, each its own customer, that all run the brand's software.

At scale 1: 400 shops with 40 exchanges a day each, 14 days. System prompt, client, parameters and
forms are the software's; opening hours are the same, and every evening at closing time all shops
have the day summed up. Accounts, cards, phones and lines are the shops' own; their mail is the
brand's. They were opened in the waves in which the software was rolled out.
"""

from bench.campaigns import networks, texts
from bench.campaigns.clients import CLIENTS, Client
from bench.campaigns.draw import Draw
from bench.campaigns.exits import Home
from bench.campaigns.habits import Life
from bench.campaigns.pace import DAY_S, profile
from bench.campaigns.scenario import Scenario
from bench.campaigns.stream import Cast
from bench.campaigns.work import Ask
from bench.campaigns.world import Person, World, unrelated

NAME = "franchise"
ACCOUNTS, PER_DAY, DAYS = 400, 40.0, 14.0
WAVE, WAVE_DAYS = 40, 7  # shops in a wave, and days between waves
LEASE_S = 60 * DAY_S
SYSTEM = (
    "You are the till assistant of the shops of {brand}. You sum up sales, write orders to the "
    "central store and answer reviews. Use the brand's name once. Money is in the local currency. "
    "Never promise refunds. Return plain text without headings."
)
ITEMS = ("rolls", "coffee", "sandwiches", "salads", "juice", "cakes", "soup", "newspapers")
# Closed at night; everything is summed up in the hour after eight in the evening.
_OPEN = (*[0.0] * 7, 40, 60, 60, 60, 80, 100, 90, 60, 60, 60, 70, 70, 60, 400, *[0.0] * 3)
HOURS = profile("shop", 3600.0, list(_OPEN), 1.2, 1.0)
CLIENT = Client(
    "till", "openai", 0.0, ("4.2.0",),
    (*CLIENTS["go"].headers[:1], ("User-Agent", "till/{v}"), *CLIENTS["go"].headers[2:]),
    CLIENTS["go"].ja4,
)  # fmt: skip


class Till:
    """The forms that the software fills in for one shop."""

    __slots__ = ("_city", "_reviews", "_system")

    def __init__(self, brand: str, city: str, reviews: tuple[str, ...]) -> None:
        self._system = SYSTEM.replace("{brand}", brand)
        self._city = city
        self._reviews = reviews

    def ask(self, draw: Draw) -> Ask:
        """A summary of sales, an order, or the answer to a review."""
        sold = ", ".join(f"{draw.pick(ITEMS)} {draw.below(200)}" for _ in range(3))
        form = draw.below(3)
        if form == 0:
            said = f"Sum up today's sales of the shop in {self._city} and compare them: {sold}."
        elif form == 1:
            said = f"Write the order for tomorrow. Stock left: {sold}. Order at most two pallets."
        else:
            said = f"Answer this review in two sentences: {draw.pick(self._reviews)}"
        return Ask((said,), self._system)


def build(world: World) -> Cast:
    """The look-alike at the world's scale."""
    plan = world.draw(NAME, "plan")
    place, brand = networks.country(plan), plan.pick(texts.NAMES)
    first_days = 30 + plan.below(200)
    count = world.accounts(ACCOUNTS)
    persons = [_shop(world, number, place, brand, first_days) for number in range(count)]
    return Cast(NAME, "lookalike", persons, world.length_s(DAYS))


def _shop(world: World, number: int, place: str, brand: str, first_days: int) -> Person:
    draw = world.draw(NAME, number)
    days_ago = first_days + WAVE_DAYS * (ACCOUNTS // WAVE - number // WAVE) - draw.unit()
    account = f"fr-{number:05d}"
    return unrelated(
        world,
        account,
        draw,
        shape=HOURS,
        per_day=draw.lognormal(PER_DAY, 0.4),
        place=place,
        addresses=Home(draw.bits(), place, LEASE_S),
        client=CLIENT,
        task=Till(brand, draw.pick(texts.CITIES), world.corpus.support),
        parameters={"max_tokens": 400, "temperature": 0.2},
        model="m-small",
        links={"email_domain": f"{brand.lower()}-shops.example",
               "payment": f"pay-{draw.bits():016x}"},
        organization=f"org-{account}",
        life=Life(world.start_s - DAY_S * days_ago, world.start_s, in_step=True),
    )  # fmt: skip


SCENARIO = Scenario(NAME, "lookalike", ACCOUNTS, PER_DAY, DAYS, build)
