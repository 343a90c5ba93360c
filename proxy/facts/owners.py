"""The owners of an account as one flat fact: the way to each of them.

"0.6:SG" is a direct owner with 60 % in SG; "0.6:SG/0.9:XX" after it owns 90 % of that owner. An
owner stands before its own owners; a country that is not known is "?".
"""

from collections.abc import Iterator

from proxy.model.account import Owner

MAX_DEPTH = 32
MAX_OWNERS = 1000


def ways_to(owners: tuple[Owner, ...]) -> tuple[str, ...] | None:
    """The way to every owner, at any depth; None where there are more than can be followed.

    A part of the owners would look like less ownership than there is, so that it is all or none:
    the fact is then not known.
    """
    ways: list[str] = []
    for way in _ways(owners, (), 0):
        if way is None or len(ways) == MAX_OWNERS:
            return None
        ways.append(way)
    return tuple(ways)


def _ways(owners: tuple[Owner, ...], above: tuple[str, ...], depth: int) -> Iterator[str | None]:
    if owners and depth == MAX_DEPTH:
        yield None
        return
    for owner in owners:
        country = owner.country if _is_code(owner.country) else "?"
        steps = (*above, f"{owner.share + 0.0!r}:{country}")
        yield "/".join(steps)
        yield from _ways(owner.owners, steps, depth + 1)


def _is_code(country: str | None) -> bool:
    return country is not None and len(country) == 2 and country.isascii() and country.isupper()
