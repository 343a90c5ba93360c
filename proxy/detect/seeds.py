"""Where to look: tokens whose users are unusual in another strand more often than chance allows.

Most honest groups (a tutorial's readers, a program's users, a carrier's customers) are unusual in
the strand that makes them a group, and in all others as usual as everybody else. A group whose
members are unusual in a second strand too is a seed: those of its members that are. Each group is
compared with all units that are not in it, so that no group, however large, makes itself usual; and
at several levels of what is unusual, of which the clearest counts.
"""

from dataclasses import dataclass

import numpy as np

from proxy.detect.arrays import Bools, Floats, Ints
from proxy.detect.kinds import EVIDENT, Strand
from proxy.detect.view import STRANDS, View

LEVELS = (0.80, 0.90, 0.95, 0.98, 0.995)  # shares of units that are less unusual
LEAST_NATS = 0.5  # below which nothing is unusual
LEAST_OBSERVED = 4
LEAST_Z = 5.0
TELLING = 0.5  # nats below which a token's group is no group


@dataclass(frozen=True, slots=True)
class Seeds:
    """Tokens worth a look, best first, each with its level, and who is unusual at each level.

    `elsewhere` has a table for each level: (units, strands), unusual in a strand other than this.
    """

    tokens: Ints
    z: Floats
    level: Ints
    elsewhere: list[Bools]

    def units(self, seen: View, at: int, pairs: slice) -> Ints:
        """The units of the seed `at`; `pairs` are those of its token."""
        unit, strand = seen.unit[pairs], seen.strand[pairs]
        found: Ints = unit[self.elsewhere[self.level[at]][unit, strand]]
        return found


def seeds(seen: View, free: Bools) -> Seeds:
    """Where to look among units that are `free`."""
    tokens = len(seen.n)
    telling = np.bincount(seen.token, seen.nats >= TELLING, tokens) > 0
    live = free[seen.unit] & (seen.strand != Strand.PROFILE) & telling[seen.token]
    at = np.flatnonzero(live)
    token, unit, strand = seen.token[at], seen.unit[at], seen.strand[at]
    n = np.bincount(token, minlength=tokens)
    strand_of = np.zeros(tokens, np.int64)
    strand_of[token] = strand
    tables = _elsewhere(seen, free)
    best, level = np.full(tokens, -np.inf), np.zeros(tokens, np.int64)
    for number, table in enumerate(tables):
        observed = np.bincount(token, table[unit, strand], tokens)
        everyone = table[free].sum(axis=0)[strand_of]
        rate = (everyone - observed + 0.5) / np.maximum(free.sum() - n + 1.0, 1.0)
        z = (observed - n * rate) / np.sqrt(n * rate + 1.0)
        better = (observed >= LEAST_OBSERVED) & (z > best)
        best[better], level[better] = z[better], number
    good = np.flatnonzero(best >= LEAST_Z)
    good = good[np.lexsort((seen.hashes[good], -best[good]))]
    return Seeds(good, best[good], level[good], tables)


def _elsewhere(seen: View, free: Bools) -> list[Bools]:
    """At each level whether a unit is unusual in a strand other than each."""
    most = seen.by_strand(seen.nats)
    tables: list[Bools] = []
    for level in LEVELS:
        unusual = np.zeros_like(most, np.bool_)
        for strand in EVIDENT:
            bar = np.quantile(most[free, strand], level, method="higher") if free.any() else 0.0
            unusual[:, strand] = most[:, strand] >= max(float(bar), LEAST_NATS)
        elsewhere = np.zeros((seen.units, STRANDS), np.bool_)
        for strand in EVIDENT:
            others = [other for other in EVIDENT if other != strand]
            elsewhere[:, strand] = unusual[:, others].any(axis=1)
        tables.append(elsewhere)
    return tables
