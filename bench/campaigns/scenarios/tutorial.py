"""tutorial: readers of one published article who run its code.

At scale 1: 2,000 accounts with fewer than 20 exchanges a day each, 14 days. The article came out
two days before the world begins; three in four readers sign up within days of it, most of them by
its link. Its code fixes library, model, parameters and template; its example inputs, well-known
exercises, are used as they stand more often than not. What the article is about is drawn with the
seed: reasoning aloud, grading by a rubric, or summaries. Readers lose interest after some days.
"""

import math
from dataclasses import dataclass, replace

from bench.campaigns import networks
from bench.campaigns.clients import CLIENTS
from bench.campaigns.draw import Draw
from bench.campaigns.habits import Life, ordinary_life
from bench.campaigns.jobs import Wrapped
from bench.campaigns.pace import DAY_S
from bench.campaigns.scenario import Scenario
from bench.campaigns.stream import Cast
from bench.campaigns.work import Mixed, Rows, Talk, Work
from bench.campaigns.world import HUMAN, Person, World, unrelated

NAME = "tutorial"
ACCOUNTS, PER_DAY, DAYS = 2_000, 5.0, 14.0
MOST_PER_DAY = 18.0
PUBLISHED_DAYS_AGO = 2.0
NEW, BY_LINK = 0.75, 0.65  # of the readers
EXAMPLES, OWN_INPUT, MOVED_ON = 12, 0.35, 0.12
READS_ON_DAYS = 4.0  # mean time from publication to sign-up
CLIENT = replace(CLIENTS["openai-python"], versions=("2.3.0",))
PARAMETERS = {"max_tokens": 512, "temperature": 0.2}


@dataclass(frozen=True, slots=True)
class Article:
    """What a tutorial's code sends."""

    about: str
    system: str
    template: str


ARTICLES = (
    Article(
        "reasoning aloud",
        "You are a careful tutor who shows all work.",
        "Solve the exercise. Think step by step and write down every step of your reasoning "
        "before you give the final answer on a line of its own.\n\nExercise: {task}",
    ),
    Article(
        "grading by a rubric",
        "You grade answers of pupils.",
        "Grade the text by this rubric: correctness (0-5), clarity (0-5), completeness (0-5). "
        "Explain each score in one sentence and return JSON.\n\nText: {task}",
    ),
    Article(
        "summaries",
        "You summarize texts.",
        "Summarize the text below in three bullet points and suggest a headline of at most eight "
        "words.\n\nText: {task}",
    ),
)


def build(world: World) -> Cast:
    """The look-alike at the world's scale."""
    plan = world.draw(NAME, "plan")
    article = plan.pick(ARTICLES)
    examples = tuple(plan.pick(world.corpus.harvest) for _ in range(EXAMPLES))
    own = Wrapped(Rows(world.corpus.support), article.template, system=article.system)
    copied = Wrapped(Rows(examples), article.template, system=article.system)
    task = Mixed(Mixed(copied, own, OWN_INPUT), Talk(world.corpus), MOVED_ON)
    link = f"article-{plan.bits():016x}"
    count = world.accounts(ACCOUNTS)
    persons = [_reader(world, number, task, link) for number in range(count)]
    return Cast(NAME, "lookalike", persons, world.length_s(DAYS), note=article.about)


def _reader(world: World, number: int, task: Work, link: str) -> Person:
    draw = world.draw(NAME, number)
    place = networks.country(draw)
    return unrelated(
        world,
        f"tu-{number:05d}",
        draw,
        shape=HUMAN,
        per_day=min(draw.lognormal(PER_DAY, 0.6), MOST_PER_DAY),
        place=place,
        client=CLIENT,
        task=task,
        parameters=PARAMETERS,
        model="m-mid",
        links={"referrer": link} if draw.chance(BY_LINK) else {},
        life=_reading(world, draw, place),
    )


def _reading(world: World, draw: Draw, place: str) -> Life:
    """From the first request until the reader has seen enough."""
    read_s = world.start_s - DAY_S * PUBLISHED_DAYS_AGO
    read_s -= DAY_S * READS_ON_DAYS * math.log(1.0 - draw.unit())
    new = draw.chance(NEW)
    created_at = read_s if new else ordinary_life(world.start_s, draw, place).created_at
    starts_s = max(world.start_s, read_s + 60.0 + draw.lognormal(900.0, 1.0))
    return Life(created_at, starts_s, starts_s + DAY_S * (1.0 + draw.lognormal(3.0, 0.8)))


SCENARIO = Scenario(NAME, "lookalike", ACCOUNTS, PER_DAY, DAYS, build)
