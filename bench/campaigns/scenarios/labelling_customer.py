"""labelling-customer: a firm that has texts graded by rubric, around the clock.

At scale 1: 200,000 calls a day from a few machines, in one template, with 60 keys of one declared
organization: 60 accounts with a key each (labelling-customer) or one account that has them all
(labelling-keys). The accounts are invoiced together and were opened over a year.
"""

from dataclasses import dataclass

from bench.campaigns import exits, networks
from bench.campaigns.clients import CLIENTS
from bench.campaigns.draw import Draw
from bench.campaigns.habits import Life
from bench.campaigns.networks import Addresses, Fixed
from bench.campaigns.pace import DAY_S
from bench.campaigns.scenario import Scenario
from bench.campaigns.stream import Cast
from bench.campaigns.work import Ask, Work
from bench.campaigns.world import STEADY, Person, World, unrelated

NAME, KEYS_NAME = "labelling-customer", "labelling-keys"
ACCOUNTS, A_DAY, DAYS = 60, 200_000.0, 7.0
MACHINES = 6
RUBRIC = (
    "You are an annotator. Grade both responses with the rubric and nothing else.\n"
    "Rubric: helpful (1-5), truthful (1-5), harmless (1-5). For each criterion write your "
    "reasoning, then the score. End with the better response, A or B.\n\n"
    "Response A:\n{one}\n\nResponse B:\n{two}\n\nReturn JSON."
)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Two texts of a customer's in one rubric; hardly ever the same two."""

    rows: tuple[str, ...]

    def ask(self, draw: Draw) -> Ask:
        """One comparison."""
        said = RUBRIC.replace("{one}", draw.pick(self.rows)).replace("{two}", draw.pick(self.rows))
        return Ask((said,))


def build(world: World) -> Cast:
    """Sixty accounts of one organization, at the world's scale."""
    count = world.accounts(ACCOUNTS)
    return Cast(NAME, "lookalike", _firm(world, NAME, count, 1), world.length_s(DAYS))


def build_keys(world: World) -> Cast:
    """One account with sixty keys, whose rate has the world's scale."""
    return Cast(KEYS_NAME, "lookalike", _firm(world, KEYS_NAME, 1, ACCOUNTS),
                world.length_s(DAYS))  # fmt: skip


def _firm(world: World, name: str, count: int, keys: int) -> list[Person]:
    plan = world.draw(NAME, "plan")
    place = networks.country(plan)
    machines = Fixed(tuple(exits.rack(plan, place) for _ in range(MACHINES)))
    firm = f"{plan.bits():012x}"
    links = {"payment": f"invoice-{firm}", "email_domain": f"labels-{firm}.example",
             "phone_prefix": "", "referrer": "", "device": ""}  # fmt: skip
    task = Pairs(tuple(row for rows in world.corpus.batches for row in rows))
    per_day = A_DAY / ACCOUNTS if count > 1 else A_DAY * world.scale
    return [
        _account(world, f"{name[:2]}{name[-4]}-{number:05d}", place, machines, task, links,
                 f"org-labels-{firm}", per_day, keys)
        for number in range(count)
    ]  # fmt: skip


def _account(
    world: World,
    account: str,
    place: str,
    machines: Addresses,
    task: Work,
    links: dict[str, str],
    organization: str,
    per_day: float,
    keys: int,
) -> Person:
    draw = world.draw(NAME, account)
    return unrelated(
        world,
        account,
        draw,
        shape=STEADY,
        per_day=per_day,
        place=place,
        addresses=machines,
        client=CLIENTS["openai-python"],
        task=task,
        parameters={"max_tokens": 512, "temperature": 0},
        model="m-large",
        links=links,
        organization=organization,
        life=Life(world.start_s - DAY_S * (20 + draw.below(345)), world.start_s),
        keys=keys,
    )


SCENARIO = Scenario(NAME, "lookalike", ACCOUNTS, A_DAY / ACCOUNTS, DAYS, build)
KEYS = Scenario(KEYS_NAME, "lookalike", 1, A_DAY, DAYS, build_keys, at_least=0)
