"""Where an exchange comes from, as tokens: its address, the networks it is in, and their kind."""

from functools import lru_cache
from typing import NamedTuple

from proxy.facts.address import network_of
from proxy.facts.token import token_of
from proxy.model.facts import NO_ANONYMIZER
from proxy.model.trait import Trait

MAX_CACHED = 16_384


class Place(NamedTuple):
    """A client's address and what is known of it; None for what is not."""

    address: str | None = None
    country: str | None = None
    asn: int | None = None
    anonymizer: str | None = None


@lru_cache(maxsize=MAX_CACHED)
def network_tokens(place: Place, key: bytes) -> tuple[int, ...]:
    """The tokens of a place, kept by it. An address that no list has is no trait."""
    if place.address is None:
        return ()
    found = [token_of(Trait.ADDRESS, place.address, key)]
    try:
        found.append(token_of(Trait.NETWORK, network_of(place.address), key))
    except ValueError:  # no address, but a name that a socket gave
        return tuple(found)
    if place.asn is not None:
        found.append(token_of(Trait.ASN, str(place.asn), key))
    if place.country is not None:
        found.append(token_of(Trait.COUNTRY, place.country, key))
    if place.anonymizer is not None and place.anonymizer != NO_ANONYMIZER:
        found.append(token_of(Trait.ANONYMIZER, place.anonymizer, key))
    return tuple(found)
