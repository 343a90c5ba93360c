"""eviction flood: a million accounts that send once, while a small campaign runs.

At scale 1: 200 accounts, 100 exchanges a day each, 7 days, and meanwhile a million accounts of the
same hand, each of which sends one request that is like no other (prompt, program, TLS, address) and
never returns. They are there to fill tables. They come from a few generators that change their name
with every line, so that memory does not grow with them.
"""

from dataclasses import dataclass
from functools import partial

from bench.campaigns import clients, networks, society, texts
from bench.campaigns.draw import Draw, digest
from bench.campaigns.hand import hand
from bench.campaigns.pace import DAY_S, Pace
from bench.campaigns.persona import MODELS, Line, Persona
from bench.campaigns.reword import instructions
from bench.campaigns.scenario import Scenario
from bench.campaigns.scenarios.adaptive import dressed
from bench.campaigns.stream import Cast, Many
from bench.campaigns.succession import Succession
from bench.campaigns.work import Ask, Templated
from bench.campaigns.world import (
    HUMAN,
    STEADY,
    Account,
    Person,
    World,
    credential,
    directory_line,
)

NAME = "eviction-flood"
ACCOUNTS, ONCE, PER_DAY, DAYS, AT_LEAST = 200, 1_000_000, 100.0, 7.0, 50
_SYLLABLES = tuple(a + b for a in "bdfgklmnprstv" for b in ("a", "e", "i", "o", "u", "an", "or"))


class Noise:
    """Texts that nobody has sent before."""

    def ask(self, draw: Draw) -> Ask:
        """Some invented words, under a system prompt of its own or none."""
        bits, many = draw.bits(), len(_SYLLABLES)
        chosen = [draw.bits() for _ in range(3)]
        words = [
            _SYLLABLES[part % many] + _SYLLABLES[(part >> 12) % many]
            for both in chosen
            for part in (both & 0xFFFFFFFF, both >> 32)
        ]
        system = f"{words[0]} {bits & 0xFFFF} {texts.TONES[bits % 7]}" if bits % 3 else ""
        return Ask((f"{' '.join(words)} {bits >> 32:x}?",), system)


@dataclass(slots=True)
class Swarm(Persona):
    """A generator that is another account with every line."""

    seed: int = 0
    at: int = 0  # the account of the next line
    end: int = 0

    def next_at(self) -> float:
        """When the next account comes; never once all have."""
        return self.pace.next_at(self.draw) if self.at < self.end else float("inf")

    def line(self, number: int, at_s: float) -> Line:
        """The one request of one account."""
        draw = self.draw
        self.account = once(self.at)
        self.key = credential(self.account, self.seed)
        self.client = dressed(clients.ordinary(draw), 0.8, draw)
        self.headers = self.client.render(draw.pick(self.client.versions), self.key)
        kind = "residential" if draw.chance(0.7) else "hosting"
        address = networks.address(draw, networks.country(draw), kind)
        self.addresses = networks.Fixed((address,))
        self.model = draw.pick(MODELS)
        self.at += 1
        return Persona.line(self, number, at_s)


def once(number: int) -> str:
    """The name of one of the accounts that send once."""
    return f"once-{number:07d}"


def once_line(world: World, shared: int, number: int) -> Account:
    """Its line of the directory: free, without a card; `shared` accounts have one mail domain."""
    account, draw = once(number), world.draw(NAME, "once", number)
    place = networks.country(draw)
    links = society.links(account, draw, place)
    if world.relations:
        domain = f"{digest(world.seed, NAME, 'mail', number // shared):016x}"[:9] + ".example"
        links = {"email_domain": domain, "signup_ip": links["signup_ip"]}
    created_at = world.start_s - DAY_S * (0.2 + 20.0 * draw.unit())
    if not world.relations:
        created_at = society.calendar(world.start_s, 0.0).moment(draw, place)
    key = credential(account, world.seed)
    return directory_line(account, key, place, created_at, "free", links)


def build(world: World) -> Cast:
    """The small campaign at the world's scale, with the flood beside it."""
    plan, length_s = world.draw(NAME, "plan"), world.length_s(DAYS)
    one = hand(world, NAME, "ev")
    templates = instructions(plan, plan.pick((1, 2, 5)))
    task = Templated(templates, world.corpus.harvest, in_system=plan.chance(0.5))
    shape = STEADY if plan.chance(0.6) else HUMAN

    def head(number: int, starts_s: float) -> Person:
        return one.person(number, task, shape=shape, per_day=PER_DAY, starts_s=starts_s)

    count = world.accounts(ACCOUNTS, AT_LEAST)
    cast = Succession(world, NAME, count, head).cast(NAME, length_s, one.habits.note)
    cast.beside = [_flood(world, plan, length_s)]
    return cast


def _flood(world: World, plan: Draw, length_s: float) -> Cast:
    count = world.accounts(ONCE, 20 * AT_LEAST)
    swarms = 1 + plan.below(4)
    starts_s = world.start_s + length_s * plan.pick((0.0, 0.0, 0.05, 0.2))
    per_day = count * DAY_S / (world.start_s + 0.95 * length_s - starts_s) / swarms
    persons = [
        _swarm(world, number, count * number // swarms, count * (number + 1) // swarms, starts_s,
               per_day)
        for number in range(swarms)
    ]  # fmt: skip
    shared = plan.pick((1, 20, 500))
    more = Many(count, partial(once_line, world, shared))
    note = f"{count:,} accounts that send once"
    return Cast(f"{NAME}-decoys", "decoy", persons, length_s, note=note, campaign=NAME, more=more)


def _swarm(
    world: World, number: int, first: int, end: int, starts_s: float, per_day: float
) -> Person:
    draw = world.draw(NAME, "swarm", number)
    client = clients.ordinary(draw)
    persona = Swarm(
        account=once(first), key="", client=client, headers=[], addresses=networks.Fixed(("",)),
        work=Noise(), pace=Pace(STEADY, per_day, starts_s, 0.0, draw), model=MODELS[0],
        stream=False, draw=draw, traces=world.traces, seed=world.seed, at=first, end=end,
    )  # fmt: skip
    return Person({}, persona)


SCENARIO = Scenario(NAME, "campaign", ACCOUNTS, PER_DAY, DAYS, build, AT_LEAST)
