"""What a block amounts to: how sure it is that one hand runs it, and the evidence in words.

The score rests on the second strongest strand: evidence of one kind, however strong, has too often
an innocent cause. Where all come from one place (an office, a school), what they share in the
directory and the place itself have one cause, and only a template that dominates for longer than a
lesson or a shift takes the place of hiding.
"""

from dataclasses import dataclass

import numpy as np

from proxy.detect.arrays import Bools, Floats, Ints
from proxy.detect.block import Block
from proxy.detect.kinds import CONTENT, EVIDENT, MAX_KINDS, Derived, Kinds, Strand
from proxy.detect.scale import OWN, SHOWN
from proxy.detect.view import View
from proxy.model.cluster import Evidence
from proxy.model.trait import SKETCHED, Family, Trait

PER_NAT, MIDDLE, PER_DOUBLING = 2.5, 2.0, 0.3
LEAST_COVERAGE = 0.4
LEAST_MEAN = 1.0
SMALL = 8  # units; smaller ones are firms and families more often than campaigns
MOST_OF_SMALL = 0.8
MOST_OF_ONE_STRAND = 0.5
ONE_PLACE_NETWORKS = 2
ONE_PLACE_SHARE = 0.8
DOMINANT = 0.6
LASTING_H = 3.0
DEALT, DEALT_TO = 3, 3  # values, units to each
PLACE_LINKS = ("signup_ip", "signup_ip/24")
LISTED = 12
MOST = 0.6
OWN_LIFE, OWN_LIFE_OF_AGED = 0.08, 0.02  # of a unit's exchanges
FIRMNESS = 1.0  # nats above the bar at which a weight is 1 - 0.5/e


@dataclass(frozen=True, slots=True)
class Assessment:
    """`score` 0 to 1, the evidence strongest first, and whether all come from one place.

    `links` are the names of those that join most of the units.
    """

    score: float
    evidence: tuple[Evidence, ...]
    agreeing: tuple[Strand, ...]
    one_place: bool
    links: frozenset[str]


def assess(seen: View, block: Block, kinds: Kinds) -> Assessment:
    """What a block amounts to."""
    inside = block.inside
    shown = block.strands[inside]
    means = {s: float(shown[:, s].mean()) for s in EVIDENT}
    covers = {s: float((shown[:, s] >= SHOWN).mean()) for s in EVIDENT}
    place = one_place(seen, block)
    if place:
        means, covers = _with_one_cause(means, covers)
    agreeing = [s for s in EVIDENT if covers[s] >= LEAST_COVERAGE and means[s] >= LEAST_MEAN]
    second = sorted(means.values())[-2]
    size = block.size
    logit = PER_NAT * (min(second, 5.0) - MIDDLE) + PER_DOUBLING * (np.log2(size) - 3.5)
    score = float(1 / (1 + np.exp(-logit)))
    if len(agreeing) < 2 or (place and not _dominated(seen, block, kinds)):
        score = min(score, MOST_OF_ONE_STRAND)
    if size < SMALL:
        score = min(score, MOST_OF_SMALL)
    said = evidence(seen, block, kinds)
    links = frozenset(
        one.trait
        for one in said
        if one.family == Family.RELATIONSHIP and one.accounts >= MOST * size
    )
    return Assessment(round(score, 4), said, tuple(agreeing), place, links)


def _with_one_cause(
    means: dict[Strand, float], covers: dict[Strand, float]
) -> tuple[dict[Strand, float], dict[Strand, float]]:
    """Relationship and network as one strand: whoever shares a house shares both."""
    means, covers = dict(means), dict(covers)
    weaker = min(Strand.RELATION, Strand.NETWORK, key=lambda s: means[s])
    means[weaker] = covers[weaker] = 0.0
    return means, covers


def one_place(seen: View, block: Block) -> bool:
    """Whether nearly all of a block's exchanges come from one or two networks."""
    at = np.flatnonzero((seen.pair_kind == Trait.NETWORK) & block.inside[seen.unit])
    if len(at) == 0:
        return False
    by_network = np.sort(np.bincount(seen.token[at], seen.count[at]))[::-1]
    everything = seen.total[block.inside].sum()
    return bool(by_network[:ONE_PLACE_NETWORKS].sum() >= ONE_PLACE_SHARE * everything)


def _dominated(seen: View, block: Block, kinds: Kinds) -> bool:
    """Whether templates that only the block uses fill most of its exchanges, and not for a lesson.

    That is: for hours, or from accounts to which several cards or the like were dealt out in turn.
    """
    content = np.isin(seen.pair_kind, [*CONTENT]) & (block.lift >= OWN)
    if covered(seen, content)[block.inside].mean() < DOMINANT:
        return False
    lasting = seen.last[block.inside].max() - seen.first[block.inside].min() >= LASTING_H
    return bool(lasting or _dealt(seen, block, kinds))


