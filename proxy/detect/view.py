"""Everything that was seen, laid out for one analysis: units, tokens, and how unusual each pair is.

*Unusual* is learned (`unusual`), without a list of what is popular.
"""

from dataclasses import dataclass, replace

import numpy as np

from proxy.detect.accounts import Accounts
from proxy.detect.arrays import Bools, Floats, Ints
from proxy.detect.kinds import CONTENT, FIRST_LINK, MAX_KINDS, Derived, Kinds, Strand
from proxy.detect.options import HOUR_S, DetectorOptions
from proxy.detect.pairs import Rows
from proxy.detect.unusual import Groups
from proxy.model.trait import SKETCHED, Trait

STRANDS = len(Strand)
FINE = [int(kind) for kind in SKETCHED | {Trait.EXACT}]
LEAST_OF_FINE = 4  # units
ACTIVE = 3  # requests
SKEWED = 0.6  # of the established units that a group should have
FILLING = 0.2  # of a unit's exchanges
LEAST_KNOWN = 0.3  # of the aged units must have been seen for long enough, or all of them count
LEAST_REFERENCE = 50  # units; with fewer all units are the reference
AGES_D = np.array([1, 3, 7, 14, 30, 60, 120, 240, 480])
SHARE_STEPS = np.array([0.02, 0.1, 0.3, 0.6, 0.9])


@dataclass(slots=True)
class View:
    """Pairs (parallel arrays `unit`, `token`, …) with what is known of units and tokens.

    Pairs are sorted by token. `share` is the part of its unit's exchanges that a pair stands for,
    `nats` how unusual it is. Of tokens: `kind`, `n` units that show it, `frequency` in the
    reference population. Of units: `account` rows are in `members` from `member_at[u]` on.
    """

    unit: Ints
    token: Ints
    share: Floats
    nats: Floats
    count: Floats
    pair_kind: Ints
    hashes: Ints
    kind: Ints
    n: Ints
    reference_n: Ints
    frequency: Floats
    strand: Ints  # of pairs
    reference: Bools
    total: Floats
    first: Floats  # hours
    last: Floats
    order: Ints  # pairs by unit, then strand
    starts: Ints
    group_unit: Ints
    group_strand: Ints
    members: Ints
    member_at: Ints
    groups: Groups

    @property
    def units(self) -> int:
        """How many units."""
        return len(self.total)

    @property
    def active(self) -> int:
        """How many units sent more than a request or two; a flood of others makes nothing rarer."""
        return int((self.total >= ACTIVE).sum())

    def by_strand(self, values: Floats) -> Floats:
        """The largest value of each unit's pairs, at least 0, by strand: (units, strands)."""
        most = np.zeros((self.units, STRANDS))
        if len(self.starts):
            found = np.maximum.reduceat(values[self.order], self.starts)
            most[self.group_unit, self.group_strand] = np.maximum(found, 0.0)
        return most

    def without(self, units: Bools) -> "View":
        """The same with base rates of a population that has none of some units."""
        fewer = units & self.reference
        if not fewer.any():
            return self
        held = np.bincount(self.token[fewer[self.unit]], minlength=len(self.n))
        reference, reference_n = self.reference & ~units, self.reference_n - held
        return replace(
            self,
            reference=reference,
            reference_n=reference_n,
            frequency=(reference_n + 0.5) / (reference.sum() + 1.0),
            nats=self.groups.nats(reference_n, reference, fewer),
        )

    def rows_of(self, unit: int) -> Ints:
        """The account rows of a unit."""
        return self.members[self.member_at[unit] : self.member_at[unit + 1]]


