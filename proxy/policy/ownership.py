"""How much of an account is owned, or controlled, from given countries.

Owners come as the way to each of them, an owner before its own owners: "0.6:SG" is a direct owner
with 60 % in SG, and "0.6:SG/0.9:XX" after it owns 90 % of that owner. The country of an owner that
is not known is "?"; it counts only where "?" is among the countries asked for. Shares are
the decimals that they are written as, and summed exactly: 0.1 and 0.4 are half.
Source: OFAC, "Revised guidance on entities owned by persons whose property and interests in
property are blocked", 13 August 2014 (50 percent or more, in the aggregate, cascading).
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from fractions import Fraction

HALF = Fraction(1, 2)
WHOLE = Fraction(1)
MAX_DEPTH = 32
_STEP = re.compile(r"([0-9]+(?:\.[0-9]+)?(?:e-[0-9]{1,3})?):([A-Z]{2}|\?)")


class OwnersError(ValueError):
    """Ways to owners that cannot be read. The text names none of them."""


@dataclass(slots=True)
class _Holder:
    share: Fraction
    country: str
    owners: list["_Holder"] = field(default_factory=list)


def owned_share(ways: Iterable[str], countries: Collection[str]) -> float:
    """The share owned from the countries, looked through every level.

    An owner in the countries counts with the product of the shares on the way to it, and hides its
    own owners, so that nothing counts twice. OwnersError for ways that cannot be read.
    """
    return float(_owned(_tree(ways), countries))


def controlled_share(ways: Iterable[str], countries: Collection[str]) -> float:
    """The share of direct owners that are in the countries, or are controlled from them.

    An owner is controlled where its own controlled share is half or more; it then counts with
    the whole of its share. OwnersError for ways that cannot be read.
    """
    return float(_controlled(_tree(ways), countries))


def _owned(holders: list[_Holder], countries: Collection[str]) -> Fraction:
    return _whole(
        holder.share * (WHOLE if holder.country in countries else _owned(holder.owners, countries))
        for holder in holders
    )


def _controlled(holders: list[_Holder], countries: Collection[str]) -> Fraction:
    return _whole(
        holder.share
        for holder in holders
        if holder.country in countries or _controlled(holder.owners, countries) >= HALF
    )


def _whole(shares: Iterable[Fraction]) -> Fraction:
    """Their sum; owners who are said to hold more than there is hold all of it."""
    return min(sum(shares, Fraction(0)), WHOLE)


def _tree(ways: Iterable[str]) -> list[_Holder]:
    """The direct owners, each with its own; siblings may be alike, so order tells whose one is."""
    top: list[_Holder] = []
    path: list[tuple[str, _Holder]] = []  # the steps of the way before, and where they led
    for way in ways:
        *above, step = way.split("/")
        if len(above) >= MAX_DEPTH or above != [text for text, _ in path[: len(above)]]:
            msg = "an owner does not follow the one that it owns"
            raise OwnersError(msg)
        del path[len(above) :]
        holder = _holder(step)
        (path[-1][1].owners if path else top).append(holder)
        path.append((step, holder))
    return top


def _holder(step: str) -> _Holder:
    found = _STEP.fullmatch(step)
    share = Fraction(found[1]) if found else WHOLE
    if found is None or share > WHOLE:
        msg = "an owner is not written as SHARE:COUNTRY"
        raise OwnersError(msg)
    return _Holder(share, found[2])
