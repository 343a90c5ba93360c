"""A small world of accounts for the detector's tests: unrelated ones that share what people share
by accident, and hands that run many. Everything is drawn from seeds; times are whole seconds.
"""

import copy
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import msgspec

from proxy.detect.detector import Detector
from proxy.detect.index import DetectedIndex
from proxy.detect.options import DetectorOptions
from proxy.model.cluster import FoundCluster
from proxy.model.sighting import Described, Sighting
from proxy.model.trait import Trait
from tests.detect.conftest import token_of

S = 1_000_000_000
HOUR = 3_600
DAY = 24 * HOUR
START = 1_776_816_000  # a midnight
KEY = b"k" * 32
SURE = 0.9  # the score at which operators are told to act
OPTIONS = DetectorOptions(step_s=6 * HOUR, delay_s=5.0, first_slots=1 << 16)

Pool = tuple[int, ...]
Seen = tuple[Described, Sighting, tuple[int, ...]]
SKETCH = frozenset({Trait.SHINGLE, Trait.SYSTEM_SHINGLE})


def link(name: str, value: str) -> tuple[str, int]:
    """A link of the directory, as a token."""
    return name, token_of(Trait.ADDRESS, f"{name} {value}") ^ 0xABCDEF


def pool(trait: Trait, *names: str) -> Pool:
    """Tokens of a trait, of which each exchange shows one."""
    return tuple(token_of(trait, f"{trait} {name}") for name in names)


@dataclass(frozen=True)
class Face:
    """What an exchange shows: one token of each pool, and `alone` tokens that nobody else has."""

    pools: tuple[Pool, ...]
    alone: tuple[Trait, ...] = (Trait.EXACT, Trait.SHINGLE, Trait.SHINGLE)

    def but(self, *pools: Pool) -> "Face":
        """The same with other pools in place of those of the same trait."""
        mine = {one[0] & 63: one for one in self.pools}
        return replace(self, pools=tuple((mine | {one[0] & 63: one for one in pools}).values()))


@dataclass(frozen=True, eq=False)
class Actor:
    """An account, its faces with their shares of its traffic, and when it is there.

    Equal only to itself, so that what it does is drawn once for all tests.
    """

    described: Described
    faces: tuple[tuple[float, Face], ...]
    per_day: float = 8.0
    from_s: int = START
    to_s: int = START + 60 * DAY

    @property
    def name(self) -> str:
        return self.described.account


def _zipf(rng: random.Random, count: int) -> int:
    """One of `count`, small numbers more often."""
    return min(int(rng.paretovariate(0.8)) - 1, count - 1)


@lru_cache
def honest(count: int = 700, seed: int = 1, prefix: str = "h") -> tuple[Actor, ...]:
    """Unrelated accounts: popular programs, prompts and providers; now and then a shared card."""
    rng = random.Random(f"honest {seed} {prefix}")
    return tuple(_honest(rng, f"{prefix}{number:04}", number) for number in range(count))


def _honest(rng: random.Random, name: str, number: int) -> Actor:
    city, client = rng.randrange(60), _zipf(rng, 12)
    household = f"{name[:-4]} {number // 2}" if rng.random() < 0.04 else f"own {name}"
    mail = f"popular {_zipf(rng, 6)}" if rng.random() < 0.7 else f"{household}"
    links = (
        link("payment", f"{household}"),
        link("email_domain", mail),
        link("signup_ip", f"{household}"),
        link("signup_ip/24", f"city {city} {rng.randrange(8)}"),
        link("referrer", f"{_zipf(rng, 15)}"),
    )
    age_d = rng.expovariate(1 / 200) + 0.5
    country = f"{city % 8}"
    described = Described(
        name,
        links=links,
        created_at=START - age_d * DAY,
        tier=rng.choice(("free", "build", "build", "scale")),
        verified=rng.random() < 0.6,
        country=country,
        billing_country=country,
        home=pool(Trait.COUNTRY, country)[0],
    )
    where = _home(rng, name, city)
    if rng.random() < 0.3:  # a shared program brings its prompt, tools and parameters
        product = f"framework {_zipf(rng, 10)}"
        system, tools, parameters = product, product, product
    else:
        system, tools, parameters = name, f"none {_zipf(rng, 3)}", f"{_zipf(rng, 8)}"
    templates = [f"{name} {one}" for one in range(4)]
    if rng.random() < 0.08:
        templates.append(f"tutorial {_zipf(rng, 5)}")
    face = Face(
        (
            *where,
            pool(Trait.HEADERS, f"{client // 2}"),
            pool(Trait.AGENT, f"{client} {_zipf(rng, 4)}"),
            pool(Trait.SYSTEM, system),
            pool(Trait.TOOLS, tools),
            pool(Trait.TEMPLATE, *templates),
            pool(Trait.OPENING, *(f"{_zipf(rng, 80)}" for _ in range(4))),
            pool(Trait.CLOSING, *(f"{name} {one}" for one in range(6))),
            pool(Trait.MODEL, f"{_zipf(rng, 4)}"),
            pool(Trait.PARAMETERS, parameters),
            pool(Trait.SHAPE, *(f"{_zipf(rng, 9)}" for _ in range(3))),
        )
    )
    return Actor(described, ((1.0, face),), per_day=min(rng.lognormvariate(1.1, 0.8), 60))


def _home(rng: random.Random, name: str, city: int, addresses: int = 2) -> tuple[Pool, ...]:
    """Addresses of a household: now and then behind its carrier's, which many share."""
    carrier = f"{city % 8} {_zipf(rng, 3)}"
    networks = [f"{name} {one}" for one in range(addresses)]
    if rng.random() < 0.3:
        networks[0] = f"carrier {carrier}"
    return (
        pool(Trait.ADDRESS, *networks),
        pool(Trait.NETWORK, *networks),
        pool(Trait.ASN, carrier),
        pool(Trait.COUNTRY, f"{city % 8}"),
    )