def view(
    rows: Rows,
    accounts: Accounts,
    kinds: Kinds,
    options: DetectorOptions,
    now_s: int,
    clustered: Bools,
) -> View | None:
    """The view at a time; None while nobody was seen.

    `clustered` says for each account whether it is in an open cluster: it is then no reference.
    """
    alive = accounts["last"] >= (now_s - options.horizon_s) // HOUR_S
    members = np.flatnonzero(alive)
    if len(members) == 0:
        return None
    _, unit_of_member = np.unique(accounts["unit"][members], return_inverse=True)
    members = members[np.argsort(unit_of_member, kind="stable")]
    unit_of_member = np.sort(unit_of_member)
    size = int(unit_of_member[-1]) + 1
    unit_of = np.full(len(accounts), -1, np.int64)
    unit_of[members] = unit_of_member
    member_at = np.searchsorted(unit_of_member, np.arange(size + 1))
    firsts = members[member_at[:-1]]
    total = np.bincount(unit_of_member, accounts["total"][members], size)
    reference = _reference(accounts, firsts, options, now_s, clustered)
    unit, hashes, kind, count = _pairs(rows, unit_of, size)
    derived = _derived(accounts, firsts, members, unit_of_member, size, now_s, total)
    unit = np.concatenate((unit, derived[0]))
    hashes = np.concatenate((hashes, derived[1]))
    kind = np.concatenate((kind, derived[2]))
    count = np.concatenate((count, total[derived[0]]))
    return _measured(
        unit, hashes, kind, count, total, reference, kinds, options,
        first=np.minimum.reduceat(accounts["first"][members], member_at[:-1]).astype(np.float64),
        last=np.maximum.reduceat(accounts["last"][members], member_at[:-1]).astype(np.float64),
        members=members, member_at=member_at,
    )  # fmt: skip


def _measured(
    unit: Ints,
    hashes: Ints,
    kind: Ints,
    count: Floats,
    total: Floats,
    reference: Bools,
    kinds: Kinds,
    options: DetectorOptions,
    *,
    first: Floats,
    last: Floats,
    members: Ints,
    member_at: Ints,
) -> View:
    share = np.minimum(count / np.maximum(total[unit], 1.0), 1.0)
    share[kind >= FIRST_LINK] = 1.0
    keep = ~_left_out(kinds, options)[kind] & _worth(unit, hashes, kind, share, reference)
    unit, hashes, kind, count, share = (
        column[keep] for column in (unit, hashes, kind, count, share)
    )
    begins = _begins(hashes)
    token = np.cumsum(begins) - 1
    n = np.bincount(token)
    reference_n = np.bincount(token, reference[unit]).astype(np.int64)
    population = int(reference.sum())
    strand = np.array(kinds.strands(), np.uint8)[kind]
    kind = kind.astype(np.int64)
    groups = Groups.learned(unit, token, n, reference_n, kind, strand, share, reference)
    nats = groups.nats(reference_n, reference, np.zeros_like(reference))
    key = unit * STRANDS + strand
    order = np.argsort(key)
    grouped = key[order]
    starts = np.flatnonzero(np.concatenate(([True], grouped[1:] != grouped[:-1])))[: len(key)]
    return View(
        unit=unit, token=token, share=share, nats=nats, count=count, pair_kind=kind,
        hashes=hashes[begins], kind=kind[begins], n=n, reference_n=reference_n,
        frequency=(reference_n + 0.5) / (population + 1.0),
        strand=strand, reference=reference, total=total, first=first, last=last,
        order=order, starts=starts, group_unit=grouped[starts] // STRANDS,
        group_strand=grouped[starts] % STRANDS, members=members, member_at=member_at,
        groups=groups,
    )  # fmt: skip


def _begins(hashes: Ints) -> Bools:
    """Where a new token begins in a column."""
    if len(hashes) == 0:
        return np.zeros(0, np.bool_)
    return np.concatenate(([True], hashes[1:] != hashes[:-1]))


def _worth(unit: Ints, hashes: Ints, kind: Ints, share: Floats, reference: Bools) -> Bools:
    """Which pairs can say anything.

    Of what is in texts most is shared by chance: phrases by two or three accounts, and what
    established customers say as often as others, unless it fills a good part of somebody's
    exchanges.
    """
    if len(hashes) == 0:
        return np.zeros(0, np.bool_)
    begins = _begins(hashes)
    starts, number = np.flatnonzero(begins), np.cumsum(begins) - 1
    of, n = kind[starts], np.bincount(number)
    usual = np.bincount(number, reference[unit]) >= n * reference.mean() * SKEWED
    small = np.maximum.reduceat(share, starts) < FILLING
    rare = np.isin(of, FINE) & (n < LEAST_OF_FINE)
    worth: Bools = ~(rare | (np.isin(of, [*CONTENT, *FINE]) & usual & small))
    of_pairs: Bools = worth[number]
    return of_pairs


