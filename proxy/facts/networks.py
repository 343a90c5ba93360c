"""Networks with a label each, found by address: the most specific one wins."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address, ip_network

CACHED_ADDRESSES = 16_384


@lru_cache(maxsize=CACHED_ADDRESSES)
def packed(ip: str) -> tuple[int, int] | None:
    """(bits, number) of an address, IPv4-mapped IPv6 as IPv4; None for any other text."""
    try:
        address = ip_address(ip.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if address.version == 6 else None
    return (32, int(mapped)) if mapped else (address.max_prefixlen, int(address))


class Networks:
    """A table for each prefix length in use, so that a look-up costs one probe for each."""

    def __init__(self, cidrs: Iterable[str] = (), label: str = "") -> None:
        self._tables: dict[int, dict[int, dict[int, str]]] = {32: {}, 128: {}}
        for cidr in cidrs:
            self.add(cidr, label)

    def add(self, cidr: str, label: str) -> str:
        """Enter a network; returns its label, the earlier one where it has one already.

        Raises ValueError for text that is no network.
        """
        network = ip_network(cidr)
        bits, number = network.max_prefixlen, int(network.network_address)
        shift = bits - network.prefixlen
        mapped = network.network_address.ipv4_mapped if network.version == 6 else None
        if mapped is not None and shift <= 32:
            bits, number = 32, int(mapped)
        table = self._tables[bits].get(shift)
        if table is None:
            self._tables[bits][shift] = table = {}
            self._tables[bits] = dict(sorted(self._tables[bits].items()))  # most specific first
        return table.setdefault(number >> shift, label)

    def find(self, ip: str) -> str | None:
        """The label of the smallest network that holds the address."""
        address = packed(ip)
        if address is None:
            return None
        bits, number = address
        for shift, table in self._tables[bits].items():
            label = table.get(number >> shift)
            if label is not None:
                return label
        return None
