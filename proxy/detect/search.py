"""One step's search: known clusters refined anew, those that became one joined, new ones sought.

Blocks are taken one after another, each without the units of those before, so that a unit is in
one cluster. The bar of each block is moved a little by a keyed draw of its own for every epoch:
the same for whoever replays with the key, unknown to whoever feels for it.
"""

from hashlib import blake2b

import numpy as np

from proxy.detect.accounts import Accounts
from proxy.detect.arrays import Bools
from proxy.detect.assess import assess
from proxy.detect.block import refine
from proxy.detect.candidate import Candidate
from proxy.detect.kinds import Kinds, Strand
from proxy.detect.life import Life
from proxy.detect.lives import Lives
from proxy.detect.scale import OWN, STEPS
from proxy.detect.seeds import seeds
from proxy.detect.view import View

MOST_SEEDS = 8  # tried in one step
LEAST_SCORE = 0.3  # below which a block is not stated
SAME = 0.5  # of a block's units that make it the same as another
ALIKE = 0.8  # of a seed's units that a rejected block has already
JITTER = 0.1
EPOCH_S = 7 * 86_400
SAME_LINKS = 0.6
NEARLY_ALL = 0.8


def search(
    seen: View, accounts: Accounts, kinds: Kinds, lives: Lives, key: bytes
) -> list[Candidate]:
    """All clusters that the view shows."""
    free = np.ones(seen.units, np.bool_)
    found: list[Candidate] = []
    for life in lives.by_size():
        _refind(seen, accounts, kinds, life, free, found, key)
    _seek(seen, kinds, free, found, key)
    found = _joined(found)
    _recognize(seen, accounts, lives, found)
    return found


def _refind(
    seen: View,
    accounts: Accounts,
    kinds: Kinds,
    life: Life,
    free: Bools,
    found: list[Candidate],
    key: bytes,
) -> None:
    """Refine a known cluster; it is swallowed by an earlier one that has most of its units."""
    members = units_of(seen, accounts, life.members)
    if not members.any():
        return
    for candidate in found:
        if (candidate.block.inside & members).sum() > SAME * members.sum():
            candidate.swallowed = (*candidate.swallowed, life)
            return
    block = refine(seen, members, free, jitter(key, life.id), known=True)
    if block is None:
        return
    free &= ~block.inside
    found.append(Candidate(block, assess(seen, block, kinds), life))


def _seek(
    seen: View,
    kinds: Kinds,
    free: Bools,
    found: list[Candidate],
    key: bytes,
) -> None:
    """Try the best seeds; what only one strand speaks for is left, and not tried again soon."""
    where = seeds(seen, free)
    spent = np.zeros(seen.units, np.bool_)
    by_token = np.searchsorted(seen.token, np.arange(len(seen.n) + 1))
    tried = 0
    for number, token in enumerate(where.tokens):
        if tried >= MOST_SEEDS:
            return
        units = where.units(seen, number, slice(by_token[token], by_token[token + 1]))
        units = units[free[units]]
        if len(units) < 3 or spent[units].mean() >= ALIKE:
            continue
        tried += 1
        seed = np.zeros(seen.units, np.bool_)
        seed[units] = True
        block = refine(seen, seed, free, jitter(key, f"{seen.hashes[token]:x}"))
        spent |= seed
        if block is None:
            continue
        spent |= block.inside
        assessment = assess(seen.without(block.inside), block, kinds)
        if len(assessment.agreeing) < 2 or assessment.score < LEAST_SCORE:
            continue
        free &= ~block.inside
        found.append(Candidate(block, assessment, None))


def _recognize(seen: View, accounts: Accounts, lives: Lives, found: list[Candidate]) -> None:
    """Give new candidates the names of clusters that this step lost and that are in them."""
    named = {id(life) for one in found for life in (one.life, *one.swallowed)}
    for life in lives.by_size():
        if id(life) in named or life.dismissed:
            continue
        members = units_of(seen, accounts, life.members)
        for candidate in found:
            if (candidate.block.inside & members).sum() > SAME * members.sum():
                if candidate.life is None:
                    candidate.life = life
                else:
                    candidate.swallowed = (*candidate.swallowed, life)
                break


def _joined(found: list[Candidate]) -> list[Candidate]:
    """Candidates without those that are part of a larger one, which takes them whole."""
    kept: list[Candidate] = []
    for small in sorted(found, key=lambda one: -one.block.size):
        dismissed = small.life is not None and small.life.dismissed
        for large in kept:
            if not dismissed and (_taken(large, small) or _alike(large, small)):
                _take(large, small)
                break
        else:
            kept.append(small)
    return kept


def _take(large: Candidate, small: Candidate) -> None:
    """Make one of two; a name that is known already stays."""
    large.block.inside = large.block.inside | small.block.inside
    if large.life is None:
        large.life = small.life
    elif small.life is not None:
        large.swallowed = (*large.swallowed, small.life)
    large.swallowed = (*large.swallowed, *small.swallowed)


def _taken(large: Candidate, small: Candidate) -> bool:
    """Whether the larger one's evidence speaks for most units of the smaller one."""
    fits = large.block.score[small.block.inside] >= large.block.bar
    return bool(fits.mean() >= SAME)


def _alike(large: Candidate, small: Candidate) -> bool:
    """Whether both are joined by the same kinds of links, and the smaller one asks as the larger.

    A hand that deals out cards and devices in small groups leaves groups that no card joins; that
    a second hand should do it in the same way, with the same rare program or template, is unlikely.
    """
    ours, theirs = large.assessment.links, small.assessment.links
    if not theirs or len(ours & theirs) < len(ours | theirs) * SAME_LINKS:
        return False
    block = large.block
    shown = block.strands[small.block.inside][:, Strand.PRODUCT]
    said = block.table[Strand.PRODUCT][np.searchsorted(STEPS, shown, side="right")]
    return bool((said >= OWN).mean() >= NEARLY_ALL)


def units_of(seen: View, accounts: Accounts, names: dict[str, float]) -> Bools:
    """Which units have one of some accounts."""
    unit_of = np.full(len(accounts), -1, np.int64)
    unit_of[seen.members] = np.repeat(np.arange(seen.units), np.diff(seen.member_at))
    rows = np.array([accounts.row[name] for name in names if name in accounts.row], np.int64)
    inside = np.zeros(seen.units, np.bool_)
    units = unit_of[rows]
    inside[units[units >= 0]] = True
    return inside


def of_epoch(key: bytes, now_s: int) -> bytes:
    """The secret from which an epoch's bars follow."""
    return blake2b(str(now_s // EPOCH_S).encode(), digest_size=32, key=key[:64]).digest()


def jitter(key: bytes, name: str) -> float:
    """A factor near 1, secret and always the same for a name and an epoch's key."""
    drawn = int.from_bytes(blake2b(name.encode(), digest_size=4, key=key[:64]).digest(), "big")
    return 1.0 + JITTER * (drawn / 0xFFFF_FFFF - 0.5)
