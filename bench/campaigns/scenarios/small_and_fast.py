"""small-and-fast: few accounts at a high rate, with a "cleaner" that rewrites reasoning.

At scale 1: 273 accounts, 732 exchanges a day each, 17 days (3.4 M). Some requests ask for reasoning
that is written out; others hand in such reasoning and have it rewritten without its hesitations.
The share of the cleaner, how many wordings each of the two has, and where they stand, is drawn
with the seed.
"""

from dataclasses import replace

from bench.campaigns.draw import Draw
from bench.campaigns.hand import hand
from bench.campaigns.pace import profile
from bench.campaigns.scenario import Scenario
from bench.campaigns.stream import Cast
from bench.campaigns.succession import Succession
from bench.campaigns.texts import paraphrase
from bench.campaigns.wording import picked
from bench.campaigns.wordings import CLEANER, DOUBTS, SENTENCES
from bench.campaigns.work import Ask, Mixed, Templated
from bench.campaigns.world import Person, World

NAME = "small-and-fast"
ACCOUNTS, PER_DAY, DAYS, AT_LEAST = 273, 732.0, 17.0, 50


class Cleaning:
    """Reasoning traces under an instruction to rewrite them."""

    __slots__ = ("_in_system", "_pieces", "_rows", "_wordings")

    def __init__(self, plan: Draw, rows: tuple[str, ...]) -> None:
        count = 1 + plan.below(30)
        clauses = picked(plan, CLEANER, 4 + plan.below(len(CLEANER) - 3))
        self._wordings = tuple(
            " ".join(clause.said(plan) for clause in clauses) for _ in range(count)
        )
        self._pieces = tuple(_piece(plan) for _ in range(3000))
        self._rows = rows
        self._in_system = plan.chance(0.5)

    def ask(self, draw: Draw) -> Ask:
        """One trace."""
        said = [draw.pick(self._pieces) for _ in range(4 + draw.below(8))]
        trace = f"Problem: {draw.pick(self._rows)}\n\nTrace:\n" + "\n".join(said)
        wording = draw.pick(self._wordings)
        return Ask((trace,), wording) if self._in_system else Ask((f"{wording}\n\n{trace}",))

    def told(self) -> str:
        """What was drawn."""
        where = "system prompt" if self._in_system else "user's turn"
        return f"cleaner in {len(self._wordings)} wordings in the {where}"


def _piece(plan: Draw) -> str:
    said = plan.pick(SENTENCES).said(plan)
    return f"{plan.pick(DOUBTS)} {said}" if plan.chance(0.4) else said


def build(world: World) -> Cast:
    """The campaign at the world's scale."""
    count = world.accounts(ACCOUNTS, AT_LEAST)
    plan = world.draw(NAME, "plan")
    cleaning = Cleaning(plan, world.corpus.harvest)
    wordings = tuple(paraphrase(plan) for _ in range(1 + plan.below(40)))
    asking = Templated(wordings, world.corpus.harvest, in_system=plan.chance(0.4))
    share = 0.3 + 0.4 * plan.unit()
    task = Mixed(asking, cleaning, share)
    one = hand(world, NAME, "sf")
    one = replace(one, habits=replace(one.habits, model="m-large"))
    shape = profile("busy", 3600.0, [1.0] * 24, 0.4 + 1.6 * plan.unit(), 1.0)

    def head(number: int, starts_s: float) -> Person:
        return one.person(number, task, shape=shape, per_day=PER_DAY, starts_s=starts_s)

    note = f"{cleaning.told()}, {share:.0%} of the requests; {one.habits.note}"
    return Succession(world, NAME, count, head).cast(NAME, world.length_s(DAYS), note)


SCENARIO = Scenario(NAME, "campaign", ACCOUNTS, PER_DAY, DAYS, build, AT_LEAST)
