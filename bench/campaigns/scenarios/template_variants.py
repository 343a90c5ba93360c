"""template-variants: one analyst's brief in tens of thousands of wordings.

At scale 1: 300 accounts, 30,000 exchanges in 10 days, no two prompts alike: clauses are reworded
and change places, sector, measure, period and place are filled in. Accounts were opened in bursts,
and those of one burst do their jobs in the same minutes. Which clauses the brief has, whether it is
the system prompt, and how often and how long a job is, is drawn with the seed.
"""

from dataclasses import replace

from bench.campaigns.draw import Draw
from bench.campaigns.hand import hand
from bench.campaigns.lockstep import Lockstep, Rota
from bench.campaigns.scenario import Scenario
from bench.campaigns.stream import Cast
from bench.campaigns.succession import Succession
from bench.campaigns.wording import Wording, picked, shuffled
from bench.campaigns.wordings import ANALYST
from bench.campaigns.work import Ask
from bench.campaigns.world import STEADY, Person, World

NAME = "template-variants"
ACCOUNTS, PER_DAY, DAYS, AT_LEAST = 300, 10.0, 10.0, 50
QUESTION = 2  # the clause that holds the question; it is never left out


class Brief:
    """The brief, worded anew each time; `moving` clauses after the first change places."""

    __slots__ = ("_clauses", "_in_system", "_moving", "_question")

    def __init__(self, plan: Draw) -> None:
        others = [clause for at, clause in enumerate(ANALYST) if at not in {0, QUESTION}]
        chosen: list[Wording] = picked(plan, others, 4 + plan.below(5))
        self._clauses = [ANALYST[0], *chosen]
        self._question = ANALYST[QUESTION]
        self._moving = plan.pick((0.15, 0.5, 1.0))
        self._in_system = plan.chance(0.4)

    def ask(self, draw: Draw) -> Ask:
        """One variant."""
        opening, *said = [clause.said(draw) for clause in self._clauses]
        if draw.chance(self._moving):
            said = shuffled(draw, said)
        question = self._question.said(draw)
        if self._in_system:
            return Ask((question,), " ".join((opening, *said)))
        return Ask((" ".join((opening, question, *said)),))

    def told(self) -> str:
        """What was drawn."""
        where = "system prompt" if self._in_system else "user's turn"
        return f"{len(self._clauses) + 1} clauses in the {where}"


def build(world: World) -> Cast:
    """The campaign at the world's scale."""
    count = world.accounts(ACCOUNTS, AT_LEAST)
    plan = world.draw(NAME, "plan")
    brief = Brief(plan)
    one = hand(world, NAME, "tv")
    burst, burst_s = 10 + plan.below(50), 600.0 + 6600.0 * plan.unit()
    habits = replace(one.habits, model="m-large", burst=burst, burst_s=burst_s)
    one = replace(one, habits=habits)
    jobs = plan.pick((1, 2, 5))
    rota = Rota(
        name=f"{world.seed}/{NAME}/rota",
        start_s=world.start_s,
        a_day=float(jobs),
        active_s=3600.0 * (8 + plan.below(17)),
        spread_s=120.0 * (1 + plan.below(20)),
        together=plan.chance(0.3),
    )

    def head(number: int, starts_s: float) -> Person:
        person = one.person(number, brief, shape=STEADY, per_day=PER_DAY, starts_s=starts_s)
        group = number // burst
        person.persona.pace = Lockstep(rota, group, round(PER_DAY / jobs), starts_s)
        return person

    note = f"{brief.told()}; {jobs} jobs a day of {rota.spread_s / 60:.0f} min; {habits.note}"
    return Succession(world, NAME, count, head).cast(NAME, world.length_s(DAYS), note)


SCENARIO = Scenario(NAME, "campaign", ACCOUNTS, PER_DAY, DAYS, build, AT_LEAST)
