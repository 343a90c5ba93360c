"""The unrelated accounts: sizes, bursts and hours of real clients, offices behind one NAT."""

from bench.campaigns import networks
from bench.campaigns.draw import Draw
from bench.campaigns.pace import DAY_S
from bench.campaigns.stream import Cast
from bench.campaigns.world import World, unrelated

AT_FULL_SCALE = 100_000
OFFICE_SHARE = 0.2  # of the accounts sit behind an address that others use too
OFFICE_SIZE = 12
LEAST_PER_DAY = 0.2


def build(world: World, *, length_s: float, exchanges: float, at_least: int = 40) -> Cast:
    """Unrelated accounts that together send about `exchanges` in `length_s` seconds."""
    count = world.accounts(AT_FULL_SCALE, at_least)
    sizes = world.draw("base", "sizes")
    shapes = [sizes.pick(world.traces.profiles) for _ in range(count)]
    weights = [shape.weight * sizes.lognormal(1.0, 0.6) for shape in shapes]
    per_weight = exchanges * DAY_S / length_s / sum(weights)
    offices = max(1, round(count * OFFICE_SHARE / OFFICE_SIZE))
    persons = []
    for number, (shape, weight) in enumerate(zip(shapes, weights, strict=True)):
        draw = world.draw("base", number)
        place, addresses = _office(world, draw, offices)
        persons.append(
            unrelated(
                world,
                f"acc-{number:06d}",
                draw,
                shape=shape,
                per_day=max(LEAST_PER_DAY, weight * per_weight),
                place=place,
                addresses=addresses,
            )
        )
    return Cast("base", "base", persons, length_s)


def _office(world: World, draw: Draw, offices: int) -> tuple[str | None, networks.Addresses | None]:
    if not draw.chance(OFFICE_SHARE):
        return None, None
    office = world.draw("office", draw.below(offices))
    place = networks.country(office)
    nat = networks.address(office, place, "corporate")
    return place, networks.Fixed((nat, networks.address(draw, place, "residential")))
