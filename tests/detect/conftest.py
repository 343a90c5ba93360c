"""Sightings for the detector's tests: whole seconds, short names."""

from collections.abc import Callable

import pytest

from proxy.model.sighting import Sighting

NS_PER_S = 1_000_000_000


@pytest.fixture
def seen() -> Callable[..., Sighting]:
    positions = iter(range(1_000_000))

    def make(at_s: float, account: str, token: str = "aa", *, position: int | None = None):
        where = next(positions) if position is None else position
        tokens = (("system", "ff"), ("template", token))
        return Sighting(where, int(at_s * NS_PER_S), account, tokens, served=True)

    return make
