"""Counts that others begin with, read where they lie; only when a count is not there yet.

They are read once for each counter and window, before the first of its charges is taken: by then
the script has counted nothing.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from proxy.model.plan import Charge
from proxy.model.verdict import Algorithm
from proxy.store.errors import StoreUnavailable
from proxy.store.redis.names import NS_PER_MS, Names
from proxy.store.redis.route import Route, Word


async def seeds_of(
    charges: Iterable[Charge], names: Names, route: Route, at_ns: int, deadline: float
) -> dict[str, Sequence[int]] | StoreUnavailable:
    """By counter: the largest of its parents' counts, as `take` wants it.

    One wave of plain reads, one for each parent.
    """
    children = [charge for charge in charges if charge.inherits]
    asked = [
        route.command(key, _words(child, key, at_ns), deadline)
        for child in children
        for key in [names.parent(child, parent) for parent in child.inherits]
    ]
    replies = await asyncio.gather(*asked)
    for reply in replies:
        if isinstance(reply, StoreUnavailable):
            return reply
    left = iter(replies)
    return {
        child.counter: _largest(child, [next(left) for _ in child.inherits]) for child in children
    }


def _words(charge: Charge, key: str, at_ns: int) -> tuple[Word, ...]:
    match charge.algorithm:
        case Algorithm.ROLLING:
            return ("HGETALL", key)
        case Algorithm.CONCURRENT:
            return ("ZCOUNT", key, f"({at_ns // NS_PER_MS}", "+inf")
        case _:
            return ("GET", key)


def _largest(charge: Charge, replies: Sequence[Any]) -> Sequence[int]:
    if charge.algorithm is Algorithm.ROLLING:
        parts = [[int(number) for number in reply] for reply in replies]
        return max(parts, key=lambda one: sum(one[1::2]))
    return [max([int(reply or 0) for reply in replies])]
