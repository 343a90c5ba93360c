"""Who is who in the audit log: keyed pseudonyms in place of raw identifiers."""

import hmac
from functools import lru_cache

MIN_KEY_BYTES = 16
CACHED = 16_384


class Pseudonyms:
    """Names for values under one key; the same value of the same kind has the same name.

    `of(kind, value)` gives 16 hex digits: HMAC-SHA256 (RFC 2104) cut to 64 bits. Different kinds
    ("account", "address") give different names, so that equal texts do not link them.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < MIN_KEY_BYTES:
            raise ValueError(f"a pseudonym key needs at least {MIN_KEY_BYTES} bytes")
        self._key = key
        self._cached = lru_cache(maxsize=CACHED)(self._computed)

    def of(self, kind: str, value: str) -> str:
        """The pseudonym of a value of this kind."""
        return self._cached(kind, value)

    def computed(self, kind: str, value: str) -> str:
        """The same, without keeping it: for going through all there are."""
        return self._computed(kind, value)

    def _computed(self, kind: str, value: str) -> str:
        name = kind.encode()
        text = value.encode("utf-8", "surrogatepass")
        message = len(name).to_bytes(4, "big") + name + text
        return hmac.digest(self._key, message, "sha256")[:8].hex()
