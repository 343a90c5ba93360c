"""Keyed tokens of counters: what state files and audit records call them.

A counter's own name holds an account; its token tells nobody without the key who that is. A
*mark* is how a record names the count that a charge was added to: its token (12 characters of
URL-safe base64), and what the record does not say already:

=============== ==================================================================================
``TOKEN``       a fixed window that ends at a multiple of its length
``TOKEN@END``   any other fixed window and its end (Unix seconds); no end where it never ends
``TOKEN~``      a rolling window
``TOKEN/RATE``  GCRA: what comes back in the window
(empty)         a lease, which ends with the process
=============== ==================================================================================
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from hashlib import blake2b

from msgspec import Struct

from proxy.model.plan import NEVER_NS, Charge
from proxy.model.verdict import Algorithm

TOKEN_BYTES = 9
TEXT_LENGTH = 12  # of a token in base64
CACHED = 65_536
PURPOSE = b"gauger counters"
NS_PER_S = 1_000_000_000


class Place(Struct, frozen=True, array_like=True):
    """Where something was counted, and when (Unix ns), as far as that matters to change it."""

    token: bytes
    algorithm: Algorithm
    ends_ns: int
    window_s: int
    rate: int
    at_ns: int


class Tokens:
    """The tokens under a deployment's key (which is also used for other purposes)."""

    def __init__(self, key: bytes) -> None:
        self._key = blake2b(key, digest_size=32, person=PURPOSE).digest()
        self.of = lru_cache(maxsize=CACHED)(self.computed)
        self._text = lru_cache(maxsize=CACHED)(self._computed_text)

    def computed(self, counter: str) -> bytes:
        """The token of a counter, BLAKE2b (RFC 7693) of its name; `of` is this, remembered."""
        name = counter.encode("utf-8", "surrogatepass")
        return blake2b(name, digest_size=TOKEN_BYTES, key=self._key).digest()

    def mark(self, charge: Charge) -> str:
        """How a record names the count of a charge."""
        algorithm = charge.algorithm
        if algorithm is Algorithm.CONCURRENT:
            return ""
        text = self._text(charge.counter)
        if algorithm is Algorithm.ROLLING:
            return f"{text}~"
        if algorithm is Algorithm.GCRA:
            return f"{text}/{charge.rate}"
        if charge.window_s and charge.ends_ns % (charge.window_s * NS_PER_S) == 0:
            return text
        return f"{text}@{'' if charge.ends_ns == NEVER_NS else charge.ends_ns // NS_PER_S}"

    def place(self, charge: Charge, at_ns: int) -> Place | None:
        """Where a charge is counted at a time; None for a lease, which ends with the process."""
        if charge.algorithm is Algorithm.CONCURRENT:
            return None
        return Place(
            self.of(charge.counter),
            charge.algorithm,
            charge.ends_ns,
            charge.window_s,
            charge.rate,
            at_ns,
        )

    def _computed_text(self, counter: str) -> str:
        return urlsafe_b64encode(self.of(counter)).decode("ascii")


def place_of(mark: str, window_s: int, at_ns: int) -> Place | None:
    """The place that a mark names; None for a lease. ValueError for what is no mark."""
    if not mark:
        return None
    token = urlsafe_b64decode(mark[:TEXT_LENGTH])
    if len(token) != TOKEN_BYTES:
        msg = f"not a mark of a counter: {mark}"
        raise ValueError(msg)
    kind, rest = mark[TEXT_LENGTH : TEXT_LENGTH + 1], mark[TEXT_LENGTH + 1 :]
    if kind == "~":
        return Place(token, Algorithm.ROLLING, 0, window_s, 0, at_ns)
    if kind == "/":
        return Place(token, Algorithm.GCRA, 0, window_s, int(rest), at_ns)
    if kind == "@":
        ends_ns = int(rest) * NS_PER_S if rest else NEVER_NS
    else:
        length_ns = window_s * NS_PER_S
        ends_ns = at_ns - at_ns % length_ns + length_ns
    return Place(token, Algorithm.FIXED, ends_ns, window_s, 0, at_ns)
