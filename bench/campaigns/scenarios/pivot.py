"""pivot: a fleet of coding agents that goes to a new model as soon as there is one.

At scale 1: 4,000 accounts, 325 exchanges a day each, 10 days (13 M). On day 5, or half-way through
a shorter run, a new model appears, and within 24 hours 48 % of the traffic asks for it; whether
that is a part of every account's requests or all of some accounts' is drawn with the seed, as is
the harness: a popular one, or one of the campaign's own.
"""

from dataclasses import replace

from bench.campaigns import agents, harnesses
from bench.campaigns.clients import CLIENTS, Client
from bench.campaigns.draw import Draw
from bench.campaigns.hand import hand
from bench.campaigns.pace import DAY_S, Profile, profile
from bench.campaigns.persona import Line, Move
from bench.campaigns.scenario import Scenario
from bench.campaigns.scenarios import popular_client
from bench.campaigns.stream import Cast
from bench.campaigns.succession import Succession
from bench.campaigns.wordings import HARNESS
from bench.campaigns.world import NEW_MODEL, Person, World

NAME = "pivot"
ACCOUNTS, PER_DAY, DAYS, AT_LEAST = 4_000, 325.0, 10.0, 50
MOVED, MOVED_WITHIN_S = 0.48, DAY_S
GOLDEN = 0.6180339887498949  # its multiples are spread evenly: 48 % of any number of accounts

Gear = tuple[str, str, tuple[dict[str, object], ...], Client | None, Line | None]


def build(world: World) -> Cast:
    """The campaign at the world's scale."""
    count = world.accounts(ACCOUNTS, AT_LEAST)
    plan = world.draw(NAME, "plan")
    gear, system, tools, program, parameters = _gear(plan)
    runs_of_a_task = 1 + plan.below(8)
    sessions = count * PER_DAY * DAYS / (2 + agents.MOST_STEPS / 2)
    shared = agents.plan(
        f"{world.seed}/{NAME}",
        plan,
        world.corpus.harvest,
        system=system,
        tools=tools,
        tasks=round(sessions / runs_of_a_task),
    )
    one = hand(world, NAME, "pv")
    habits = replace(one.habits, model="m-large", parameters=parameters or one.habits.parameters)
    if program is not None:
        habits = replace(habits, programs=((program, plan.pick(program.versions)),))
    one = replace(one, habits=habits)
    shape, whole = _shape(plan), plan.chance(0.5)
    over_s = MOVED_WITHIN_S * (0.1 + 0.9 * plan.unit())

    def head(number: int, starts_s: float) -> Person:
        agent = agents.Agent(shared)
        person = one.person(number, agent, shape=shape, per_day=PER_DAY, starts_s=starts_s)
        person.persona.move = _move(world, number, over_s, whole=whole)
        return person

    moves = "some accounts move" if whole else "a part of every account moves"
    note = f"{gear}; {moves} in {over_s / 3600:.0f} h; {habits.note}"
    return Succession(world, NAME, count, head).cast(NAME, world.length_s(DAYS), note)


def _gear(plan: Draw) -> Gear:
    """The harness: its name, system prompt, tools, and what else it brings."""
    kind = plan.unit()
    if kind < 0.35:
        kiln = next(one for one in harnesses.HARNESSES if one.name == "kiln")
        system = plan.pick(kiln.system).replace("{own}", "")
        return "kiln", system, kiln.tools, kiln.client, kiln.parameters
    if kind < 0.6:
        fieldhand = CLIENTS["fieldhand"]
        return "fieldhand", popular_client.SYSTEM, popular_client.TOOLS, fieldhand, None
    system = " ".join(clause.said(plan) for clause in HARNESS)
    tools = tuple(tool for tool in popular_client.TOOLS if plan.chance(0.7))
    return "a harness of its own", system, tools or popular_client.TOOLS[:2], None, None


def _shape(plan: Draw) -> Profile:
    """Around the clock, with the pauses between tasks and now and then a fleet's night."""
    rates = [1.0] * 24 if plan.chance(0.6) else [1.0] * 16 + [0.3] * 8
    return profile("fleet", 3600.0, rates, 0.8 + 2.0 * plan.unit(), 1.0)


def _move(world: World, number: int, over_s: float, *, whole: bool) -> Move | None:
    if not whole:
        return Move(NEW_MODEL, world.release_s, MOVED, over_s)
    if number * GOLDEN % 1.0 >= MOVED:
        return None
    return Move(NEW_MODEL, world.release_s + over_s * world.draw(NAME, "moves", number).unit())


SCENARIO = Scenario(NAME, "campaign", ACCOUNTS, PER_DAY, DAYS, build, AT_LEAST)