def _left_out(kinds: Kinds, options: DetectorOptions) -> Bools:
    """Kinds that an ablation leaves out, by family, name of a trait or of a link."""
    out = np.zeros(MAX_KINDS, np.bool_)
    if options.without:
        for kind in range(MAX_KINDS):
            try:
                names = {kinds.name(kind), kinds.family(kind).value}
            except (ValueError, StopIteration):
                continue
            out[kind] = bool(names & options.without)
    return out


def _reference(
    accounts: Accounts, firsts: Ints, options: DetectorOptions, now_s: int, clustered: Bools
) -> Bools:
    """Units that base rates are learned from: aged, in no open cluster, and not seen since today.

    So a surge does not vote on its own normality, whoever it consists of.
    """
    free = ~clustered[firsts]
    created = accounts["created"][firsts]
    aged = free & (now_s - created >= options.reference_age_s)  # NaN is not aged
    known = aged & (now_s - accounts["first"][firsts].astype(np.int64) * HOUR_S >= options.lag_s)
    if known.sum() >= max(LEAST_REFERENCE, LEAST_KNOWN * aged.sum()):
        return known
    if aged.sum() >= LEAST_REFERENCE:
        return aged
    return free if free.sum() >= LEAST_REFERENCE else np.ones(len(firsts), np.bool_)


def _pairs(rows: Rows, unit_of: Ints, size: int) -> tuple[Ints, Ints, Ints, Floats]:
    """Pairs of living units; those of one organization are one."""
    unit = unit_of[rows.account]
    keep = unit >= 0
    unit, hashes, kind = unit[keep], rows.token[keep], rows.kind[keep]
    count = rows.times[keep].astype(np.float64)
    begins = _begins(hashes)
    key = (np.cumsum(begins) - 1) * size + unit
    order = np.argsort(key, kind="stable")
    key = key[order]
    starts = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))[: len(key)]
    if len(starts) == len(key):
        return unit[order], hashes[order], kind[order], count[order]
    at = order[starts]
    return unit[at], hashes[at], kind[at], np.add.reduceat(count[order], starts)


def _derived(
    accounts: Accounts,
    firsts: Ints,
    members: Ints,
    unit_of_member: Ints,
    size: int,
    now_s: int,
    total: Floats,
) -> tuple[Ints, Ints, Ints]:
    """Traits that follow from the columns: (unit, hash, kind) of each."""
    created = accounts["created"][firsts]
    known = ~np.isnan(created)
    age_d = np.where(known, (now_s - np.where(known, created, 0)) / 86_400, -1)

    def summed(column: str) -> Floats:
        return np.bincount(unit_of_member, accounts[column][members], size)

    days = np.maximum((now_s / HOUR_S - accounts["first"][firsts]) / 24, 0.25)
    pace = np.log2(np.maximum(total / days, 0.5)).astype(np.int64) + 2
    moves = np.searchsorted(SHARE_STEPS, summed("moves") / np.maximum(total, 1))
    abroad = np.searchsorted(SHARE_STEPS, summed("abroad") / np.maximum(summed("located"), 1))
    columns: tuple[tuple[Derived, Ints, Bools], ...] = (
        (Derived.AGE, np.searchsorted(AGES_D, age_d), known),
        (Derived.TIER, accounts["tier"][firsts], accounts["tier"][firsts] > 0),
        (Derived.VERIFIED, accounts["verified"][firsts], accounts["verified"][firsts] > 0),
        (Derived.DECLARED, accounts["declared"][firsts], accounts["declared"][firsts] > 0),
        (Derived.BILLING, accounts["billing"][firsts], accounts["billing"][firsts] > 0),
        (Derived.PACE, pace, total >= 4),
        (Derived.ROTATION, moves, (total >= 4) & (moves >= 2)),
        (Derived.ABROAD, abroad, (summed("located") >= 2) & (abroad >= 3)),
        (Derived.BAIT, np.ones(size, np.int64), summed("bait") > 0),
        (Derived.SIGNUP, np.where(known, created // HOUR_S, 0), known),
    )
    units, hashes, kinds = [], [], []
    for kind, values, where in columns:
        at = np.flatnonzero(where)
        value = values[at].astype(np.uint64)
        order = np.argsort(value, kind="stable")
        units.append(at[order])
        hashes.append(value[order] << np.uint64(8) | np.uint64(kind))
        kinds.append(np.full(len(at), kind, np.uint8))
    return np.concatenate(units), np.concatenate(hashes), np.concatenate(kinds)