def _dealt(seen: View, block: Block, kinds: Kinds) -> bool:
    """Whether several values of one link are each shared by several of the block's units."""
    place = [kinds.links[name] for name in PLACE_LINKS if name in kinds.links]
    related = (seen.strand == Strand.RELATION) & ~np.isin(seen.pair_kind, place)
    at = np.flatnonzero(related & block.inside[seen.unit] & (block.lift >= OWN))
    held = np.bincount(seen.token[at], minlength=len(seen.n))
    shared = np.flatnonzero(held >= DEALT_TO)
    return bool((np.bincount(seen.kind[shared]) >= DEALT).any())


def covered(seen: View, pairs: Bools) -> Floats:
    """The share of each unit's exchanges that some pairs stand for: the most of one kind."""
    best = np.zeros(seen.units)
    at = np.flatnonzero(pairs)
    for kind in np.unique(seen.pair_kind[at]):
        of = at[seen.pair_kind[at] == kind]
        share: Floats = np.zeros(seen.units)
        if kind in SKETCHED:  # several of an exchange
            np.maximum.at(share, seen.unit[of], seen.share[of])
        else:
            share = np.bincount(seen.unit[of], seen.share[of], seen.units)
        best = np.maximum(best, share)
    return np.minimum(best, 1.0)


def weights(seen: View, block: Block) -> Floats:
    """How much each unit belongs to a block: how sure that is, times how much of it does.

    What joins accounts in the directory covers all that they do; what exchanges show covers those
    that show it. A unit that nothing joins in the directory, and that has a life of its own
    besides, weighs less than half: so does an honest customer whose key leaked.
    """
    over = np.maximum(0.0, block.score - block.bar)
    related = block.strands[:, Strand.RELATION] >= OWN
    of_exchange = seen.pair_kind < min(Derived)
    shown = of_exchange & (block.lift >= OWN)
    part = np.where(related, 1.0, covered(seen, shown))
    beside = 1.0 - part
    own_life = (beside >= OWN_LIFE) | (seen.reference & (beside >= OWN_LIFE_OF_AGED))
    return np.where(own_life, 0.49 * part, part) * (1.0 - 0.5 * np.exp(-over / FIRMNESS))


def evidence(seen: View, block: Block, kinds: Kinds) -> tuple[Evidence, ...]:
    """Trait by trait how many of the block share it, against how many of everyone."""
    inside = block.inside[seen.unit]
    own = np.zeros(len(seen.n), np.bool_)
    at = np.flatnonzero(inside & (block.lift >= SHOWN))
    own[seen.token[at]] = True
    others = np.flatnonzero(own[seen.token] & ~inside & seen.reference[seen.unit])
    units, elsewhere = _units_by_kind(seen, at), _units_by_kind(seen, others)
    values = np.bincount(seen.kind[own], minlength=MAX_KINDS)
    population = int(seen.reference.sum())
    found: list[tuple[float, Evidence]] = []
    for kind in np.flatnonzero(units):
        said = _said(
            int(kind), kinds, int(units[kind]), block.size, int(values[kind]),
            int(elsewhere[kind]), population,
        )  # fmt: skip
        found.append((said.accounts * float(np.log(max(said.lift, 1.0))), said))
    found.sort(key=lambda pair: (-pair[0], pair[1].trait))
    return tuple(one for _, one in found[:LISTED])


def _units_by_kind(seen: View, at: Ints) -> Ints:
    """How many units have one of some pairs, by kind."""
    once = np.unique(seen.unit[at] * MAX_KINDS + seen.pair_kind[at])
    return np.bincount(once % MAX_KINDS, minlength=MAX_KINDS)


def _said(
    kind: int,
    kinds: Kinds,
    units: int,
    size: int,
    values: int,
    others: int,
    population: int,
) -> Evidence:
    lift = (units / size) / ((others + 0.5) / (population + 1.0))
    name = kinds.name(kind)
    group = "" if values == 1 else f" ({values} values)"
    verb = "show" if kind in (Derived.ROTATION, Derived.ABROAD) else "share"
    elsewhere = f"{others} of {population} others" if others else f"none of {population} others"
    why = f"{units} of {size} {verb} {name}{group}, against {elsewhere}"
    return Evidence(kinds.family(kind).value, name, units, round(float(lift), 1), why)
