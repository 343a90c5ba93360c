"""Names of keys: what a counter and a slot are called, as keyed tokens that tell nobody who.

A key is `{prefix:SLOT}:COUNTER`, where SLOT and COUNTER are keyed BLAKE2b of 12 bytes, in
base64url; a fixed window has its end (Unix ms, hex) behind it. The braces make Redis Cluster keep
all keys of a slot on one node.
"""

from base64 import urlsafe_b64encode
from functools import lru_cache
from hashlib import blake2b

from proxy.model.plan import NEVER_NS, Charge
from proxy.model.verdict import Algorithm

TOKEN_BYTES = 12
TOKENS_HELD = 65_536
NS_PER_MS = 1_000_000
FIXED = Algorithm.FIXED


class Names:
    """Names under one prefix and one key, which is not the key of anything else.

    `slot` tells how the keys of a slot begin; `everything` is how those begin that are of no slot.
    """

    def __init__(self, key: bytes, prefix: str) -> None:
        own_key = blake2b(key, digest_size=32, person=b"gauger.store").digest()

        def token(text: str) -> str:
            digest = blake2b(
                text.encode("utf-8", "surrogatepass"), key=own_key, digest_size=TOKEN_BYTES
            ).digest()
            return urlsafe_b64encode(digest).decode()

        def begins(slot: str) -> str:
            return f"{{{prefix}:{token(slot)}}}"

        def counter_key(slot: str, counter: str, ends_ns: int) -> str:
            name = f"{self.slot(slot)}:{self._token(counter)}"
            return name if ends_ns >= NEVER_NS else f"{name}:{ends_ns // NS_PER_MS:x}"

        self._token = lru_cache(TOKENS_HELD)(token)
        self.slot = lru_cache(TOKENS_HELD)(begins)
        self._key = lru_cache(TOKENS_HELD)(counter_key)
        self.everything = f"{{{prefix}:}}"

    def charge(self, charge: Charge) -> str:
        """The key of a charge's count."""
        ends_ns = charge.ends_ns if charge.algorithm is FIXED else NEVER_NS
        return self._key(charge.slot, charge.counter, ends_ns)

    def parent(self, charge: Charge, parent: str) -> str:
        """The key of a count that a charge's own begins with."""
        ends_ns = charge.ends_ns if charge.algorithm is FIXED else NEVER_NS
        return self._key(parent_slot(charge, parent), parent, ends_ns)


def parent_slot(charge: Charge, parent: str) -> str:
    """The slot of a counter that a charge inherits.

    A counter's name is `rule|unit|subject|window`, and of a child and its parents all is the same
    but the subject; so a parent's slot stands in its name where the child's stands in its own.
    """
    begins = charge.counter.find(charge.slot)
    if not charge.slot or begins < 0:
        return charge.slot
    ends = min(at for sign in "|&" if (at := f"{parent}|".find(sign, begins)) >= 0)
    return parent[begins:ends]
