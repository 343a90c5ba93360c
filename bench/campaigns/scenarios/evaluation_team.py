"""evaluation-team: a team that runs benchmarks every night, and a new model on its first day.

At scale 1: 6 accounts of one declared organization with 6,000 exchanges a night each, 8 days. They
send whole published test sets in order, again every night, at temperature 0. Within six hours of
its release all of them have moved to the new model; two run by day as well.
"""

from dataclasses import replace

from bench.campaigns import exits, networks
from bench.campaigns.clients import CLIENTS
from bench.campaigns.habits import Life
from bench.campaigns.jobs import Sweep
from bench.campaigns.networks import Fixed
from bench.campaigns.pace import DAY_S, profile
from bench.campaigns.persona import Move
from bench.campaigns.scenario import Scenario
from bench.campaigns.stream import Cast
from bench.campaigns.world import NEW_MODEL, STEADY, Person, World, unrelated

NAME = "evaluation-team"
ACCOUNTS, PER_DAY, DAYS = 6, 6_000.0, 8.0
BY_DAY = 3  # every third account runs around the clock
MOVES_WITHIN_S = 6 * 3600.0
NIGHT = profile("night", 3600.0, [20.0, 100.0, 100.0, 100.0, 40.0] + [0.0] * 19, 0.6, 1.0)
TEMPLATE = "{task}\n\nThink step by step. Give the final answer after 'Answer:'."


def build(world: World) -> Cast:
    """The look-alike at the world's scale."""
    plan = world.draw(NAME, "plan")
    place = networks.country(plan)
    machines = tuple(exits.rack(plan, place) for _ in range(3))
    firm = f"{plan.bits():012x}"
    persons = [
        _account(world, number, place, machines, firm) for number in range(world.accounts(ACCOUNTS))
    ]
    return Cast(NAME, "lookalike", persons, world.length_s(DAYS))


def _account(world: World, number: int, place: str, machines: tuple[str, ...], firm: str) -> Person:
    draw = world.draw(NAME, number)
    rows = world.corpus.evals[number % len(world.corpus.evals)]
    template = TEMPLATE if number % 2 else "{task}"
    person = unrelated(
        world,
        f"ev-{number:05d}",
        draw,
        shape=STEADY if number % BY_DAY == 0 else NIGHT,
        per_day=PER_DAY,
        place=place,
        addresses=Fixed(machines),
        client=replace(CLIENTS["openai-python"], versions=("3.0.2",)),
        task=Sweep(rows, template, at=draw.below(len(rows))),
        parameters={"max_tokens": 1024, "temperature": 0, "seed": 1234},
        model="m-large",
        links={"payment": f"invoice-{firm}", "email_domain": f"lab-{firm}.example"},
        organization=f"org-lab-{firm}",
        life=Life(world.start_s - DAY_S * (60 + draw.below(300)), world.start_s, in_step=True),
    )
    person.persona.move = Move(NEW_MODEL, world.release_s, over_s=MOVES_WITHIN_S)
    return person


SCENARIO = Scenario(NAME, "lookalike", ACCOUNTS, PER_DAY, DAYS, build)
