"""The world that a run draws from, and how accounts come into it."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from bench.campaigns import clients, exits, habits, networks, society, work
from bench.campaigns.corpus import Corpus
from bench.campaigns.draw import Draw, digest
from bench.campaigns.pace import DAY_S, Pace, Profile, profile
from bench.campaigns.persona import MODELS, Line, Move, Persona
from bench.campaigns.traces import Traces

Account = dict[str, Any]
START_S = 1_776_816_000.0  # 2026-04-22 00:00 UTC
MAIL = society.MAIL
OWN_OR_NONE = ""
NEW_MODEL = "m-next"
RELEASE_DAYS = 5.0
# Rates of a machine that is never tired, and of one that only looks like a person.
STEADY = profile("steady", 600.0, [1.0] * 144, 0.9, 1.0)
_HUMAN_HOURS: list[float] = [
    2, 1, 1, 1, 1, 3, 8, 18, 40, 70, 90, 95, 70, 80, 95, 100, 90, 75, 60, 55, 45, 30, 14, 5,
]  # fmt: skip
HUMAN = profile("human", 3600.0, _HUMAN_HOURS, 1.9, 1.0)


@dataclass(frozen=True, slots=True)
class World:
    """What every scenario of one run shares. `days` cuts longer scenarios short, or is None.

    Without `relations`, what the directory says of a campaign's accounts (links, owners, times of
    sign-up) is as unremarkable as it is of unrelated ones.
    """

    seed: int
    scale: float
    days: float | None
    corpus: Corpus
    traces: Traces
    start_s: float = START_S
    relations: bool = True

    def draw(self, *names: object) -> Draw:
        """An independent stream of draws for this seed."""
        return Draw(self.seed, *names)

    def accounts(self, at_full_scale: int, at_least: int = 4) -> int:
        """A number of accounts at this run's scale."""
        return max(at_least, round(at_full_scale * self.scale))

    @property
    def release_s(self) -> float:
        """When the new model appears: on day 5, or half-way through a shorter run."""
        days = RELEASE_DAYS if self.days is None else min(RELEASE_DAYS, self.days / 2)
        return self.start_s + DAY_S * days

    def length_s(self, days: float) -> float:
        """How long a scenario of `days` lasts in this run, in seconds."""
        return DAY_S * (days if self.days is None else min(days, self.days))


@dataclass(frozen=True, slots=True)
class Person:
    """An account's line of the directory and, when it sends, its persona."""

    account: Account
    persona: Persona


def credential(account: str, seed: int) -> str:
    """The test key of an account."""
    return f"sk-bench-{digest('key', seed, account):016x}"


def directory_line(
    account: str,
    key: str,
    place: str,
    created_at: float,
    tier: str,
    links: dict[str, str],
    organization: str | None = OWN_OR_NONE,
) -> Account:
    """One line of accounts.jsonl. By default about half of the accounts declare an organization,
    each its own."""
    if organization == OWN_OR_NONE:
        organization = society.organization(account)
    return {
        "account": account,
        "organization": organization,
        "keys": [_key(f"k-{account}", key)],
        "tier": tier,
        "status": "active",
        "created_at": round(created_at, 3),
        "country": place,
        "billing_country": place,
        "verified": tier != "free",
        "labels": [],
        "links": links,
    }


def _key(name: str, key: str) -> dict[str, str]:
    return {"id": name, "sha256": sha256(key.encode()).hexdigest()}


def tier(per_day: float) -> str:
    """The tier that fits a mean rate: heavy customers have asked for more."""
    return "free" if per_day < 20 else "build" if per_day < 1500 else "scale"


def adoption(world: World, account: str) -> Move | None:
    """When an unrelated account goes to the new model: half within weeks, some at once, or never.

    A few try it beside the old one. Own draws, so that nothing else of the account depends on it.
    """
    draw = world.draw("adopts", account)
    if draw.chance(0.5):
        return None
    eager = draw.chance(0.15)
    lag_s = DAY_S * (draw.unit() if eager else draw.lognormal(9.0, 0.9))
    share = 0.1 + 0.8 * draw.unit() if draw.chance(0.3) else 1.0
    return Move(NEW_MODEL, world.release_s + lag_s, share)


