"""Sightings for the detector's tests: whole seconds, short names."""

from collections.abc import Callable
from hashlib import blake2b

import pytest

from proxy.model.sighting import Sighting
from proxy.model.trait import CODE_MASK, Trait

NS_PER_S = 1_000_000_000


def token_of(trait: Trait, name: str) -> int:
    """A token of a trait under a short name: 64 bits, the trait's code in the low ones."""
    digest = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")
    return digest & ~CODE_MASK | trait


def template(name: str) -> int:
    """The token of a template under a short name."""
    return token_of(Trait.TEMPLATE, name)


@pytest.fixture
def seen() -> Callable[..., Sighting]:
    positions = iter(range(1_000_000))

    def make(at_s: float, account: str, token: str = "aa", *, position: int | None = None):
        where = next(positions) if position is None else position
        tokens = (token_of(Trait.SYSTEM, "ff"), template(token))
        return Sighting(where, int(at_s * NS_PER_S), account, tokens, served=True)

    return make
