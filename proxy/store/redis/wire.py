"""Plans as the scripts' arguments, and their replies as readings. Plain functions.

The order of arguments and replies is told at the top of `scripts/take.lua`; what is computed on
both sides is held together by tests that ask both for the same answers.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.msgpack import Encoder

from proxy.model.plan import NEVER_NS, UNKNOWN, Charge, Correction, Plan, Reading, Readings
from proxy.model.verdict import Algorithm
from proxy.store import buckets, rolling
from proxy.store.leases import AGAIN_NS
from proxy.store.redis.floors import floor
from proxy.store.redis.names import NS_PER_MS, Names

GRACE_NS = 120_000_000_000  # a window is held so long after its end, for late corrections
RENEWALS = 3  # of a lease, until it ends
NOT_TAKEN, TAKEN, ASKS_PARENTS = 0, 1, 2
HEAD = 2  # keys of a call before those of its charges
# Attributes of an enum are looked up slowly, and these are looked up for every charge.
FIXED, ROLLING, GCRA = Algorithm.FIXED, Algorithm.ROLLING, Algorithm.GCRA
ONE_VALUE = (FIXED, GCRA)  # each kept in one string, and all of them read at once
Seeds = Mapping[str, Sequence[int]]  # by counter: what a count that is not there begins with

_encode = Encoder().encode


class Group(Struct, frozen=True, gc=False):
    """Charges that one script call takes, by their places in the plan, and the call's keys.

    `keys` begin with those of the reservations, which those of the charges follow; the first
    `plain` of them are of kinds that are ONE_VALUE.
    """

    places: Sequence[int]
    charges: Sequence[Charge]
    keys: Sequence[str]
    plain: int


def groups_of(plan: Plan, names: Names, splits: bool) -> list[Group]:
    """The charges by slot where slots may lie on different servers, else all of them together."""
    places = range(len(plan.charges))
    if not splits:
        return [_group(plan, names, names.everything, places)]
    by_slot: dict[str, list[int]] = {}
    for place in places:
        by_slot.setdefault(plan.charges[place].slot, []).append(place)
    return [_group(plan, names, names.slot(slot), own) for slot, own in by_slot.items()]


def _group(plan: Plan, names: Names, home: str, places: Sequence[int]) -> Group:
    own = [plan.charges[i] for i in places]
    simple = [charge.algorithm in ONE_VALUE for charge in own]
    if not all(simple):
        order = sorted(range(len(own)), key=lambda i: not simple[i])
        places, own = [places[i] for i in order], [own[i] for i in order]
    keys = [f"{home}:open", f"{home}:held:{plan.id}", *map(names.charge, own)]
    return Group(places, own, keys, sum(simple))


def take_args(
    plan: Plan, group: Group, lease_s: float, sweeps: bool, seeds: Seeds | None
) -> list[bytes]:
    """The arguments of `take`; `seeds` is None until the parents were read.

    Values one after the other are an array (of up to 15) without its head, which is one byte.
    """
    interval_s = lease_s / RENEWALS
    at_ns = plan.at_ns
    at_ms = at_ns // NS_PER_MS
    lease_ms = at_ms + int(lease_s * 1000)
    args = [_encode((at_ms, plan.id, lease_ms, plan.take, sweeps, group.plain))[1:]]
    for key, charge in zip(group.keys[HEAD:], group.charges, strict=True):
        kind, a, b, c = _by_kind(charge, at_ns)
        inherits = charge.inherits
        args.append(
            _encode(
                (
                    key,
                    kind,
                    charge.amount,
                    floor(charge, plan, interval_s),
                    a,
                    b,
                    c,
                    charge.limit,
                    charge.least,
                    charge.binding,
                    (seeds is None or seeds[charge.counter]) if inherits else False,
                )
            )[1:]
        )
    return args


def _by_kind(charge: Charge, at_ns: int) -> tuple[str, int, int, int]:
    """The kind of `take`, and its a, b and c."""
    algorithm = charge.algorithm
    if algorithm is FIXED:
        ends_ns = charge.ends_ns
        return "f", 0, 0, 0 if ends_ns >= NEVER_NS else (ends_ns + GRACE_NS - at_ns) // NS_PER_MS
    if algorithm is GCRA:
        return "g", charge.window_s, charge.rate, at_ns // buckets.NS_PER_US
    if algorithm is ROLLING:
        length_ns = rolling.part_ns(charge)
        part = at_ns // length_ns
        lives_ns = (rolling.PARTS + 1) * length_ns + GRACE_NS
        return "r", part, part - rolling.PARTS, lives_ns // NS_PER_MS
    return "c", 0, 0, 0


def readings_of(group: Group, reply: Sequence[int], at_ns: int) -> list[Reading]:
    """The reading of each charge of a group, from a reply that was not ASKS_PARENTS."""
    readings, at = [], 1
    for charge in group.charges:
        algorithm = charge.algorithm
        if algorithm is FIXED:
            reading = Reading(reply[at], charge.ends_ns)
        elif algorithm is GCRA:
            reading = buckets.reading_of(charge, reply[at], at_ns // buckets.NS_PER_US)
        elif algorithm is ROLLING:
            reading = _rolling(charge, reply[at], reply[at + 1], reply[at + 2], at_ns)
            at += 2
        else:
            reading = Reading(reply[at], at_ns + AGAIN_NS)
        readings.append(reading)
        at += 1
    return readings


def _rolling(charge: Charge, before: int, last: int, leaves: int, at_ns: int) -> Reading:
    def out_ns(part: int) -> int:
        return at_ns if part < 0 else (part + rolling.PARTS + 1) * rolling.part_ns(charge)

    return Reading(before, out_ns(last), out_ns(leaves))


def used_args(
    plan: Plan, readings: Readings, corrections: Iterable[Correction], group: Group
) -> list[int]:
    """What each charge of a group comes to: what was taken of it, corrected.

    A reading that is not known is taken to have been nothing; what the script itself counted
    decides.
    """
    deltas = {correction.charge.counter: correction.delta for correction in corrections}
    known = readings.readings or (UNKNOWN,) * len(plan.charges)
    return [
        charge.taken(known[place].before, known[place].share) + deltas.get(charge.counter, 0)
        for place, charge in zip(group.places, group.charges, strict=True)
    ]
