"""embargo: a model that is off limits to some countries. Law, not likelihood.

At scale 1: 2,000 accounts that may not use m-large and 1,000 neighbours who may, 20 exchanges a day
each, 4 days. The barred are in an embargoed country, or hide where they are (a VPN, a Tor exit, a
rented machine of somebody without a billing country, an address in no map), or say so themselves,
or are owned from there: at 50 and 51 %, in parts that add up, or by a chain of 60 % of 60 %. Others
lose their permission in the middle of the run; it must hold within 90 minutes. Neighbours are the
same things just on the other side: 49 %, chains that control nothing, machines of known customers,
an exile, the right network next to the wrong one. Other models are free to everybody.

Each exchange carries the verdict that the law (`bench/campaigns/law`) asks for.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.campaigns import networks, work
from bench.campaigns.draw import Draw, running
from bench.campaigns.pace import DAY_S
from bench.campaigns.persona import Line, Persona
from bench.campaigns.scenario import Scenario
from bench.campaigns.stream import Cast
from bench.campaigns.world import HUMAN, Account, Person, World, unrelated

NAME = "embargo"
ACCOUNTS, NEIGHBOURS, PER_DAY, DAYS, AT_LEAST = 2_000, 1_000, 20.0, 4.0, 120
MODEL = "m-large"
OTHER_MODEL_SHARE = 0.15
REVOKED_WITHIN_S = 90 * 60.0
DENY, ALLOW, EITHER = "deny", "allow", "allow|deny"
CARRIER_NAT = "100.64"  # RFC 6598: addresses of no place
_BARRED_PREFIXES = frozenset(
    f"{network.base >> 24}.{network.base >> 16 & 255}"
    for network in (*networks.BARRED, networks.UNMAPPED)
) | {CARRIER_NAT}
# kind of account → weight; the first list may not use the model, the second may
BARRED = (
    ("resident", 5.0), ("hosting there", 3.0), ("vpn", 5.0), ("hosting", 4.0), ("unmapped", 3.0),
    ("travels", 3.0), ("declared", 2.0), ("billed", 2.0), ("owned 50", 2.0), ("owned 51", 2.0),
    ("owned in parts", 2.0), ("owned by chain", 3.0), ("revoked", 4.0),
)  # fmt: skip
NEIGHBOUR = (
    ("owned 49", 3.0), ("owned in small parts", 2.0), ("chain without control", 3.0),
    ("known host", 4.0), ("exile", 2.0), ("next network", 4.0), ("owned elsewhere", 2.0),
)  # fmt: skip


@dataclass(slots=True)
class Lawful(Persona):
    """An account whose every exchange has one right verdict. `barred`: wherever it calls from."""

    barred: bool = False
    unknown_host: bool = False  # on a rented machine, and nobody knows whose
    revoked_s: float = float("inf")

    def line(self, number: int, at_s: float) -> Line:
        """As any other; `expected` is what the law says to it."""
        self.model = "m-mid" if self.draw.chance(OTHER_MODEL_SHARE) else MODEL
        line = Persona.line(self, number, at_s)
        self.expected = self._verdict(line, at_s)
        return line

    def _verdict(self, line: Line, at_s: float) -> str:
        if at_s >= self.revoked_s + REVOKED_WITHIN_S:
            return DENY
        if at_s >= self.revoked_s:
            return EITHER
        if line["body"]["model"] != MODEL:
            return ALLOW
        prefix = line["client_ip"].rsplit(".", 2)[0]
        return DENY if self.barred or self.unknown_host or prefix in _BARRED_PREFIXES else ALLOW


class Travels:
    """At home now, behind a hidden exit then, by the day."""

    __slots__ = ("_away", "_home")

    def __init__(self, home: str, away: str) -> None:
        self._home, self._away = home, away

    def at(self, at_s: float, _draw: Draw, /) -> str:
        """The address of the day."""
        return self._away if int(at_s // (DAY_S / 3)) % 2 else self._home


def build(world: World) -> Cast:
    """Whoever is barred, with the neighbours beside."""
    plan, length_s = world.draw(NAME, "plan"), world.length_s(DAYS)
    revoked_s = world.start_s + length_s * (0.3 + 0.3 * plan.unit())
    count = world.accounts(ACCOUNTS, AT_LEAST)
    persons = [_person(world, f"em-{n:05d}", _kind(BARRED, n), revoked_s) for n in range(count)]
    free = [
        _person(world, f"en-{n:05d}", _kind(NEIGHBOUR, n), revoked_s)
        for n in range(world.accounts(NEIGHBOURS, AT_LEAST // 2))
    ]
    changes = [
        (revoked_s, person.account | {"status": "suspended"})
        for person in persons
        if isinstance(person.persona, Lawful) and person.persona.revoked_s == revoked_s
    ]
    neighbours = Cast(f"{NAME}-neighbours", "lookalike", free, length_s)
    return Cast(NAME, "campaign", persons, length_s, beside=[neighbours], changes=changes)


def _kind(kinds: tuple[tuple[str, float], ...], number: int) -> str:
    """Every kind occurs, however small the scale."""
    if number < len(kinds):
        return kinds[number][0]
    return kinds[Draw(NAME, len(kinds), number).index(running([at for _, at in kinds]))][0]


def _person(world: World, account: str, kind: str, revoked_s: float) -> Person:
    draw = world.draw(NAME, account)
    addresses = _addresses(kind, draw)
    made = unrelated(
        world, account, draw, shape=HUMAN, per_day=PER_DAY, addresses=addresses,
        task=work.Talk(world.corpus) if draw.chance(0.5) else None,
    )  # fmt: skip
    line, plain = made.account, made.persona
    persona = Lawful(
        plain.account, plain.key, plain.client, plain.headers, plain.addresses, plain.work,
        plain.pace, MODEL, plain.stream, draw, world.traces,
        barred=kind in ("declared", "billed") or kind in _OWNED,
        unknown_host=kind == "hosting",
        revoked_s=revoked_s if kind == "revoked" else float("inf"),
    )  # fmt: skip
    _declare(line, kind, draw)
    return Person(line, persona)


def _addresses(kind: str, draw: Draw) -> networks.Addresses:
    """Where an account of the kind calls from."""
    barred = draw.pick(networks.EMBARGOED)
    home = networks.address(draw, networks.country(draw), "residential")
    hidden = draw.pick([n for n in networks.BARRED if n.kind in ("vpn", "tor", "proxy")])
    match kind:
        case "resident":
            found = networks.address(draw, barred, "residential")
        case "hosting there":
            found = networks.address(draw, barred, "hosting")
        case "vpn":
            found = hidden.host(draw.bits())
        case "unmapped":
            nowhere = f"{CARRIER_NAT}.{draw.below(250)}.{1 + draw.below(250)}"
            unmapped = networks.UNMAPPED.host(draw.bits())
            found = unmapped if draw.chance(0.7) else nowhere
        case "hosting" | "known host":
            found = networks.address(draw, networks.country(draw), "hosting")
        case "travels":
            return Travels(home, hidden.host(draw.bits()))
        case "next network":
            found = networks.ORDINARY[-1].host(draw.bits())
        case _:
            found = home
    return networks.Fixed((found,))


def _declare(line: Account, kind: str, draw: Draw) -> None:
    """What the directory says of an account of the kind."""
    barred, free = draw.pick(networks.EMBARGOED), networks.country(draw)
    match kind:
        case "hosting":
            del line["billing_country"]
            line["verified"] = False
        case "declared":
            line["country"] = barred
        case "billed":
            line["billing_country"] = barred
        case "exile":
            line["links"] = line["links"] | {"phone_prefix": f"{barred} {draw.below(90) + 10}"}
        case _:
            if owners := _OWNED.get(kind) or _HELD.get(kind):
                line["owners"] = _owners(owners, line["account"], barred, free)


# Shares from the top: (share, in the embargoed country, owners of it)
Held = tuple[tuple[float, bool, Any], ...]
_OWNED: dict[str, Held] = {
    "owned 50": ((0.5, True, ()), (0.5, False, ())),
    "owned 51": ((0.51, True, ()), (0.49, False, ())),
    "owned in parts": ((0.25, True, ()), (0.26, True, ()), (0.49, False, ())),
    # Each link is controlled; the product alone, 36 %, would not show it.
    "owned by chain": ((0.6, False, ((0.6, True, ()), (0.4, False, ()))), (0.4, False, ())),
}
_HELD: dict[str, Held] = {
    "owned 49": ((0.49, True, ()), (0.51, False, ())),
    "owned in small parts": ((0.24, True, ()), (0.25, True, ()), (0.51, False, ())),
    "chain without control": ((0.6, False, ((0.49, True, ()), (0.51, False, ()))),),
    "owned elsewhere": ((1.0, False, ((1.0, False, ()),)),),
}


def _owners(held: Held, account: str, barred: str, free: str) -> list[dict[str, Any]]:
    """Owners as the directory lists them; every account has its own."""
    return [
        {
            "name": f"Holding {at} of {account}",
            "share": share,
            "country": barred if there else free,
            "owners": _owners(above, f"{at} of {account}", barred, free),
        }
        for at, (share, there, above) in enumerate(held)
    ]


LAW = Path(__file__).parents[1] / "law" / "gauger.yaml"
SCENARIO = Scenario(NAME, "campaign", ACCOUNTS, PER_DAY, DAYS, build, AT_LEAST, LAW)
