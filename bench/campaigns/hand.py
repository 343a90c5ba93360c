"""One hand: the habits by which somebody runs many accounts, drawn once for a campaign and seed.

Whoever opens fifty accounts buys cards, numbers, mail and exits in bulk, and writes one program.
How many accounts share what is drawn over the range that providers report, so that ten seeds are
ten operators. Without `World.relations` the directory says nothing that the habits would show.
"""

from dataclasses import dataclass

from bench.campaigns import clients, exits, networks, society
from bench.campaigns.clients import Client
from bench.campaigns.draw import Draw, digest
from bench.campaigns.pace import DAY_S, Pace, Profile
from bench.campaigns.persona import PLAIN, Line, Persona
from bench.campaigns.work import Work
from bench.campaigns.world import (
    MAIL,
    Account,
    Person,
    World,
    credential,
    directory_line,
    tier,
)

COUNTRIES = tuple(country for country, _, _ in networks.COUNTRIES)
EXITS = ("residential", "residential", "residential", "mobile", "machines", "machines", "mixed")
THROW_AWAY = (
    "quickbox.example", "tempo.example", "mailette.example", "oneshot.example", "nobody.example",
    "tenminutes.example", "drop.example", "sieve.example",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Habits:
    """What one operator does alike for all accounts. Counts are accounts that share one thing."""

    cards: int
    domains: tuple[str, ...]
    signups: int  # from one address
    signup_kind: str
    devices: int
    referrers: int  # codes in all
    burst: int  # accounts that sign up in one go; 1 where they trickle in
    burst_s: float
    youngest_days: float
    months: float  # over which the bursts lie
    exits: str
    places: tuple[str, ...]
    session_s: float
    machines: int  # accounts behind one rented machine
    programs: tuple[tuple[Client, str], ...]  # with versions; empty: as ordinary accounts
    model: str
    parameters: Line
    stream: float

    @property
    def note(self) -> str:
        """What readers of the figures should know."""
        program = "/".join(client.name for client, _ in self.programs) or "any program"
        return f"{self.cards} a card, {self.exits} exits, {program}"


def habits(plan: Draw) -> Habits:
    """One operator's habits."""
    burst = plan.pick((1, 15, 40, 100, 250))
    return Habits(
        cards=plan.pick((1, 2, 3, 4, 6, 8, 12, 20)),
        domains=_domains(plan),
        signups=plan.pick((1, 1, 3, 8, 25, 60)),
        signup_kind=plan.pick(("residential", "residential", "mobile", "hosting")),
        devices=plan.pick((1, 1, 1, 4, 12)),
        referrers=plan.pick((1, 2, 8, 40)),
        burst=burst,
        burst_s=600.0 * 1.8 ** plan.below(8),
        youngest_days=0.5 + plan.below(20),
        months=0.2 + 4.0 * plan.unit(),
        exits=plan.pick(EXITS),
        places=tuple(dict.fromkeys(networks.country(plan) for _ in range(2 + plan.below(6)))),
        session_s=plan.pick((300.0, 900.0, 1800.0, 7200.0, 14400.0)),
        machines=plan.pick((2, 5, 10, 25)),
        programs=_programs(plan),
        model="m-large" if plan.chance(0.85) else "m-mid",
        parameters=_parameters(plan),
        stream=plan.pick((0.0, 0.0, 0.2, 1.0)),
    )


def _domains(plan: Draw) -> tuple[str, ...]:
    match plan.below(3):
        case 0:
            return tuple(dict.fromkeys(plan.pick(THROW_AWAY) for _ in range(1 + plan.below(6))))
        case 1:
            own = digest("domain", plan.bits())
            return tuple(f"{own:016x}"[:9] + f"-{n}.example" for n in range(1 + plan.below(30)))
        case _:
            return MAIL


def _programs(plan: Draw) -> tuple[tuple[Client, str], ...]:
    count = plan.pick((1, 1, 1, 2, 3, 0))
    found = [clients.ordinary(plan) for _ in range(count)]
    return tuple((client, plan.pick(client.versions)) for client in found)


def _parameters(plan: Draw) -> Line:
    if plan.chance(0.4):
        return PLAIN
    chosen: Line = {"max_tokens": plan.pick((512, 1024, 2048, 4096))}
    if plan.chance(0.6):
        chosen["temperature"] = plan.pick((0, 0.2, 0.6, 0.7, 1.0))
    return chosen


@dataclass(frozen=True, slots=True)
class Hand:
    """Makes the accounts of one campaign. `code` begins their names."""

    world: World
    name: str
    code: str
    habits: Habits

    def draw(self, number: int) -> Draw:
        """The draws of one account."""
        return self.world.draw(self.name, number)

    def links(self, account: str, number: int, place: str, draw: Draw) -> dict[str, str]:
        """Relationship facts: everything bought in bulk is shared by some accounts."""
        if not self.world.relations:
            return society.links(account, draw, place)
        have, seed = self.habits, self.world.seed
        at = self.world.draw(self.name, "sign-up", number // have.signups)
        return {
            "payment": f"pay-{digest(seed, self.name, 'card', number // have.cards):012x}",
            "email_domain": draw.pick(have.domains),
            "phone_prefix": f"{place} {at.below(90) + 10}",
            "signup_ip": networks.address(at, at.pick(have.places), have.signup_kind),
            "referrer": f"r-{digest(self.name, seed, draw.below(have.referrers)) % 40}",
            "device": f"d-{digest(seed, self.name, 'device', number // have.devices):016x}",
        }

    def created_at(self, number: int, place: str, draw: Draw) -> float:
        """When an account signed up: in bursts, or at any time; always before the world starts."""
        have = self.habits
        if not self.world.relations:
            return society.calendar(self.world.start_s, 0.0).moment(draw, place)
        if have.burst == 1:
            days = have.youngest_days + 30.0 * have.months * draw.unit()
            return self.world.start_s - DAY_S * days
        burst = self.world.draw(self.name, "burst", number // have.burst)
        days = have.youngest_days + 30.0 * have.months * burst.unit()
        return self.world.start_s - DAY_S * days - have.burst_s * draw.unit()

    def addresses(self, number: int, place: str, draw: Draw) -> networks.Addresses:
        """The exits of an account: households or phones by the session, or rented machines."""
        have = self.habits
        kind = have.exits
        if kind == "mixed":
            kind = draw.pick(("residential", "machines"))
        if kind == "machines":
            pool = self.world.draw(self.name, "machines", number // have.machines)
            at = pool.pick(have.places)
            count = 1 + pool.below(4)
            return networks.Fixed(tuple(exits.rack(pool, at) for _ in range(count)))
        places = (place,) if draw.chance(0.5) else have.places
        name = f"{self.world.seed}/{self.name}/{number}/{draw.bits()}"
        return networks.Rotating(name, places, have.session_s, kind)

    def program(self, draw: Draw) -> tuple[Client, str]:
        """The program of an account, and its version."""
        if self.habits.programs:
            return draw.pick(self.habits.programs)
        client = clients.ordinary(draw)
        return client, draw.pick(client.versions)

    def person(
        self,
        number: int,
        task: Work,
        *,
        shape: Profile,
        per_day: float,
        starts_s: float,
        kind: type[Persona] = Persona,
    ) -> Person:
        """One account that begins to send at `starts_s`, in Unix seconds."""
        world, draw = self.world, self.draw(number)
        account = f"{self.code}-{number:06d}"
        key, place = credential(account, world.seed), draw.pick(self.habits.places)
        client, version = self.program(draw)
        line = self.line(account, number, place, per_day)
        shift_s = networks.HOURS_EAST[place] * 3600.0 + starts_s - world.start_s
        persona = kind(
            account=account,
            key=key,
            client=client,
            headers=client.render(version, key),
            addresses=self.addresses(number, place, draw),
            work=task,
            pace=Pace(shape, per_day, starts_s, shift_s + DAY_S * draw.below(7), draw),
            model=self.habits.model,
            stream=draw.chance(self.habits.stream),
            draw=draw,
            traces=world.traces,
            parameters=self.habits.parameters,
        )
        return Person(line, persona)

    def line(self, account: str, number: int, place: str, per_day: float) -> Account:
        """The account's line of the directory; nothing of its traffic depends on these draws."""
        draw = self.world.draw(self.name, "directory", number)
        links = self.links(account, number, place, draw)
        created_at = self.created_at(number, place, draw)
        key = credential(account, self.world.seed)
        return directory_line(account, key, place, created_at, tier(per_day), links)


def hand(world: World, name: str, code: str) -> Hand:
    """The hand behind the campaign `name` in a world."""
    return Hand(world, name, code, habits(world.draw(name, "habits")))
