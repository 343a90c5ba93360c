"""Where unrelated people call from, and the addresses that they share without knowing each other.

Homes whose lease ends now and then, phones behind a carrier's NAT, machines in a cloud, platforms
that send everybody's requests through the same few addresses, and public VPNs.
"""

from functools import cache

from bench.campaigns import networks
from bench.campaigns.draw import Draw, digest, running

CARRIER_EXITS = 60  # of each country
PLATFORMS, PLATFORM_EXITS = 12, 16
VPNS, VPN_EXITS = 8, 24
LEASES_S = (86_400.0, 7 * 86_400.0, 60 * 86_400.0)
MOBILE_SHARE = 0.25
_PHONE_S = 1800.0
_PLATFORM_AT = running([1.0 / (1 + rank) for rank in range(PLATFORMS)])
_VPN_AT = running([1.0 / (1 + rank) for rank in range(VPNS)])
_CLOUD_RACKS = 96  # the /24s of a country's cloud that are given out at present
# machines in a cloud, a platform's exits, a home and a phone, a VPN
_KIND_AT = running((30.0, 14.0, 50.0, 6.0))


class Home:
    """A household whose address changes with its lease, and a phone behind a carrier's NAT."""

    __slots__ = ("_lease_s", "_name", "_place")

    def __init__(self, name: int, place: str, lease_s: float) -> None:
        self._name = name
        self._place = place
        self._lease_s = lease_s

    def at(self, at_s: float, draw: Draw, /) -> str:
        """The home's address, or one time in four the carrier's."""
        if draw.chance(MOBILE_SHARE):
            chosen = digest(self._name, "phone", int(at_s // _PHONE_S))
            return carrier(self._place)[chosen % CARRIER_EXITS]
        chosen = digest(self._name, int(at_s // self._lease_s))
        nets = networks.BY_KIND[self._place, "residential"]
        return nets[self._name % len(nets)].host(chosen)


class Shared:
    """Exits that very many customers share; each request may leave by another."""

    __slots__ = ("_exits",)

    def __init__(self, exits: tuple[str, ...]) -> None:
        self._exits = exits

    def at(self, _at_s: float, draw: Draw, /) -> str:
        """Any of them."""
        return draw.pick(self._exits)


@cache
def carrier(place: str) -> tuple[str, ...]:
    """The addresses of a country's phones."""
    draw = Draw("carrier", place)
    return tuple(networks.address(draw, place, "mobile") for _ in range(CARRIER_EXITS))


@cache
def platform(number: int) -> Shared:
    """The exits of a platform on which other people's programs run."""
    return Shared(_row("platform", number, PLATFORM_EXITS))


@cache
def vpn(number: int) -> Shared:
    """The exits of a public VPN, on rented machines."""
    return Shared(_row("vpn", number, VPN_EXITS))


def _row(kind: str, number: int, count: int) -> tuple[str, ...]:
    """Neighbouring addresses in a cloud."""
    draw = Draw(kind, number)
    network = draw.pick(networks.BY_KIND[networks.country(draw), "hosting"])
    first = 256 * draw.below(240)
    return tuple(network.host(first + 10 + at) for at in range(count))


def rack(draw: Draw, place: str) -> str:
    """A machine in a cloud: clouds fill one /24 after another."""
    network = networks.BY_KIND[place, "hosting"][0]
    return network.host(256 * (draw.below(_CLOUD_RACKS) * 2 + 1) + 1 + draw.below(250))


def ordinary(draw: Draw, place: str) -> networks.Addresses:
    """Where an unrelated account calls from."""
    match draw.index(_KIND_AT):
        case 0:
            return networks.Fixed(tuple(rack(draw, place) for _ in range(1 + draw.below(3))))
        case 1:
            return platform(draw.index(_PLATFORM_AT))
        case 2:
            return Home(draw.bits(), place, draw.pick(LEASES_S))
        case _:
            return vpn(draw.index(_VPN_AT))


def signed_up_from(draw: Draw, place: str) -> str:
    """The address of an ordinary sign-up: mostly somebody's own."""
    chosen = draw.unit()
    if chosen < 0.72:
        return networks.address(draw, place, "residential")
    if chosen < 0.86:
        return draw.pick(carrier(place))
    if chosen < 0.96:
        return networks.address(draw, place, "corporate")
    return vpn(draw.index(_VPN_AT)).at(0.0, draw)
