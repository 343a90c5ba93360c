"""mixed-hydra: a reseller's accounts, with extraction hidden among the requests of its customers.

At scale 1: 20,000 accounts, 30 exchanges a day each, 30 days. 5, 10 or 25 % of them are extraction
(`mixed-hydra-5` and so on; `mixed-hydra` draws which with the seed); the rest is the ordinary work
of many end users. Whether a user stays with some accounts, how many users there are, and how many
wordings the extraction has, is drawn with the seed. Events of extraction are marked.
"""

from dataclasses import dataclass, field, replace

from bench.campaigns.draw import Draw
from bench.campaigns.habits import ordinary_habit
from bench.campaigns.hand import hand
from bench.campaigns.persona import MODELS
from bench.campaigns.scenario import Scenario
from bench.campaigns.stream import Cast
from bench.campaigns.succession import Succession
from bench.campaigns.texts import paraphrase
from bench.campaigns.work import Ask, Templated, Work
from bench.campaigns.world import HUMAN, Person, World

NAME = "mixed-hydra"
ACCOUNTS, PER_DAY, DAYS, AT_LEAST = 20_000, 30.0, 30.0, 50
SHARES = (5, 10, 25)  # per cent
KNOWN_AT_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Resale:
    """What the whole operation shares: its customers and its extraction. `users` come with a few
    heavy ones (`skew` above 1); each has work and a model of its own, whichever account serves.
    The work of some of them is kept, for speed: it can always be made again from the number."""

    world: World
    users: int
    skew: float
    sticky: int  # customers that an account serves; 0: anybody
    extraction: Templated
    share: float
    known: dict[int, tuple[Work, str]] = field(default_factory=dict)

    def customer(self, number: int) -> tuple[Work, str]:
        """What a customer does, and with which model."""
        found = self.known.get(number)
        if found is None:
            draw = Draw(self.world.seed, NAME, "user", number)
            model = draw.pick(MODELS)
            found = ordinary_habit(self.world.corpus, draw).work, model
            if len(self.known) < KNOWN_AT_MOST:
                self.known[number] = found
        return found


@dataclass(frozen=True, slots=True)
class Mixture:
    """The requests of one account."""

    resale: Resale
    number: int

    def ask(self, draw: Draw) -> Ask:
        """A customer's request, or one of the extraction."""
        resale = self.resale
        if draw.chance(resale.share):
            taken = resale.extraction.ask(draw)
            return Ask(taken.turns, taken.system, model="m-large", extraction=True)
        own, model = resale.customer(self._user(draw))
        return replace(own.ask(draw), model=model)

    def _user(self, draw: Draw) -> int:
        resale = self.resale
        if not resale.sticky:
            return int(resale.users * draw.unit() ** resale.skew)
        nth = int(resale.sticky * draw.unit() ** resale.skew)
        customer = Draw(resale.world.seed, NAME, "customer", self.number, nth)
        return customer.below(resale.users)


def scenario(name: str, per_cent: int | None) -> Scenario:
    """The scenario with a share of extraction, or one that is drawn with the seed."""

    def build(world: World) -> Cast:
        return _build(world, name, per_cent)

    return Scenario(name, "campaign", ACCOUNTS, PER_DAY, DAYS, build, AT_LEAST)


def _build(world: World, name: str, per_cent: int | None) -> Cast:
    count = world.accounts(ACCOUNTS, AT_LEAST)
    plan = world.draw(NAME, "plan")
    drawn = plan.pick(SHARES)
    share = drawn if per_cent is None else per_cent
    wordings = tuple(paraphrase(plan) for _ in range(round(plan.lognormal(40.0, 1.2)) + 1))
    resale = Resale(
        world=world,
        users=round(count * (0.5 + 4.0 * plan.unit())),
        skew=1.0 + 2.0 * plan.unit(),
        sticky=0 if plan.chance(0.5) else 2 + plan.below(30),
        extraction=Templated(wordings, world.corpus.harvest, in_system=plan.chance(0.3)),
        share=share / 100.0,
    )
    one = hand(world, NAME, "mh")

    def head(number: int, starts_s: float) -> Person:
        task = Mixture(resale, number)
        return one.person(number, task, shape=HUMAN, per_day=PER_DAY, starts_s=starts_s)

    routing = f"{resale.sticky} to an account" if resale.sticky else "any account serves any"
    note = (
        f"{share} % in {len(wordings)} wordings; {resale.users} users, {routing}; {one.habits.note}"
    )
    return Succession(world, NAME, count, head).cast(name, world.length_s(DAYS), note)


SCENARIO = scenario(NAME, None)
FIXED = tuple(scenario(f"{NAME}-{per_cent}", per_cent) for per_cent in SHARES)
