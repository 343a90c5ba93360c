"""How unrelated accounts call, and when they are there: as likely as it is in the field."""

import math
from dataclasses import dataclass

from bench.campaigns import clients, harnesses, society, work
from bench.campaigns.corpus import Corpus
from bench.campaigns.draw import Draw, running
from bench.campaigns.pace import DAY_S, Pace, Profile, Season
from bench.campaigns.persona import PLAIN, Line


@dataclass(frozen=True, slots=True)
class Habit:
    """How an account calls: with which program, for what, and with which parameters."""

    client: clients.Client
    work: work.Work
    parameters: Line


# What programs send beside the messages, by how many of 100 do.
PARAMETERS: tuple[tuple[Line, float], ...] = (
    (PLAIN, 46.0), ({"max_tokens": 1024, "temperature": 0}, 12.0),
    ({"max_tokens": 4096, "temperature": 0.7}, 10.0), ({"max_tokens": 512}, 8.0),
    ({"max_tokens": 2048}, 8.0), ({"max_tokens": 256, "temperature": 0}, 6.0),
    ({"max_tokens": 2048, "temperature": 0.2, "top_p": 0.95}, 5.0),
    ({"max_tokens": 800, "temperature": 1}, 5.0),
)  # fmt: skip
_PARAMETERS_AT = running([weight for _, weight in PARAMETERS])


def ordinary_habit(corpus: Corpus, draw: Draw) -> Habit:
    """A habit as likely as it is: a popular program, or an SDK and prompts of one's own."""
    if draw.chance(harnesses.SHARE):
        harness = harnesses.pick(draw)
        task = harnesses.task(harness, corpus, draw)
        return Habit(harness.client, task, harness.parameters or PLAIN)
    program = clients.ordinary(draw)
    return Habit(program, work.ordinary(corpus, draw), ordinary_parameters(draw))


def ordinary_parameters(draw: Draw) -> Line:
    """Parameters as likely as they are among unrelated accounts."""
    return PARAMETERS[draw.index(_PARAMETERS_AT)][0]


@dataclass(frozen=True, slots=True)
class Life:
    """When an account is there: opened, sending from and until (Unix seconds), and how much it
    sends on Saturdays and Sundays as a share of other days. `in_step` keeps to the minute of its
    shape, where others keep to it within an hour or so."""

    created_at: float
    starts_s: float
    until_s: float = math.inf
    weekend: float = 1.0
    in_step: bool = False


def ordinary_life(start_s: float, draw: Draw, place: str) -> Life:
    """An account that was opened before the world began; three in five rest at week-ends."""
    created_at = society.calendar(start_s, 0.0).moment(draw, place)
    return Life(created_at, start_s, weekend=ordinary_weekend(draw))


def ordinary_weekend(draw: Draw) -> float:
    """How much is sent on a Saturday or Sunday, as a share of other days."""
    return 0.25 if draw.chance(0.6) else 1.0


def habit(
    corpus: Corpus,
    draw: Draw,
    client: clients.Client | None,
    task: work.Work | None,
    parameters: Line | None,
) -> Habit:
    """A habit of which some is given and the rest is drawn."""
    if client is None and task is None and parameters is None:
        return ordinary_habit(corpus, draw)
    return Habit(
        client or clients.ordinary(draw),
        task or work.ordinary(corpus, draw),
        parameters or ordinary_parameters(draw),
    )


def timing(
    start_s: float, draw: Draw, shape: Profile, per_day: float, place: str, life: Life
) -> Pace | Season:
    """Arrivals by local hours. Clients of one shape stand at different days and minutes of it, so
    that no two accounts are in step by construction."""
    east_s = society.east_s(place)
    shift_s = east_s + DAY_S * draw.below(14)
    if not life.in_step:
        shift_s += 3600.0 * (draw.unit() + draw.unit() - 1.0)
    pace = Pace(shape, per_day, life.starts_s, shift_s + life.starts_s - start_s, draw)
    if life.weekend >= 1.0 and life.until_s == math.inf:
        return pace
    return Season(pace, until_s=life.until_s, weekend=life.weekend, east_s=east_s)
