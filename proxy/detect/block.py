"""From a few units that something joins to all units that the same hand runs: one dense block.

A block is refined in rounds. In each, every token gets the logarithm of how many times more often
the block's units show it than the reference population does (leaving out the unit in question), but
never more than sharing so widely is unusual for that kind of trait (`view`). A unit's best token is
what it shows in a strand; how much that speaks for or against it is the ratio of how often units of
the block and of the reference show as much (`table`), so that a little here and there, which many
have, never adds up to much. The kind of account that it is (age, tier, country) counts within
bounds. A unit belongs to the block if the sum outweighs how rare the block's units are.
"""

from dataclasses import dataclass

import numpy as np

from proxy.detect.arrays import Bools, Floats, Ints
from proxy.detect.kinds import EVIDENT, Strand
from proxy.detect.scale import OWN, STEPS
from proxy.detect.view import View

ROUNDS = 5
LEAST_UNITS = 5
PRIOR_UNITS = 2.0  # a frequency in the block is drawn towards that of the population by so many
STRAND_LEAST, STRAND_MOST = -3.0, 9.0
PROFILE_LEAST, PROFILE_MOST = -4.0, 1.5
PROFILE_OF_KIND = (-2.0, 0.7)
LEAST_SUM = 6.0
OVER_PRIOR = 4.5
SUSPECT = 3.0  # nats below the bar, from which on a unit is not asked what is usual
STAYING = 1.5  # nats


@dataclass(slots=True)
class Block:
    """Units of one hand, and what says so.

    `lift` is the evidence of each pair of the view in nats, `strands` the most of it that each unit
    shows by strand, `table` what showing so much says (a row for each strand, by `STEPS`), `score`
    its sum with all else, `bar` what it had to reach.
    """

    inside: Bools
    lift: Floats
    strands: Floats
    table: Floats
    score: Floats
    bar: float

    @property
    def size(self) -> int:
        """How many units."""
        return int(self.inside.sum())


def refine(
    seen: View, seed: Bools, free: Bools, jitter: float = 1.0, *, known: bool = False
) -> Block | None:
    """The block that a seed grows or shrinks to, among units that are `free`; None if nothing is.

    `jitter` is a factor on the bar, near 1, that nobody outside can know. Units of a `known`
    cluster stay in it a little below the bar, so that nobody comes and goes with every step.
    """
    stays = seed if known else np.zeros_like(seed)
    inside = seed & free
    block: Block | None = None
    suspects = inside
    for _ in range(ROUNDS):
        if inside.sum() < LEAST_UNITS:
            return None
        block = _round(seen.without(suspects), inside, free, stays, jitter)
        suspects = block.inside | (block.score >= block.bar - SUSPECT)
        if (block.inside == inside).all():
            break
        inside = block.inside
    return block if block is not None and block.size >= LEAST_UNITS else None


def _round(seen: View, inside: Bools, free: Bools, stays: Bools, jitter: float) -> Block:
    size = float(inside.sum())
    ratio = _ratios(seen, inside, size)
    lift = np.where(seen.n[seen.token] >= 2, np.minimum(ratio, seen.nats), 0.0)
    lift[seen.strand == Strand.PROFILE] = 0.0
    strands = seen.by_strand(lift)
    step = np.searchsorted(STEPS, strands, side="right")
    table = np.array([_table(seen, step[:, strand], inside) for strand in EVIDENT])
    score = _profile(seen, ratio)
    said = np.array([table[strand, step[:, strand]] for strand in EVIDENT])
    # Who shares a card with others, as the block's units do, but not with them, may be the next
    # batch of the same hand: it does not count against him.
    dealt = seen.by_strand(seen.nats)[:, Strand.RELATION] >= OWN
    said[Strand.RELATION, dealt] = np.maximum(said[Strand.RELATION, dealt], 0.0)
    score += said.sum(axis=0)
    rarity = np.log(max(seen.active - size, 1.0) / size)
    bar = max(LEAST_SUM, rarity + OVER_PRIOR) * jitter
    return Block(free & (score + STAYING * stays >= bar), lift, strands, table, score, bar)


def _table(seen: View, step: Ints, inside: Bools) -> Floats:
    """What each step says: how often the block's units are on it, over how often others are.

    It never falls, since showing more is never less evidence.
    """
    steps = len(STEPS) + 1
    held = np.bincount(step[inside], minlength=steps)
    others = np.bincount(step[seen.reference & ~inside], minlength=steps)
    elsewhere = (others + 0.5) / (others.sum() + 0.5 * steps)
    among = (held + PRIOR_UNITS * elsewhere) / (held.sum() + PRIOR_UNITS)
    ratio = np.log(among / elsewhere)
    return np.clip(np.maximum.accumulate(ratio), STRAND_LEAST, STRAND_MOST)


def _ratios(seen: View, inside: Bools, size: float) -> Floats:
    """Of each pair: log of its token's frequency among the others of the block over elsewhere."""
    own = inside[seen.unit]
    held = np.bincount(seen.token[own], minlength=len(seen.n))[seen.token] - own
    frequency = seen.frequency[seen.token]
    among = held + PRIOR_UNITS * frequency
    return np.log(among / (size - own + PRIOR_UNITS)) - np.log(frequency)


def _profile(seen: View, ratio: Floats) -> Floats:
    """What the kind of account says, bounded: it never makes evidence by itself."""
    at = np.flatnonzero(seen.strand == Strand.PROFILE)
    said = np.clip(ratio[at], *PROFILE_OF_KIND)
    return np.clip(np.bincount(seen.unit[at], said, seen.units), PROFILE_LEAST, PROFILE_MOST)
