"""shared-keys: keys of honest organizations have leaked, and one buyer uses them all.

10 days, 40 organizations whatever the scale, each an honest account that goes on as before. Its key
leaks in the first third, to 30 addresses that send extraction prompts by one program and one set of
templates. The owners are victims: whoever bans them is wrong. An address whose key is refused moves
to another leaked one.
"""

from bench.campaigns import networks
from bench.campaigns.draw import Draw
from bench.campaigns.hand import Hand, hand
from bench.campaigns.pace import Pace
from bench.campaigns.persona import Line, Persona
from bench.campaigns.reword import instructions
from bench.campaigns.scenario import Scenario
from bench.campaigns.stream import Cast, Decision, Reinforcement
from bench.campaigns.work import Marked, Templated
from bench.campaigns.world import HUMAN, STEADY, Person, World, tier, unrelated

NAME = "shared-keys"
ORGANIZATIONS, ADDRESSES, PER_DAY, DAYS = 40, 30, 400.0, 10.0
MOVES_AFTER = 8  # refusals in a row
MOST_PER_DAY = 1_400.0  # of an owner, who stays within the quota of the tier


def build(world: World) -> Cast:
    """The thieves, with the owners beside them."""
    plan, length_s = world.draw(NAME, "plan"), world.length_s(DAYS)
    count = world.accounts(ORGANIZATIONS, ORGANIZATIONS)
    owners = [_owner(world, number) for number in range(count)]
    leaks = [world.start_s + length_s * (0.03 + 0.3 * plan.unit()) for _ in owners]
    thief = _Thief(world, plan, owners)
    persons = [
        thief.person(number * ADDRESSES + nth, owner, leaks[number])
        for number, owner in enumerate(owners)
        for nth in range(ADDRESSES)
    ]
    victims = Cast(f"{NAME}-owners", "victim", owners, length_s, campaign=NAME)
    return Cast(
        NAME,
        "campaign",
        persons,
        length_s,
        react=thief.react,
        note=thief.note,
        harvest_begins_s=min(leaks),
        beside=[victims],
    )


def _owner(world: World, number: int) -> Person:
    draw = world.draw(NAME, "owner", number)
    per_day = min(draw.lognormal(150.0, 1.0), MOST_PER_DAY)
    shape = draw.pick(world.traces.profiles)
    person = unrelated(world, f"sk-{number:03d}", draw, shape=shape, per_day=per_day)
    # A key that is worth stealing has some room.
    person.account["tier"], person.account["verified"] = tier(1000.0), True
    person.account["organization"] = f"org-sk-{number:03d}"
    return person


class _Thief:
    """The one buyer of the keys."""

    def __init__(self, world: World, plan: Draw, owners: list[Person]) -> None:
        self._hand: Hand = hand(world, NAME, "sk-thief")
        self._owners = owners
        templates = instructions(plan, plan.pick((1, 1, 2, 6, 20)))
        in_system = plan.chance(0.5)
        self._task = Marked(Templated(templates, world.corpus.harvest, in_system=in_system))
        self._shape = STEADY if plan.chance(0.6) else HUMAN
        self._per_day = 6.0 + 24.0 * plan.unit()  # of one address
        self._refused: dict[int, int] = {}
        self.note = (
            f"{self._per_day:.0f} a day from each address, {len(templates)} templates, "
            f"{self._hand.habits.note}"
        )

    def person(self, number: int, owner: Person, leaks_s: float) -> Person:
        """One address that uses the owner's key."""
        person = self._hand.person(
            number, self._task, shape=self._shape, per_day=self._per_day, starts_s=leaks_s
        )
        persona = person.persona
        draw = persona.draw
        place = draw.pick(self._hand.habits.places)
        kind = draw.pick(("residential", "residential", "hosting"))
        persona.addresses = networks.Fixed((networks.address(draw, place, kind),))
        self._wake(persona, leaks_s)
        self._use(persona, owner)
        return Person(owner.account, persona)

    def react(self, persona: Persona, line: Line, decision: Decision) -> Reinforcement | None:
        """An address whose key is refused for good uses another one."""
        who = id(persona)
        if decision["status"] < 400:
            self._refused.pop(who, None)
            return None
        refused = self._refused[who] = self._refused.get(who, 0) + 1
        if refused >= MOVES_AFTER:
            del self._refused[who]
            self._use(persona, persona.draw.pick(self._owners))
            self._wake(persona, line["ts"] + 3600.0 * persona.draw.unit())
        return None

    def _wake(self, persona: Persona, at_s: float) -> None:
        """Let an address send from then on."""
        draw = persona.draw
        persona.pace = Pace(self._shape, self._per_day, at_s, 600.0 * draw.below(1000), draw)

    @staticmethod
    def _use(persona: Persona, owner: Person) -> None:
        was, key = persona.key, owner.persona.key
        persona.account, persona.key = owner.persona.account, key
        persona.headers = [[name, text.replace(was, key)] for name, text in persona.headers]


SCENARIO = Scenario(NAME, "campaign", ORGANIZATIONS, PER_DAY, DAYS, build, ORGANIZATIONS)
