"""A coding agent: a task, then one call of a tool after another, each request with all before it.

Task, calls and results come from tables that are made once for a campaign, so that a line costs
little; a task may be run several times, by different accounts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.campaigns import wordings
from bench.campaigns.draw import Draw
from bench.campaigns.work import Ask, Step

MOST_STEPS = 12


@dataclass(frozen=True, slots=True)
class Plan:
    """What the agents of one campaign share. `tasks` is how many tasks there are, `rows` are
    texts that some of them consist of."""

    name: str
    system: str
    tools: tuple[dict[str, object], ...]
    calls: tuple[tuple[str, dict[str, str], str], ...]  # tool, arguments, result
    tasks: int
    rows: Sequence[str]

    def task(self, number: int) -> str:
        """The text of a task."""
        draw = Draw(self.name, "task", number)
        return draw.pick(self.rows) if draw.chance(0.4) else draw.pick(wordings.CODING).said(draw)


def plan(
    name: str,
    draw: Draw,
    rows: Sequence[str],
    *,
    system: str,
    tools: tuple[dict[str, object], ...],
    tasks: int,
) -> Plan:
    """The tables of one campaign."""
    calls = []
    for _ in range(600):
        tool = draw.pick(tools)
        said = [draw.pick(wordings.RESULTS).said(draw) for _ in range(1 + draw.below(3))]
        calls.append((str(tool["name"]), _arguments(tool, draw), "\n".join(said)))
    return Plan(name, system, tools, tuple(calls), max(1, tasks), rows)


def _arguments(tool: dict[str, object], draw: Draw) -> dict[str, str]:
    schema = tool["parameters"]
    assert isinstance(schema, dict)
    path = f"{draw.pick(wordings.TABLES['folder'])}/{draw.pick(wordings.TABLES['file'])}"
    said = {"path": path, "folder": path.partition("/")[0], "command": f"pytest -q {path}"}
    subject = draw.pick(wordings.TABLES["subject"])
    return {field: said.get(field, subject) for field in schema["properties"]}


class Agent:
    """One account's work; it keeps the session that it is in."""

    __slots__ = ("_left", "_plan", "_steps", "_task")

    def __init__(self, shared: Plan) -> None:
        self._plan = shared
        self._left = 0
        self._task = ""
        self._steps: tuple[Step, ...] = ()

    def ask(self, draw: Draw) -> Ask:
        """The next request of the session, or the first of another."""
        if self._left == 0:
            self._task = self._plan.task(draw.below(self._plan.tasks))
            self._steps = ()
            self._left = 2 + draw.below(MOST_STEPS)
        else:
            tool, arguments, result = draw.pick(self._plan.calls)
            step = Step(tool, arguments, result, f"{draw.bits():016x}")
            self._steps = (*self._steps, step)
        self._left -= 1
        return Ask((self._task,), self._plan.system, self._plan.tools, code=True, steps=self._steps)