def ordinary_links(account: str, draw: Draw, place: str) -> dict[str, str]:
    """Relationship facts of an unrelated account: mostly its own, now and then shared."""
    return society.links(account, draw, place)


def ordinary_addresses(draw: Draw, place: str) -> networks.Addresses:
    """Where an unrelated account calls from: machines in a cloud, a platform, or a home."""
    return exits.ordinary(draw, place)


def unrelated(
    world: World,
    account: str,
    draw: Draw,
    *,
    shape: Profile,
    per_day: float,
    place: str | None = None,
    addresses: networks.Addresses | None = None,
    client: clients.Client | None = None,
    task: work.Work | None = None,
    parameters: Line | None = None,
    model: str | None = None,
    links: dict[str, str] | None = None,
    organization: str | None = OWN_OR_NONE,
    life: habits.Life | None = None,
    keys: int = 1,
) -> Person:
    """An account that nobody else runs. What a look-alike fixes is given, the rest is drawn.

    A link that is given as "" is one that the account does not have. `organization` is the
    declared one, None for none; by default its own or none.
    """
    place = place or networks.country(draw)
    habit = habits.habit(world.corpus, draw, client, task, parameters)
    life = life or habits.ordinary_life(world.start_s, draw, place)
    credentials = [credential(account, world.seed)]
    credentials += [credential(f"{account}/{number}", world.seed) for number in range(1, keys)]
    known = society.links(account, draw, place)
    if advert := society.advert(draw, life.created_at):
        known["referrer"] = advert
    known |= links or {}
    line = directory_line(
        account,
        credentials[0],
        place,
        life.created_at,
        tier(per_day),
        {name: value for name, value in known.items() if value},
        organization,
    )
    line["keys"] += [
        _key(f"k-{account}-{number}", key) for number, key in enumerate(credentials[1:], 1)
    ]
    version = draw.pick(habit.client.versions)
    headers = [habit.client.render(version, key) for key in credentials]
    persona = Persona(
        account=account,
        key=credentials[0],
        client=habit.client,
        headers=headers[0],
        addresses=addresses or exits.ordinary(draw, place),
        work=habit.work,
        pace=habits.timing(world.start_s, draw, shape, per_day, place, life),
        model=model or draw.pick(MODELS),
        stream=draw.chance(0.4),
        draw=draw,
        traces=world.traces,
        move=adoption(world, account),
        parameters=habit.parameters,
        spare=tuple(headers[1:]),
    )
    return Person(line, persona)


def head(
    world: World,
    account: str,
    draw: Draw,
    *,
    shape: Profile,
    per_day: float,
    starts_s: float,
    places: tuple[str, ...],
    session_s: float,
    task: work.Work,
    model: str,
    links: dict[str, str],
    created_at: float,
) -> Person:
    """One account of a campaign, behind residential exits that change with every session."""
    program = clients.ordinary(draw)
    key = credential(account, world.seed)
    place = draw.pick(places)
    if not world.relations:
        apart = world.draw("head", account)
        links = ordinary_links(account, apart, place)
        created_at = world.start_s - DAY_S * (5 + apart.below(700))
    shift_s = networks.HOURS_EAST[place] * 3600.0 + DAY_S * draw.below(7)
    shift_s += starts_s - world.start_s
    persona = Persona(
        account=account,
        key=key,
        client=program,
        headers=program.render(draw.pick(program.versions), key),
        addresses=networks.Rotating(f"{world.seed}/{account}", places, session_s),
        work=task,
        pace=Pace(shape, per_day, starts_s, shift_s, draw),
        model=model,
        stream=draw.chance(0.2),
        draw=draw,
        traces=world.traces,
    )
    return Person(directory_line(account, key, place, created_at, tier(per_day), links), persona)