def campaign(
    name: str,
    count: int = 40,
    *,
    cards_of: int = 4,
    age_d: float = 3.0,
    share: float = 1.0,
    per_day: float = 12.0,
    from_s: int = START,
    seed: int = 1,
    template: str | None = None,
    first: int = 0,
) -> list[Actor]:
    """One hand behind many accounts: a template, cards of `cards_of` (0: none), homes all over.

    They say that they live in one country, are of one tier, and not verified, as many are.
    `share` is the part of their traffic that is on the template.
    """
    rng = random.Random(f"campaign {seed} {name} {first}")
    actors = []
    for number in range(first, first + count):
        mask = _honest(rng, f"{name}-{number:04}", number)
        links = tuple(
            link("payment", f"{name} {number // cards_of}" if cards_of else mask.name)
            if what == "payment"
            else (what, token)
            for what, token in mask.described.links
        )
        created = START - age_d * DAY + rng.random() * DAY
        described = msgspec.structs.replace(
            mask.described,
            links=links,
            created_at=created,
            tier="build",
            verified=False,
            country="0",
            billing_country="0",
            home=None,
        )
        asked = template or name
        face = mask.faces[0][1]
        work = face.but(
            pool(Trait.SYSTEM, f"work {asked}"),
            pool(Trait.TEMPLATE, f"work {asked}"),
            pool(Trait.OPENING, f"work {asked}"),
            pool(Trait.CLOSING, f"work {asked}"),
        )
        faces = ((share, work), (1.0 - share, face)) if share < 1 else ((1.0, work),)
        actors.append(Actor(described, faces, per_day=per_day, from_s=from_s))
    return actors


Act = tuple[int, Described, Pool, Pool]


@lru_cache(maxsize=100_000)
def _acts(actor: Actor, from_s: int, to_s: int) -> tuple[Act, ...]:
    """(time, who, tokens, sketch) of what an account does in some time."""
    rng = random.Random(f"traffic {from_s} {actor.name}")
    begins, ends = max(from_s, actor.from_s), min(to_s, actor.to_s)
    if ends <= begins:
        return ()
    expected = actor.per_day * (ends - begins) / DAY
    acts = []
    for _ in range(int(expected) + (rng.random() < expected % 1)):
        at_s = rng.randrange(begins, ends)
        face = rng.choices([f for _, f in actor.faces], [w for w, _ in actor.faces])[0]
        tokens = [rng.choice(one) for one in face.pools]
        alone = [rng.getrandbits(58) << 6 | trait for trait in face.alone]
        tokens += [token for token in alone if token & 63 not in SKETCH]
        sketch = tuple(token for token in alone if token & 63 in SKETCH)
        acts.append((at_s, actor.described, tuple(tokens), sketch))
    return tuple(acts)


def traffic(actors: Iterable[Actor], from_s: int, to_s: int) -> list[Seen]:
    """What these accounts do, in time order; positions follow from the time."""
    acts = [act for actor in actors for act in _acts(actor, from_s, to_s)]
    acts.sort(key=lambda act: (act[0], act[1].account))
    return [
        (who, Sighting(from_s * 1000 + number, at_s * S, who.account, tokens, served=True), sketch)
        for number, (at_s, who, tokens, sketch) in enumerate(acts)
    ]


def feed(detector: Detector, seen: Sequence[Seen]) -> None:
    """Sightings without letting time pass."""
    for who, sighting, sketch in seen:
        detector.observe(who, sighting, sketch)


def drive(detector: Detector, actors: Iterable[Actor], from_s: int, to_s: int) -> DetectedIndex:
    """Let accounts act and time pass, step by step."""
    actors = list(actors)
    for at_s in range(from_s, to_s, OPTIONS.step_s):
        feed(detector, traffic(actors, at_s, at_s + OPTIONS.step_s))
        detector.advance((at_s + OPTIONS.step_s + 5) * S)
    return detector.advance((to_s + 5) * S)


@dataclass
class Run:
    """A detector that has seen some accounts for some time, and what it says."""

    detector: Detector
    actors: list[Actor]
    to_s: int
    index: DetectedIndex = field(init=False)

    def __post_init__(self) -> None:
        self.index = self.detector.advance((self.to_s + 5) * S)

    @property
    def clusters(self) -> list[FoundCluster]:
        return self.detector.clusters()

    @property
    def sure(self) -> list[FoundCluster]:
        return [one for one in self.clusters if one.cluster.score >= SURE]

    def go_on(self, days: float = 1.0, more: Iterable[Actor] = ()) -> "Run":
        """The same world later."""
        self.actors += more
        to_s = self.to_s + int(days * DAY)
        self.index = drive(self.detector, self.actors, self.to_s, to_s)
        self.to_s = to_s
        return self


def run(*groups: Sequence[Actor], days: float = 2.0, key: bytes = KEY) -> Run:
    """A new detector over these accounts, from `START` on."""
    detector = Detector(key, OPTIONS)
    actors = [actor for group in groups for actor in group]
    to_s = START + int(days * DAY)
    drive(detector, actors, START, to_s)
    return Run(detector, actors, to_s)


@lru_cache
def _planted() -> Run:
    return run(honest(), campaign("farm"))


def planted() -> Run:
    """Two days of 700 unrelated accounts and a campaign of 40 ("farm"), to go on from."""
    return copy.deepcopy(_planted())


def members(cluster: FoundCluster) -> set[str]:
    """Its accounts."""
    return {account for account, _ in cluster.members}


def names(actors: Iterable[Actor]) -> set[str]:
    """Their accounts."""
    return {actor.name for actor in actors}
