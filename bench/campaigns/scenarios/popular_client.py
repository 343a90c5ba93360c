"""popular-client: unrelated accounts that all use one program.

At scale 1: 10,000 accounts with an identical system prompt, tools, parameters, headers and JA4;
what they ask is their own. Their sizes are skewed as those of any customers.
"""

from bench.campaigns.clients import CLIENTS
from bench.campaigns.harnesses import tool
from bench.campaigns.scenario import Scenario
from bench.campaigns.stream import Cast
from bench.campaigns.work import Talk
from bench.campaigns.world import World, unrelated

NAME = "popular-client"
ACCOUNTS, PER_DAY, DAYS = 10_000, 20.0, 14.0
MOST_PER_DAY = 1_200.0
PARAMETERS = {"max_tokens": 8192, "temperature": 1}
MODEL, AS_SHIPPED = "m-large", 0.7  # of the users leave the program's model as it is

SYSTEM = (
    "You are Fieldhand, a helper that works in the user's terminal. You read files, run commands "
    "and change code when the user asks for it. Before you change a file, say in one sentence what "
    "you are going to do. Prefer small changes. Never invent file names: look first. When a test "
    "fails, read its output before you try again. Answer in plain text without headings. If the "
    "user asks for something that has nothing to do with code, simply help."
)

TOOLS = (
    tool("read_file", "Read a file of the project.", "path"),
    tool("write_file", "Write a file of the project.", "path", "content"),
    tool("run", "Run a command in the project's folder.", "command"),
    tool("search", "Search the project for a pattern.", "pattern", "folder"),
    tool("ask_user", "Ask the user a question.", "question"),
)


def build(world: World) -> Cast:
    """The look-alike at the world's scale."""
    task = Talk(world.corpus, SYSTEM, TOOLS)
    count = world.accounts(ACCOUNTS)
    length_s = world.length_s(DAYS)
    sizes = world.draw(NAME, "sizes")
    persons = []
    for number in range(count):
        per_day = min(sizes.lognormal(PER_DAY * 0.5, 1.2), MOST_PER_DAY)
        draw = world.draw(NAME, number)
        shape = draw.pick(world.traces.profiles)
        persons.append(
            unrelated(
                world,
                f"pc-{number:05d}",
                draw,
                shape=shape,
                per_day=per_day,
                client=CLIENTS["fieldhand"],
                task=task,
                parameters=PARAMETERS,
                model=MODEL if draw.chance(AS_SHIPPED) else None,
            )
        )
    return Cast(NAME, "lookalike", persons, length_s)


SCENARIO = Scenario(NAME, "lookalike", ACCOUNTS, PER_DAY, DAYS, build)
