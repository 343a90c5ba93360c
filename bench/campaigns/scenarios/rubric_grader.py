"""rubric-grader: candidate answers, graded by a rubric, by accounts that take turns.

At scale 1: 500 accounts, 150,000 exchanges in 14 days, 20 accounts to a payment card. In a round
the accounts of a group send one request each within 5 s, in turn, as behind a load balancer.
Whether a group is a card's accounts, another set or everybody, the rubric and its wordings are
drawn with the seed.
"""

from dataclasses import replace

from bench.campaigns.draw import Draw
from bench.campaigns.hand import hand
from bench.campaigns.lockstep import Rota, Turns
from bench.campaigns.scenario import Scenario
from bench.campaigns.stream import Cast
from bench.campaigns.succession import Succession
from bench.campaigns.wording import shuffled
from bench.campaigns.wordings import CRITERIA, GRADER, GRADER_FORMS, SENTENCES
from bench.campaigns.work import Ask
from bench.campaigns.world import STEADY, Person, World

NAME = "rubric-grader"
ACCOUNTS, EXCHANGES, DAYS, AT_LEAST = 500, 150_000, 14.0, 50
PER_DAY = EXCHANGES / ACCOUNTS / DAYS
PER_CARD, ROUND_S = 20, 5.0


class Grading:
    """Grading prompts: a rubric in some wordings, a question and candidate answers."""

    __slots__ = ("_answers", "_in_system", "_pieces", "_rows", "_rubrics")

    def __init__(self, plan: Draw, rows: tuple[str, ...]) -> None:
        self._rows = rows
        criteria = plan.below(6) + 3
        scale = plan.pick(("1 to 5", "1 to 10", "0 to 100", "0 or 1"))
        self._rubrics = tuple(_rubric(plan, criteria, scale) for _ in range(1 + plan.below(24)))
        self._answers = 1 + plan.below(4)
        self._pieces = tuple(plan.pick(SENTENCES).said(plan) for _ in range(3000))
        self._in_system = plan.chance(0.5)

    def ask(self, draw: Draw) -> Ask:
        """One question with its candidates."""
        rubric = draw.pick(self._rubrics)
        parts = [f"Question: {draw.pick(self._rows)}"]
        for at in range(self._answers):
            said = [draw.pick(self._pieces) for _ in range(2 + draw.below(3))]
            parts.append(f"Answer {'ABCD'[at]}: {' '.join(said)}")
        text = "\n\n".join(parts)
        return Ask((text,), rubric) if self._in_system else Ask((f"{rubric}\n\n{text}",))

    def told(self) -> str:
        """What was drawn."""
        where = "system prompt" if self._in_system else "user's turn"
        return f"{len(self._rubrics)} wordings in the {where}, {self._answers} answers"


def _rubric(plan: Draw, criteria: int, scale: str) -> str:
    chosen = shuffled(plan, CRITERIA)[:criteria]
    lines = [f"{at}. {criterion} ({scale})" for at, criterion in enumerate(chosen, 1)]
    opening, form = plan.pick(GRADER).said(plan), plan.pick(GRADER_FORMS)
    return "\n".join((opening, *lines, form))


def build(world: World) -> Cast:
    """The campaign at the world's scale."""
    count = world.accounts(ACCOUNTS, AT_LEAST)
    plan = world.draw(NAME, "plan")
    grading = Grading(plan, world.corpus.harvest)
    one = hand(world, NAME, "rg")
    one = replace(one, habits=replace(one.habits, model="m-large", cards=PER_CARD))
    size = min(count, plan.pick((PER_CARD, PER_CARD, 5 + plan.below(45), count)))
    rota = Rota(
        name=f"{world.seed}/{NAME}/rota",
        start_s=world.start_s,
        a_day=PER_DAY,
        active_s=3600.0 * plan.pick((24, 24, 16, 10)),
        spread_s=ROUND_S,
        together=False,
    )

    def head(number: int, starts_s: float) -> Person:
        person = one.person(number, grading, shape=STEADY, per_day=PER_DAY, starts_s=starts_s)
        group, place = divmod(number, size)
        person.persona.pace = Turns(rota, group, place, size, starts_s)
        return person

    note = f"{grading.told()}; {size} take turns; {one.habits.note}"
    return Succession(world, NAME, count, head).cast(NAME, world.length_s(DAYS), note)


SCENARIO = Scenario(NAME, "campaign", ACCOUNTS, PER_DAY, DAYS, build, AT_LEAST)
