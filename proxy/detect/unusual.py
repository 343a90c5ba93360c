"""How unusual it is to share a trait so widely: learned, without a list of what is popular.

For a kind of trait: how many units of the reference population are themselves in a group of at
least that size by such a trait, with at least that share of their exchanges. If one honest unit in
four shares a prompt with thirty others, sharing one with thirty says nothing; if one in a thousand
shares its card with three, that says much. Unusualness is in nats: minus the logarithm of that
frequency.

Of what is asked, a third thing counts: how *skewed* the group is. Established customers are in most
honest groups in about their share of everyone; a template that hundreds send and none of them is
odd. (What the directory says is not judged by that: those whom one advertisement brought all are
new, and share where they came from.) Networks are compared with groups of about their size, since
the largest, carriers and clouds, say nothing of the smaller ones.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from proxy.detect.arrays import Bools, Floats, Ints
from proxy.detect.kinds import MAX_KINDS, Strand

MOST_NATS = 9.0
SIZES = 32  # sizes of groups are told apart by powers of two
SHARES = np.array([0.0, 0.03, 0.2, 0.6])  # least shares of a unit's exchanges that are told apart
SKEWS = np.array([0.0, 3.0, 7.0, 14.0])  # nats against so few established units in a group


@dataclass(slots=True)
class Groups:
    """How many reference units are in groups, and where each pair stands among them.

    `large` counts by least skew, least share, kind and least size; `alike` by least share, kind and
    size. Of pairs: `unit`, `token`, `kind`, `size`, `level` (of its share), `asked` (whether skew
    counts), `near` (whether it is of a network). Of tokens: `n`.
    """

    unit: Ints
    token: Ints
    kind: Ints
    size: Ints
    level: Ints
    asked: Bools
    near: Bools
    n: Ints
    large: Floats
    alike: Floats

    @classmethod
    def learned(
        cls,
        unit: Ints,
        token: Ints,
        n: Ints,
        reference_n: Ints,
        kind: Ints,
        strand: Ints,
        share: Floats,
        reference: Bools,
    ) -> Self:
        """The groups of a reference population; `n` and `reference_n` are by token."""
        of = n[token]
        size = np.minimum(np.log2(np.maximum(of, 1)).astype(np.int64), SIZES - 1)
        level = np.searchsorted(SHARES, share, side="right") - 1
        groups = cls(
            unit=unit,
            token=token,
            kind=kind,
            size=size,
            level=level,
            asked=strand == Strand.PRODUCT,
            near=strand == Strand.NETWORK,
            n=n,
            large=np.zeros(0),
            alike=np.zeros(0),
        )
        skew = groups.skew(reference_n, reference)
        groups.large, groups.alike = groups._counted(reference, skew)
        return groups

    def nats(self, reference_n: Ints, reference: Bools, without: Bools) -> Floats:
        """How unusual each pair is, in nats; 0 where the token is its unit's alone.

        `without` are units that are left out of the population that was learned from; `reference`
        and `reference_n` are those that remain.
        """
        skew = self.skew(reference_n, reference)
        large, alike = self.large, self.alike
        if without.any():
            fewer = self._counted(without, skew)
            large, alike = np.maximum(large - fewer[0], 0.0), np.maximum(alike - fewer[1], 0.0)
        population = reference.sum() + 1.0
        said = -np.log((large + 0.5) / population)[skew, self.level, self.kind, self.size]
        of_size = -np.log((alike + 0.5) / population)
        near = self.near
        said[near] = of_size[self.level[near], self.kind[near], self.size[near]]
        return np.where(self.n[self.token] >= 2, np.clip(said, 0.0, MOST_NATS), 0.0)

    def skew(self, reference_n: Ints, reference: Bools) -> Ints:
        """Steps of `SKEWS`: nats (Chernoff's bound) against so few established among others."""
        skew = np.zeros(len(self.unit), np.int64)
        at = self.asked
        own, token = reference[self.unit[at]], self.token[at]
        others, established = self.n[token] - 1, reference_n[token] - own
        usual = min(max(float(reference.mean()), 1e-6), 1 - 1e-6)
        share = np.minimum(established / np.maximum(others, 1), usual)
        with np.errstate(divide="ignore", invalid="ignore"):
            some = np.where(share > 0, share * np.log(share / usual), 0.0)
        rest = (1 - share) * np.log((1 - share) / (1 - usual))
        skew[at] = np.searchsorted(SKEWS, others * (some + rest), side="right") - 1
        return skew

    def _counted(self, units: Bools, skew: Ints) -> tuple[Floats, Floats]:
        at = np.flatnonzero(units[self.unit] & (self.n[self.token] >= 2))
        large = _large(self.unit[at], self.kind[at], self.size[at], skew[at], self.level[at])
        at = at[self.near[at]]
        return large, _alike(self.unit[at], self.kind[at], self.size[at], self.level[at])


def _large(unit: Ints, kind: Ints, size: Ints, skew: Ints, level: Ints) -> Floats:
    counts = np.zeros((len(SKEWS), len(SHARES), MAX_KINDS * SIZES))
    key = unit * MAX_KINDS + kind
    order = np.argsort(key)
    key, size, skew, level = key[order], size[order], skew[order], level[order]
    for least_skew in range(len(SKEWS)):
        at = np.flatnonzero(skew >= least_skew)
        for least in range(len(SHARES)):
            at = at[level[at] >= least]
            if len(at) == 0:
                break
            of = key[at]
            starts = np.flatnonzero(np.concatenate(([True], of[1:] != of[:-1])))
            cell = of[starts] % MAX_KINDS * SIZES + np.maximum.reduceat(size[at], starts)
            counts[least_skew, least] = np.bincount(cell, minlength=MAX_KINDS * SIZES)
    by_size = counts.reshape(len(SKEWS), len(SHARES), MAX_KINDS, SIZES)
    return np.cumsum(by_size[..., ::-1], axis=3)[..., ::-1]


def _alike(unit: Ints, kind: Ints, size: Ints, level: Ints) -> Floats:
    counts = np.zeros((len(SHARES), MAX_KINDS * SIZES))
    cell = kind * SIZES + size
    for least in range(len(SHARES)):
        at = level >= least
        once = np.unique(unit[at] * (MAX_KINDS * SIZES) + cell[at])
        counts[least] = np.bincount(once % (MAX_KINDS * SIZES), minlength=MAX_KINDS * SIZES)
    return counts.reshape(len(SHARES), MAX_KINDS, SIZES)
