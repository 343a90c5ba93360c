"""The world that a run draws from, and how accounts come into it."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from bench.campaigns import clients, networks, work
from bench.campaigns.corpus import Corpus
from bench.campaigns.draw import Draw, digest
from bench.campaigns.pace import DAY_S, Pace, Profile, profile
from bench.campaigns.persona import MODELS, Persona
from bench.campaigns.traces import Traces

Account = dict[str, Any]
START_S = 1_776_816_000.0  # 2026-04-22 00:00 UTC
MAIL = ("mail.example", "post.example", "inbox.example", "letters.example", "web.example")
# Rates of a machine that is never tired, and of one that only looks like a person.
STEADY = profile("steady", 600.0, [1.0] * 144, 0.9, 1.0)
_HUMAN_HOURS: list[float] = [
    2, 1, 1, 1, 1, 3, 8, 18, 40, 70, 90, 95, 70, 80, 95, 100, 90, 75, 60, 55, 45, 30, 14, 5,
]  # fmt: skip
HUMAN = profile("human", 3600.0, _HUMAN_HOURS, 1.9, 1.0)


@dataclass(frozen=True, slots=True)
class World:
    """What every scenario of one run shares. `days` cuts longer scenarios short, or is None."""

    seed: int
    scale: float
    days: float | None
    corpus: Corpus
    traces: Traces
    start_s: float = START_S

    def draw(self, *names: object) -> Draw:
        """An independent stream of draws for this seed."""
        return Draw(self.seed, *names)

    def accounts(self, at_full_scale: int, at_least: int = 4) -> int:
        """A number of accounts at this run's scale."""
        return max(at_least, round(at_full_scale * self.scale))

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
    account: str, key: str, place: str, created_at: float, tier: str, links: dict[str, str]
) -> Account:
    """One line of accounts.jsonl."""
    return {
        "account": account,
        "organization": f"org-{account}",
        "keys": [{"id": f"k-{account}", "sha256": sha256(key.encode()).hexdigest()}],
        "tier": tier,
        "status": "active",
        "created_at": round(created_at, 3),
        "country": place,
        "billing_country": place,
        "verified": tier != "free",
        "labels": [],
        "links": links,
    }


def tier(per_day: float) -> str:
    """The tier that fits a mean rate: heavy customers have asked for more."""
    return "free" if per_day < 20 else "build" if per_day < 1500 else "scale"


def ordinary_links(account: str, draw: Draw, place: str) -> dict[str, str]:
    """Relationship facts of an unrelated account: mostly its own, now and then shared."""
    own_domain = draw.chance(0.35)
    return {
        "payment": f"pay-{digest('pay', account, draw.bits()):012x}",
        "email_domain": f"{account}.example" if own_domain else draw.pick(MAIL),
        "phone_prefix": f"{place} {draw.below(90) + 10}",
        "signup_ip": networks.address(draw, place, "residential"),
        "referrer": f"r-{draw.below(40)}",
        "device": f"d-{draw.bits():016x}",
    }


def ordinary_addresses(draw: Draw, place: str) -> networks.Fixed:
    """Where an unrelated account calls from: machines in a cloud, or a home and a phone."""
    if draw.chance(0.5):
        count = 1 + draw.below(4)
        return networks.Fixed(tuple(networks.address(draw, place, "hosting") for _ in range(count)))
    phone = networks.address(Draw("carrier", place, draw.below(60)), place, "mobile")
    return networks.Fixed((networks.address(draw, place, "residential"), phone))


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
    links: dict[str, str] | None = None,
) -> Person:
    """An account that nobody else runs. What a look-alike fixes is given, the rest is drawn."""
    place = place or networks.country(draw)
    program = client or clients.ordinary(draw)
    key = credential(account, world.seed)
    age_s = DAY_S * (5 + draw.below(700))
    line = directory_line(
        account,
        key,
        place,
        world.start_s - age_s,
        tier(per_day),
        ordinary_links(account, draw, place) | (links or {}),
    )
    shift_s = networks.HOURS_EAST[place] * 3600.0 + DAY_S * draw.below(14)
    persona = Persona(
        account=account,
        key=key,
        client=program,
        headers=program.render(draw.pick(program.versions), key),
        addresses=addresses or ordinary_addresses(draw, place),
        work=task or work.ordinary(world.corpus, draw),
        pace=Pace(shape, per_day, world.start_s, shift_s, draw),
        model=draw.pick(MODELS),
        stream=draw.chance(0.4),
        draw=draw,
        traces=world.traces,
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
