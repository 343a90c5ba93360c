"""An invented plan of addresses: networks with a country, an ASN and a kind.

The numbers are ordinary unicast ones, but the maps that place them are ours: they are written as
MMDB files beside the traffic, so no fact of a real network is claimed or needed.
"""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]  # has no types

from bench.campaigns.draw import Draw, digest, running

# country, hours east of UTC, weight among ordinary customers
COUNTRIES: tuple[tuple[str, int, float], ...] = (
    ("US", -6, 30.0), ("DE", 1, 8.0), ("GB", 0, 8.0), ("FR", 1, 6.0), ("IN", 5, 9.0),
    ("JP", 9, 6.0), ("BR", -3, 5.0), ("CA", -5, 4.0), ("SG", 8, 4.0), ("PL", 1, 3.0),
    ("KR", 9, 4.0), ("NG", 1, 2.0), ("ZA", 2, 2.0), ("MX", -6, 3.0), ("VN", 7, 3.0), ("SE", 1, 3.0),
)  # fmt: skip
KINDS = ("residential", "residential", "residential", "mobile", "hosting", "corporate")
FIRST_ASN = 64_500
_COUNTRY_AT = running([weight for _, _, weight in COUNTRIES])


@dataclass(frozen=True, slots=True)
class Network:
    """One /16 of one operator."""

    asn: int
    country: str
    kind: str
    base: int

    @property
    def cidr(self) -> str:
        """The network in CIDR notation."""
        return f"{ipaddress.IPv4Address(self.base)}/16"

    def host(self, number: int) -> str:
        """One of its 64,000 addresses."""
        value = self.base + 256 + number % 64_000
        return f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"


def _plan() -> tuple[Network, ...]:
    networks: list[Network] = []
    base = int(ipaddress.IPv4Address("23.0.0.0"))
    for country, _, _ in COUNTRIES:
        for kind in KINDS:
            networks.append(Network(FIRST_ASN + len(networks), country, kind, base))
            base += 1 << 16
    return tuple(networks)


# Where models may not be used, and what hides where somebody is. No ordinary customer is here.
EMBARGOED = ("IR", "KP", "SY", "CU")
_HIDING = (("vpn", "US"), ("vpn", "SG"), ("vpn", "DE"), ("tor", "SE"), ("proxy", "PL"))


def _barred(first: int, base: int) -> tuple[Network, ...]:
    kinds = [(place, kind) for place in EMBARGOED for kind in ("residential", "hosting")]
    kinds += [(place, kind) for kind, place in _HIDING]
    return tuple(
        Network(first + number, place, kind, base + (number << 16))
        for number, (place, kind) in enumerate(kinds)
    )


ORDINARY = _plan()
BARRED = _barred(FIRST_ASN + len(ORDINARY), ORDINARY[-1].base + (1 << 16))
NETWORKS = ORDINARY + BARRED
# In no map: nobody knows where it is, and many would guess.
UNMAPPED = Network(0, "?", "unknown", NETWORKS[-1].base + (1 << 16))
BY_KIND: dict[tuple[str, str], tuple[Network, ...]] = {
    (country, kind): tuple(n for n in NETWORKS if (n.country, n.kind) == (country, kind))
    for country, _, _ in COUNTRIES
    for kind in dict.fromkeys(KINDS)
} | {(n.country, n.kind): (n,) for n in BARRED if n.kind in ("residential", "hosting")}
HOURS_EAST = {country: hours for country, hours, _ in COUNTRIES}


def country(draw: Draw) -> str:
    """A country, as likely as it is among ordinary customers."""
    return COUNTRIES[draw.index(_COUNTRY_AT)][0]


def address(draw: Draw, place: str, kind: str) -> str:
    """An address of a kind of network in a country."""
    return draw.pick(BY_KIND[place, kind]).host(draw.below(64_000))


class Fixed:
    """Addresses that stay: home and office, or the few machines of a service."""

    __slots__ = ("_addresses",)

    def __init__(self, addresses: tuple[str, ...]) -> None:
        self._addresses = addresses

    def at(self, _at_s: float, draw: Draw) -> str:
        """The first address two times in three, else any of them."""
        return self._addresses[0] if draw.chance(0.66) else draw.pick(self._addresses)


class Rotating:
    """A residential proxy: another household for every session of `session_s` seconds. Other kinds
    of networks can be rented in the same way."""

    __slots__ = ("_kind", "_name", "_places", "_session_s")

    def __init__(
        self, name: str, places: tuple[str, ...], session_s: float, kind: str = "residential"
    ) -> None:
        self._kind = kind
        self._name = name
        self._places = places
        self._session_s = session_s

    def at(self, at_s: float, _draw: Draw) -> str:
        """The exit of the session that `at_s` (Unix seconds) falls in."""
        chosen = digest(self._name, int(at_s // self._session_s))
        nets = BY_KIND[self._places[chosen % len(self._places)], self._kind]
        return nets[(chosen >> 8) % len(nets)].host(chosen >> 16)


class Addresses(Protocol):
    """Where an account calls from."""

    def at(self, at_s: float, draw: Draw, /) -> str:
        """The address at `at_s`, in Unix seconds."""
        ...


def write_mmdb(folder: Path) -> tuple[Path, Path]:
    """Write country.mmdb and asn.mmdb in MaxMind's layout; returns their paths."""
    places = MMDBWriter(ip_version=4, database_type="Bench-Country", int_type="u32")
    systems = MMDBWriter(ip_version=4, database_type="Bench-ASN", int_type="u32")
    for network in NETWORKS:
        where = IPSet([network.cidr])
        places.insert_network(where, {"country": {"iso_code": network.country}})
        systems.insert_network(
            where,
            {
                "autonomous_system_number": network.asn,
                "autonomous_system_organization": f"{network.kind} {network.country}",
            },
        )
    paths = folder / "country.mmdb", folder / "asn.mmdb"
    places.to_db_file(str(paths[0]))
    systems.to_db_file(str(paths[1]))
    return paths


def write_anonymizers(folder: Path) -> Path:
    """Write anonymizers.txt: the networks of hosts, VPNs, Tor exits and proxies; returns its path.

    Residential proxies are in no list: that is what their customers pay for.
    """
    listed = (n for n in NETWORKS if n.kind in ("hosting", "vpn", "tor", "proxy"))
    path = folder / "anonymizers.txt"
    path.write_text("".join(f"{n.cidr}\t{n.kind}\n" for n in listed), encoding="utf-8")
    return path
