"""framing: a campaign that looks like one honest customer.

At scale 1: 400 accounts, 100 exchanges a day each, 8 days. The customer is old, verified and uses
much; the campaign, which begins when he has been at work for a while, has his system prompt, his
tools, his program and its version, his model and parameters, his hours, and machines at his host,
sometimes next to his own. What it cannot have is his account, his card and his age. He is the
victim: nothing may happen to him.
"""

from bench.campaigns import clients, exits, networks, texts
from bench.campaigns.draw import Draw
from bench.campaigns.hand import hand
from bench.campaigns.pace import DAY_S, Pace, Profile
from bench.campaigns.persona import Persona
from bench.campaigns.reword import instructions
from bench.campaigns.scenario import Scenario
from bench.campaigns.scenarios.popular_client import TOOLS
from bench.campaigns.stream import Cast
from bench.campaigns.work import Ask, Marked, Mixed, Rows, Templated, Work
from bench.campaigns.world import Person, World, unrelated

NAME = "framing"
ACCOUNTS, PER_DAY, DAYS, AT_LEAST = 400, 100.0, 8.0, 50


class Under:
    """Work under somebody's system prompt and tools."""

    __slots__ = ("_inner", "_system", "_tools")

    def __init__(self, inner: Work, system: str, tools: tuple[dict[str, object], ...]) -> None:
        self._inner, self._system, self._tools = inner, system, tools

    def ask(self, draw: Draw) -> Ask:
        """A request of the inner work."""
        asked = self._inner.ask(draw)
        return Ask(asked.turns, self._system, self._tools, extraction=asked.extraction)


def build(world: World) -> Cast:
    """The campaign at the world's scale, with its one victim beside it."""
    plan, length_s = world.draw(NAME, "plan"), world.length_s(DAYS)
    system = texts.firm(plan)
    tools = TOOLS[: plan.below(len(TOOLS))]
    shape = plan.pick(world.traces.profiles)
    place = networks.country(plan)
    victim = _victim(world, plan, Under(Rows(world.corpus.support), system, tools), shape, place)
    templates = instructions(plan, plan.pick((1, 1, 3, 10)))
    harvest = Marked(Templated(templates, world.corpus.harvest))
    share = 1.0 - plan.pick((0.0, 0.2, 0.5))
    task = Under(Mixed(Rows(world.corpus.support), harvest, share), system, tools)
    begins_s = world.start_s + length_s * (0.1 + 0.2 * plan.unit())
    neighbours = plan.chance(0.5)
    one = hand(world, NAME, "fr")
    persons = []
    for number in range(world.accounts(ACCOUNTS, AT_LEAST)):
        person = one.person(number, task, shape=shape, per_day=PER_DAY, starts_s=begins_s)
        _imitate(person.persona, victim.persona, place, neighbours)
        shift_s = networks.HOURS_EAST[place] * 3600.0 + begins_s - world.start_s
        person.persona.pace = Pace(shape, PER_DAY, begins_s, shift_s, person.persona.draw)
        persons.append(person)
    where = "next to the victim" if neighbours else "at his host"
    note = f"{share:.0%} extraction, {len(templates)} templates, {len(tools)} tools, {where}"
    beside = Cast(f"{NAME}-victim", "victim", [victim], length_s, campaign=NAME)
    return Cast(
        NAME, "campaign", persons, length_s, note=note, harvest_begins_s=begins_s, beside=[beside]
    )


def _victim(world: World, plan: Draw, task: Work, shape: Profile, place: str) -> Person:
    """An honest customer of old, with heavy use from a few machines."""
    draw = world.draw(NAME, "victim")
    machines = tuple(exits.rack(draw, place) for _ in range(1 + draw.below(3)))
    victim = unrelated(
        world,
        "fv-000",
        draw,
        shape=shape,
        per_day=1_500.0 + plan.below(4_500),
        place=place,
        addresses=networks.Fixed(machines),
        client=clients.ordinary(plan),
        task=task,
        links={"email_domain": "framed.example"},
    )
    victim.account["created_at"] = world.start_s - DAY_S * (400 + plan.below(800))
    victim.account["verified"] = True
    victim.persona.model = "m-large"
    victim.persona.move = None
    return victim


def _imitate(persona: Persona, victim: Persona, place: str, neighbours: bool) -> None:
    """Put on the victim's looks, and rent where he rents."""
    draw = persona.draw
    persona.client = victim.client
    persona.headers = [
        [name, text.replace(victim.key, persona.key)] for name, text in victim.headers
    ]
    persona.model, persona.stream = victim.model, victim.stream
    persona.parameters = victim.parameters
    machine = exits.rack(draw, place)
    if neighbours:
        beside = victim.addresses.at(0.0, draw).rpartition(".")[0]
        machine = f"{beside}.{1 + draw.below(250)}"
    persona.addresses = networks.Fixed((machine,))


SCENARIO = Scenario(NAME, "campaign", ACCOUNTS, PER_DAY, DAYS, build, AT_LEAST)
