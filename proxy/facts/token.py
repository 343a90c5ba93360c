"""How a trait's value becomes a token: BLAKE2b (RFC 7693), keyed and personalized by the trait."""

from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from proxy.model.trait import CODE_MASK, Trait


def token_of(trait: int, value: str | bytes, key: bytes) -> int:
    """The keyed token of a trait's value, with its code in the low bits.

    `trait` is a code; a plain int costs less than a member of `Trait`, whose hash is slow.
    """
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    state = _begun(trait, key)()
    state.update(data)
    return int.from_bytes(state.digest(), "big") & ~CODE_MASK | trait


_CODES = frozenset(map(int, Trait))


@lru_cache(maxsize=256)
def _begun(code: int, key: bytes) -> Callable[[], Any]:
    """Keyed once and copied, which costs a quarter of keying it each time."""
    name = Trait(code).name.encode() if code in _CODES else b"lines"
    return blake2b(digest_size=8, key=key[:64], person=name[:16]).copy
