"""classroom: one lesson, in which everybody opens an account and does the same work sheet.

At scale 1: 180 students behind the school's one address, with its one card, mail domain and
template, all opened in the first quarter of an hour and used for two hours, about 25 exchanges
each. Nobody has declared an organization. The lesson is on the world's second morning.
"""

import math

from bench.campaigns import networks, texts
from bench.campaigns.clients import CLIENTS
from bench.campaigns.draw import Draw
from bench.campaigns.habits import Life
from bench.campaigns.jobs import Wrapped
from bench.campaigns.networks import Fixed
from bench.campaigns.pace import DAY_S
from bench.campaigns.scenario import Scenario
from bench.campaigns.society import east_s
from bench.campaigns.stream import Cast
from bench.campaigns.work import Mixed, Rows, Talk, Work
from bench.campaigns.world import STEADY, Person, World, unrelated

NAME = "classroom"
ACCOUNTS, EACH, DAYS = 180, 25.0, 2.0
LESSON_S, OPENING_S = 7_200.0, 900.0
MORNING_S = DAY_S + 10 * 3600.0  # of the second day, by the school's clock
EXERCISES = 20
OWN_QUESTION = 0.1
TEMPLATES = (
    "Explain to a pupil of age {age} how to solve this exercise. Write down every step and the "
    "reason for it.\n\nExercise: {task}",
    "Here is an exercise and what I think. Tell me step by step where my reasoning goes wrong and "
    "grade it from 1 to 6.\n\nExercise: {task}\nMy answer: I am not sure.",
    "Act as {role} and discuss this with a class of {age}-year-olds in five sentences: {task}",
)


def build(world: World) -> Cast:
    """The look-alike at the world's scale."""
    plan = world.draw(NAME, "plan")
    place = networks.country(plan)
    school = f"school-{plan.bits():08x}"
    address = networks.address(plan, place, "corporate")
    template = plan.pick(TEMPLATES).replace("{age}", str(12 + plan.below(6)))
    template = template.replace("{role}", plan.pick(texts.ROLES))
    sheet = tuple(plan.pick(world.corpus.harvest) for _ in range(EXERCISES))
    task = Mixed(Wrapped(Rows(sheet), template), Talk(world.corpus), OWN_QUESTION)
    length_s = world.length_s(DAYS)
    begins_s = world.start_s + max(60.0, min(MORNING_S - east_s(place), length_s - LESSON_S))
    links = {"payment": f"pay-{school}", "email_domain": f"{school}.example",
             "signup_ip": address, "referrer": "", "phone_prefix": ""}  # fmt: skip
    persons = [
        _student(world, world.draw(NAME, number), number, place, begins_s, task, links)
        for number in range(world.accounts(ACCOUNTS))
    ]
    return Cast(NAME, "lookalike", persons, length_s)


def _student(
    world: World,
    draw: Draw,
    number: int,
    place: str,
    begins_s: float,
    task: Work,
    links: dict[str, str],
) -> Person:
    # Fast ones first: sign-ups crowd at the beginning of the lesson.
    opened_s = begins_s + OPENING_S * (1.0 - math.sqrt(1.0 - draw.unit()))
    first_s = opened_s + 20.0 + draw.lognormal(90.0, 0.8)
    person = unrelated(
        world,
        f"cl-{number:05d}",
        draw,
        shape=STEADY,
        per_day=EACH * DAY_S / LESSON_S,
        place=place,
        addresses=Fixed((links["signup_ip"],)),
        client=CLIENTS["requests"],
        task=task,
        parameters={"max_tokens": 800},
        model="m-mid",
        links=links,
        organization=None,
        life=Life(opened_s, first_s, begins_s + LESSON_S),
    )
    person.account.update(tier="free", verified=False)
    return person


SCENARIO = Scenario(NAME, "lookalike", ACCOUNTS, EACH / DAYS, DAYS, build)
