"""The unrelated accounts: sizes, bursts and hours of real clients, and all that joins them by
accident, so that whoever learns base rates here learns them from a world like ours.

Some are opened while the world runs, some were asleep for long, some only try their key; offices
sit behind one NAT; households, firms and resellers' customers share what they pay with.
"""

import gc

from bench.campaigns import exits, jobs, networks, society
from bench.campaigns.draw import Draw
from bench.campaigns.habits import Life, ordinary_weekend
from bench.campaigns.networks import Addresses
from bench.campaigns.pace import DAY_S, is_weekend
from bench.campaigns.stream import Cast
from bench.campaigns.ties import Tie, ties
from bench.campaigns.work import Work
from bench.campaigns.world import World, unrelated

AT_FULL_SCALE = 100_000
OFFICE_SHARE = 0.15  # of the accounts sit behind an address that others use too
OFFICE_SIZE = 12
LEAST_PER_DAY = 0.2
TRIALS = 0.05  # of the accounts: got a key, and try it now and then
ASLEEP = 0.08  # … were opened long ago and send nothing until they wake, if they do
TRIALS_PER_DAY = 0.5
FIRST_USE_S = 1_800.0  # median time from sign-up to the first request
ALONE = Tie()


def build(world: World, *, length_s: float, exchanges: float, at_least: int = 40) -> Cast:
    """Unrelated accounts that together send about `exchanges` in `length_s` seconds."""
    count = world.accounts(AT_FULL_SCALE, at_least)
    sizes = world.draw("base", "sizes")
    shapes = [sizes.pick(world.traces.profiles) for _ in range(count)]
    weights = [shape.weight * sizes.lognormal(1.0, 0.6) for shape in shapes]
    per_weight = exchanges * DAY_S / length_s / sum(weights) / _awake(world.start_s, length_s)
    offices = max(1, round(count * OFFICE_SHARE / OFFICE_SIZE))
    tied = ties(count, world.start_s, world.draw("base", "ties"))
    persons = []
    gc.disable()  # nothing of what is made here is garbage, and there is much of it
    for number, (shape, weight) in enumerate(zip(shapes, weights, strict=True)):
        draw = world.draw("base", number)
        tie = tied.get(number, ALONE)
        place, addresses = _where(world, draw, tie, offices)
        life, task = _life(world, draw, tie, place, length_s)
        persons.append(
            unrelated(
                world,
                f"acc-{number:06d}",
                draw,
                shape=shape,
                per_day=TRIALS_PER_DAY if task else max(LEAST_PER_DAY, weight * per_weight),
                place=place,
                addresses=addresses,
                task=task or tie.task,
                links=tie.links,
                organization=tie.organization,
                life=life,
            )
        )
    gc.enable()
    return Cast("base", "base", persons, length_s)


def _awake(start_s: float, length_s: float) -> float:
    """The share of its traffic that the crowd sends: less at week-ends, none while asleep."""
    days = max(1, round(length_s / DAY_S))
    quiet = sum(is_weekend(start_s + DAY_S * (day + 0.5)) for day in range(days)) / days
    return (1.0 - 0.6 * 0.75 * quiet) * (1.0 - ASLEEP)


def _where(world: World, draw: Draw, tie: Tie, offices: int) -> tuple[str, Addresses | None]:
    """Country and addresses: the tie's, an office's, or one's own (None)."""
    if tie is not ALONE or not draw.chance(OFFICE_SHARE):
        return tie.place or networks.country(draw), tie.addresses
    office = world.draw("office", draw.below(offices))
    place = networks.country(office)
    nat = networks.address(office, place, "corporate")
    phone = draw.pick(exits.carrier(place))
    return place, networks.Fixed((nat, networks.address(draw, place, "residential"), phone))


def _life(
    world: World, draw: Draw, tie: Tie, place: str, length_s: float
) -> tuple[Life, Work | None]:
    """When the account is there, and its task where it only tries its key."""
    task = jobs.Trials(draw.chance(0.5)) if draw.chance(TRIALS) else None
    if tie.opened_s is not None:
        return Life(tie.opened_s, world.start_s), task
    created_at = society.calendar(world.start_s, length_s).moment(draw, place)
    if created_at > world.start_s - 120.0:
        starts_s = max(world.start_s, created_at + 1.0 + draw.lognormal(FIRST_USE_S, 1.5))
        until_s = starts_s + DAY_S * draw.lognormal(1.0, 1.0)
        return Life(created_at, starts_s, until_s) if task else Life(created_at, starts_s), task
    weekend = ordinary_weekend(draw)
    if not draw.chance(ASLEEP):
        return Life(created_at, world.start_s, weekend=weekend), task
    wakes_s = world.start_s + length_s * 4.0 * draw.unit()  # three in four sleep on
    return Life(created_at, wakes_s, weekend=weekend), task
