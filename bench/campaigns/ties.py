"""Honest accounts that belong together, declared or not: households, firms, resellers' customers.

They share cards, devices and addresses as campaigns do; what they lack is a common task.
"""

from dataclasses import dataclass, field

from bench.campaigns import networks, society, work
from bench.campaigns.draw import Draw, running
from bench.campaigns.networks import Addresses, Fixed
from bench.campaigns.pace import DAY_S

HOUSEHOLDS, FIRMS, RESOLD = 0.03, 0.06, 0.015  # of the accounts
RESELLERS = 12
_HOUSEHOLD_AT = running((60.0, 22.0, 10.0, 5.0, 3.0))  # 2 to 6 accounts
_FIRM_MOST = 40
_RESELLER_AT = running([1.0 / (1 + rank) for rank in range(RESELLERS)])


@dataclass(frozen=True, slots=True)
class Tie:
    """What one account shares with others. `opened_s` is a time near which it was opened."""

    links: dict[str, str] = field(default_factory=dict)
    organization: str | None = ""
    place: str | None = None
    addresses: Addresses | None = None
    task: work.Work | None = None
    opened_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Group:
    """What the members of one group may share."""

    name: str
    place: str
    card: str
    device: str
    address: str
    opened_s: float
    organization: str | None = None
    domain: str = ""
    task: work.Work | None = None


def ties(count: int, start_s: float, draw: Draw) -> dict[int, Tie]:
    """The ties of those of `count` accounts that have any, by number."""
    found: dict[int, Tie] = {}
    found |= _households(0, round(count * HOUSEHOLDS), start_s, draw)
    found |= _firms(len(found), len(found) + round(count * FIRMS), start_s, draw)
    found |= _resold(len(found), len(found) + round(count * RESOLD), draw)
    return found


def _households(first: int, end: int, start_s: float, draw: Draw) -> dict[int, Tie]:
    """Families and tiny firms: a card or a device in common, and the address of a home.

    Some of them declare organizations, each another: two freelancers at one table.
    """
    found: dict[int, Tie] = {}
    while first + len(found) < end - 1:
        size = min(2 + draw.index(_HOUSEHOLD_AT), end - first - len(found))
        group = _group("home", draw, start_s)
        how = draw.below(3)  # card, device, both
        for _ in range(size):
            links = {"signup_ip": group.address} if draw.chance(0.6) else {}
            if how != 1:
                links["payment"] = group.card
            if how != 0:
                links["device"] = group.device
            own = networks.address(draw, group.place, "mobile")
            addresses = Fixed((group.address, own)) if draw.chance(0.7) else None
            found[first + len(found)] = Tie(links, place=group.place, addresses=addresses)
    return found


def _firms(first: int, end: int, start_s: float, draw: Draw) -> dict[int, Tie]:
    """Companies with several accounts, which most of them declare."""
    found: dict[int, Tie] = {}
    while first + len(found) < end - 1:
        size = min(int(2 / (1.0 - draw.unit()) ** 0.8), _FIRM_MOST, end - first - len(found))
        group = _firm(draw, start_s)
        for _ in range(size):
            found[first + len(found)] = _employee(group, draw)
    return found


def _firm(draw: Draw, start_s: float) -> _Group:
    plain = _group("firm", draw, start_s)
    number = draw.bits()
    return _Group(
        plain.name,
        plain.place,
        plain.card,
        plain.device,
        networks.address(draw, plain.place, "corporate"),
        plain.opened_s,
        f"org-{number:016x}" if draw.chance(0.85) else None,
        f"firm-{number:016x}.example" if draw.chance(0.8) else "",
    )


def _employee(group: _Group, draw: Draw) -> Tie:
    links = {"payment": group.card} if draw.chance(0.7) else {}
    if group.domain:
        links["email_domain"] = group.domain
    if draw.chance(0.5):
        links["signup_ip"] = group.address
    office = Fixed((group.address, networks.address(draw, group.place, "residential")))
    return Tie(
        links,
        group.organization,
        group.place if draw.chance(0.9) else None,
        office if draw.chance(0.6) else None,
        group.task,
        group.opened_s + DAY_S * 3 * draw.unit() if draw.chance(0.5) else None,
    )


def _resold(first: int, end: int, draw: Draw) -> dict[int, Tie]:
    """Customers of a few resellers, who pay for all of theirs with one token."""
    found: dict[int, Tie] = {}
    for number in range(first, end):
        reseller = draw.index(_RESELLER_AT)
        links = {"payment": f"reseller-{reseller}"}
        if draw.chance(0.8):
            links["referrer"] = f"r-reseller-{reseller}"
        found[number] = Tie(links)
    return found


def _group(kind: str, draw: Draw, start_s: float) -> _Group:
    place = networks.country(draw)
    number = draw.bits()
    opened_s = society.calendar(start_s, 0.0).moment(draw, place)
    return _Group(
        f"{kind}-{number:016x}",
        place,
        f"pay-{draw.bits():016x}",
        f"d-{draw.bits():016x}",
        networks.address(draw, place, "residential"),
        min(opened_s, start_s - 4 * DAY_S),
    )
