"""Which address a client has, where proxies stand between it and us.

A header is believed only as far as trusted peers wrote it: entries are read from the right, each
naming the peer that the entry's writer saw, until one is not a trusted peer. Whatever stands
left of that is the client's own word and is not read.

`X-Forwarded-For` is read as MDN and the large proxies describe it, `Forwarded` after RFC 7239.
Where both are there and disagree, one of them was passed on unread by a trusted proxy and may be
forged: then no address is known (None), which rules treat as a missing fact. An operator whose
proxies write only one of them names it (`TrustedPeers(…, header=…)`), and the other is ignored.
"""

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from proxy.model.exchange import Headers

MAX_ENTRIES = 32  # proxies on the way; entries further left are not read
CACHED_ADDRESSES = 16_384

# From the right, so that a quote left open by the client cannot swallow what a proxy appended.
_LAST_ELEMENT = re.compile(r'[ \t]*((?:[^",\\]|"[^"\\]*")*)(?:,|\Z)')
_NODE = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::(?:\d{1,5}|_[\w.-]+))?", re.ASCII)


class ForwardedHeader(StrEnum):
    """The header that the trusted peers write; EITHER reads both and wants them to agree."""

    EITHER = "either"
    X_FORWARDED_FOR = "x-forwarded-for"
    FORWARDED = "forwarded"


class TrustedPeers:
    """Networks of the proxies whose word is taken: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7`.

    Raises ValueError naming an entry that is no network.
    """

    def __init__(
        self, cidrs: Iterable[str], *, header: ForwardedHeader = ForwardedHeader.EITHER
    ) -> None:
        self._networks = tuple(_network(cidr) for cidr in cidrs)
        self.header = header
        self._cached = lru_cache(maxsize=CACHED_ADDRESSES)(self._contains)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: str) -> bool:
        return bool(self._networks) and self._cached(address)

    def _contains(self, address: str) -> bool:
        parsed = _parsed(address)
        return parsed is not None and any(parsed in network for network in self._networks)


def client_address(peer_ip: str, headers: Headers, trusted: TrustedPeers) -> str | None:
    """The client's address in its usual form, IPv4-mapped IPv6 as IPv4.

    `peer_ip` is the other end of the connection; the headers count only if it is trusted. An
    entry that is no address (`unknown`, `_hidden`, garbage) ends the walk at the last trusted
    peer. None where two headers contradict each other (see above).
    """
    peer = canonical(peer_ip)
    if peer not in trusted:
        return peer
    found = set()
    if trusted.header is not ForwardedHeader.FORWARDED:
        found.add(_walk(peer, _entries(_joined(headers, "x-forwarded-for")), trusted))
    if trusted.header is not ForwardedHeader.X_FORWARDED_FOR:
        found.add(_walk(peer, _elements(_joined(headers, "forwarded")), trusted))
    found.discard(None)
    if len(found) > 1:
        return None
    return found.pop() if found else peer


@lru_cache(maxsize=CACHED_ADDRESSES)
def canonical(address: str) -> str:
    """An address as we write it everywhere: no zone, no mapped IPv4; other text as it is."""
    parsed = _parsed(address.partition("%")[0])
    return address if parsed is None else str(parsed)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return None if address.scope_id else address.ipv4_mapped or address
    return address


def _network(cidr: str) -> IPv4Network | IPv6Network:
    network = ip_network(cidr)
    mapped = network.network_address.ipv4_mapped if network.version == 6 else None
    if mapped is not None and network.prefixlen >= 96:
        return ip_network((mapped, network.prefixlen - 96))
    return network


def _joined(headers: Headers, name: str) -> str | None:
    """The fields of one name in order, as one list; None where they are absent or blank."""
    values = [text for field, text in headers if len(field) == len(name) and field.lower() == name]
    joined = ",".join(values)
    return joined if joined.strip(" \t,") else None


def _entries(joined: str | None) -> list[str | None] | None:
    """Addresses of X-Forwarded-For from the right, None for an entry that is none."""
    if joined is None:
        return None
    entries = joined.rsplit(",", MAX_ENTRIES)[-MAX_ENTRIES:]
    return [_node(entry.strip(" \t")) for entry in reversed(entries)]


def _elements(joined: str | None) -> Iterator[str | None] | None:
    """Addresses of Forwarded's elements from the right, None for one without an address."""
    return None if joined is None else _from_right(joined[::-1])


def _from_right(reversed_text: str) -> Iterator[str | None]:
    position = 0
    for _ in range(MAX_ENTRIES):
        element = _LAST_ELEMENT.match(reversed_text, position)
        if element is None:
            yield None
            return
        yield _for(element[1][::-1])
        position = element.end()
        if position >= len(reversed_text):
            return


def _for(element: str) -> str | None:
    """The address in `for=` of one element, or None where there is none or more than one."""
    nodes = []
    for pair in element.split(";"):
        name, _, value = pair.partition("=")
        if name.strip(" \t").lower() == "for":
            nodes.append(value.strip(" \t"))
    if len(nodes) != 1:
        return None
    quoted = len(nodes[0]) >= 2 and nodes[0][0] == nodes[0][-1] == '"'
    return _node(nodes[0][1:-1] if quoted else nodes[0])


@lru_cache(maxsize=CACHED_ADDRESSES)
def _node(text: str) -> str | None:
    """The address of `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`."""
    node = _NODE.fullmatch(text)
    parsed = _parsed((node[1] or node[2]) if node else text)
    if parsed is None or (node and node[1] and ":" not in node[1]):
        return None
    return str(parsed)


def _walk(peer: str, entries: Iterable[str | None] | None, trusted: TrustedPeers) -> str | None:
    """The first entry that is no trusted peer, from the right; None where there is no header."""
    if entries is None:
        return None
    current = peer
    for entry in entries:
        if entry is None:
            break
        current = entry
        if current not in trusted:
            break
    return current


@lru_cache(maxsize=65_536)
def network_of(address: str) -> str:
    """The network that an address is in: its /24 (IPv4) or /48 (IPv6), the least that is routed."""
    ip = ip_address(address)
    return str(ip_network((ip, 24 if ip.version == 4 else 48), strict=False))
