"""Ids of exchanges: unique over processes, and in the order of time."""

import os

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u


def exchange_id(at_ns: int) -> str:
    """An id such as x-06aqvn2m4k3f8d1t7w9yb5hce0: milliseconds, then 80 random bits."""
    number = (at_ns // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    digits = [_ALPHABET[(number >> shift) & 31] for shift in range(125, -5, -5)]
    return "x-" + "".join(digits)
