"""Accounts of a cluster by the traits that they share, few enough groups for a picture."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from proxy.investigate.found import Found
from proxy.model.cluster import Evidence

MOST_TRAITS = 16
MOST_GROUPS = 9
FEW = 12  # accounts that are drawn one by one
NAMED = 2  # accounts of a group that are named


@dataclass(frozen=True, slots=True)
class Group:
    """Accounts that show the same traits, by their place in the list of traits.

    `shows` are (place, accounts): all of them, but in a group of many sets, which is `mixed`.
    """

    accounts: int
    shows: tuple[tuple[int, int], ...]
    names: tuple[str, ...] = ()
    mixed: int = 0


@dataclass(frozen=True, slots=True)
class Grouped:
    """What is drawn. `told` says whether it is known which account shows which trait."""

    traits: tuple[Evidence, ...]
    left_out: int
    groups: tuple[Group, ...]
    told: bool


def grouped(found: Found, *, traits: int = MOST_TRAITS, groups: int = MOST_GROUPS) -> Grouped:
    """The strongest traits, by family, and the accounts by which of them they show."""
    strongest = sorted(found.evidence, key=lambda e: (-e.accounts * min(e.lift, 1e6), e.trait))
    drawn = sorted(strongest[:traits], key=lambda e: (e.family, -e.accounts, e.trait))
    left = len(found.evidence) - len(drawn)
    whose = [found.shows.get(evidence.trait) for evidence in drawn]
    if not any(whose):
        return Grouped(tuple(drawn), left, _as_one(found, drawn), told=False)
    sets = _sets(found, {n: names for n, names in enumerate(whose) if names})
    whole = sorted(sets.items(), key=lambda item: (-len(item[1]), item[0]))
    if len(found.members) <= FEW:
        groups = FEW
    kept, rest = whole[:groups], whole[groups:]
    if len(rest) == 1:
        kept, rest = whole, []
    told = [
        Group(len(names), tuple((n, len(names)) for n in shown), tuple(sorted(names)[:NAMED]))
        for shown, names in kept
    ]
    if rest:
        told.append(_mixed(rest))
    return Grouped(tuple(drawn), left, tuple(told), told=True)


def _as_one(found: Found, drawn: list[Evidence]) -> tuple[Group, ...]:
    """Where nobody wrote down who shows what: all accounts as one group, with counts."""
    size = max(found.cluster.accounts, len(found.members))
    names = tuple(name for name, _ in found.members[:NAMED])
    return (Group(size, tuple((n, e.accounts) for n, e in enumerate(drawn)), names, mixed=1),)


def _sets(
    found: Found, whose: Mapping[int, tuple[str, ...]]
) -> Mapping[tuple[int, ...], list[str]]:
    """The accounts of each set of traits; those of a trait that are no members are left out."""
    shown: dict[str, list[int]] = {name: [] for name, _ in found.members}
    for place, names in sorted(whose.items()):
        for name in names:
            if name in shown:
                shown[name].append(place)
    sets = defaultdict(list)
    for name, places in shown.items():
        sets[tuple(places)].append(name)
    return sets


def _mixed(rest: list[tuple[tuple[int, ...], list[str]]]) -> Group:
    counts: defaultdict[int, int] = defaultdict(int)
    for shown, names in rest:
        for place in shown:
            counts[place] += len(names)
    total = sum(len(names) for _, names in rest)
    return Group(total, tuple(sorted(counts.items())), mixed=len(rest))
