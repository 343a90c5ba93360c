"""Ids of exchanges: unique over processes, and in the order of time."""

import os
import random

# Ids must not repeat; nobody is harmed by guessing one. A system call for each would cost more
# than all the rest of an id.
_random = random.Random(os.urandom(32))  # noqa: S311 (no secret)


def exchange_id(at_ns: int) -> str:
    """An id such as x-019b3c5d2a107f3a9c41e8d2b6f0: milliseconds and 64 random bits, in hex."""
    return f"x-{at_ns // 1_000_000:012x}{_random.getrandbits(64):016x}"
