"""serve-and-harvest: a firm that answers its own users with somebody else's model, and keeps it.

At scale 1: 5,380 accounts, 5.6 exchanges a day each, 60 days; exits in two countries; the prompts
are its users' own; 95 % ask for the top model. A user's conversation goes on through any account:
the earlier turns, and where the firm replays them the signatures of their reasoning, turn up under
another key. Whether it does that, and whether it adds prompts of its own, is drawn with the seed.
"""

from dataclasses import replace

from bench.campaigns import networks
from bench.campaigns.clients import CLIENTS, Client
from bench.campaigns.corpus import Corpus
from bench.campaigns.draw import Draw
from bench.campaigns.hand import Hand, hand
from bench.campaigns.scenario import Scenario
from bench.campaigns.stream import Cast
from bench.campaigns.succession import Succession
from bench.campaigns.texts import firm
from bench.campaigns.work import REPLIES, Ask
from bench.campaigns.world import HUMAN, Person, World

NAME = "serve-and-harvest"
ACCOUNTS, PER_DAY, DAYS, AT_LEAST = 5_380, 5.6, 60.0, 50
TOP, TOP_SHARE = "m-large", 0.95
OTHERS = ("m-mid", "m-small")
OPEN_AT_MOST = 256

Conversation = tuple[tuple[str, ...], int, str, int]  # turns, how many are said, system, name


class Relay:
    """The firm's users. It keeps the conversations that are open, some hundreds at most, whichever
    account the next turn goes through."""

    __slots__ = ("_corpus", "_open", "_systems", "replays")

    def __init__(self, plan: Draw, corpus: Corpus) -> None:
        self._corpus = corpus
        self._open: list[Conversation] = []
        self.replays = plan.chance(0.5)
        own = plan.pick((0, 0, 0, 1, 6))
        self._systems = tuple(firm(plan) for _ in range(own))

    def ask(self, draw: Draw) -> Ask:
        """The next turn of an open conversation, or the first of another."""
        turns, said, system, name = self._next(draw)
        spoken: list[str] = []
        signed: list[str] = []
        for at, turn in enumerate(turns[:said]):
            reply = Draw("reply", name, at)
            spoken += (turn, reply.pick(REPLIES))
            if self.replays:
                signed.append("".join(f"{reply.bits():016x}" for _ in range(6)))
        if said + 1 < len(turns):
            self._keep((turns, said + 1, system, name), draw)
        model = TOP if draw.chance(TOP_SHARE) else draw.pick(OTHERS)
        return Ask((*spoken, turns[said]), system, model=model, signed=tuple(signed))

    def _next(self, draw: Draw) -> Conversation:
        if self._open and draw.chance(0.6):
            at = draw.below(len(self._open))
            self._open[at], self._open[-1] = self._open[-1], self._open[at]
            return self._open.pop()
        system = draw.pick(self._systems) if self._systems else ""
        return draw.pick(self._corpus.talks), 0, system, draw.bits()

    def _keep(self, conversation: Conversation, draw: Draw) -> None:
        if len(self._open) < OPEN_AT_MOST:
            self._open.append(conversation)
        else:
            self._open[draw.below(OPEN_AT_MOST)] = conversation

    def told(self) -> str:
        """What was drawn."""
        replays = "signatures replayed" if self.replays else "no signatures"
        return f"{replays}, {len(self._systems)} system prompts of its own"


def build(world: World) -> Cast:
    """The campaign at the world's scale."""
    count = world.accounts(ACCOUNTS, AT_LEAST)
    plan = world.draw(NAME, "plan")
    relay = Relay(plan, world.corpus)
    one = _in_two_countries(hand(world, NAME, "sh"), plan)
    if relay.replays:
        one = replace(one, habits=replace(one.habits, programs=_signing(plan)))

    def head(number: int, starts_s: float) -> Person:
        return one.person(number, relay, shape=HUMAN, per_day=PER_DAY, starts_s=starts_s)

    note = f"{relay.told()}; exits in {'/'.join(one.habits.places)}; {one.habits.note}"
    return Succession(world, NAME, count, head).cast(NAME, world.length_s(DAYS), note)


def _signing(plan: Draw) -> tuple[tuple[Client, str], ...]:
    """Programs of the one dialect in which reasoning is signed."""
    known = CLIENTS.values()
    client = plan.pick([one for one in known if one.dialect == "anthropic" and one.weight])
    return ((client, plan.pick(client.versions)),)


def _in_two_countries(one: Hand, plan: Draw) -> Hand:
    first = networks.country(plan)
    second = networks.country(plan)
    while second == first:
        second = networks.country(plan)
    return replace(one, habits=replace(one.habits, places=(first, second), model=TOP))


SCENARIO = Scenario(NAME, "campaign", ACCOUNTS, PER_DAY, DAYS, build, AT_LEAST)
