"""adaptive: an operator who reads every answer and changes what was refused.

At scale 1: 1,000 accounts, 60 exchanges a day each, 30 days, in lockstep but for 0 to 800 ms.
Another model rewords each prompt and hides characters in it; programs, headers and TLS change by
the session. An account that is refused changes its wording, then its program and exits, then its
card; if it is still refused it leaves, and a reserve takes its place. Wordings that are refused
in several accounts are given up everywhere. Nobody but the gateway knows more than the answers.
"""

from dataclasses import dataclass, replace
from hashlib import sha256

from bench.campaigns import clients, networks
from bench.campaigns.clients import Client, Header
from bench.campaigns.draw import Draw, digest
from bench.campaigns.hand import Hand, hand
from bench.campaigns.lockstep import Lockstep, Rota
from bench.campaigns.pace import DAY_S
from bench.campaigns.persona import Line, Persona
from bench.campaigns.reword import Reworded, Voice, voice
from bench.campaigns.scenario import Scenario
from bench.campaigns.stream import Cast, Decision, Reinforcement
from bench.campaigns.world import STEADY, Account, Person, World

NAME = "adaptive"
ACCOUNTS, PER_DAY, DAYS, AT_LEAST = 1_000, 60.0, 30.0, 50
JITTER_S = 0.8
GIVEN_UP_BY = 3  # accounts in which a wording was refused


@dataclass(slots=True)
class Disguised(Persona):
    """An account that looks like another program every `changes_s` seconds."""

    changes_s: float = 0.0
    forged: float = 0.0  # how often the TLS hello is made at random rather than a program's own
    next_s: float = 0.0

    def line(self, number: int, at_s: float) -> Line:
        """As any other, in the dress of the session."""
        if self.changes_s and at_s >= self.next_s:
            self.next_s = at_s + self.changes_s * (0.5 + self.draw.unit())
            self.dress()
        return Persona.line(self, number, at_s)

    def dress(self) -> None:
        """Take the looks of another program."""
        draw = self.draw
        self.client = dressed(clients.ordinary(draw), self.forged, draw)
        self.headers = _mixed(self.client.render(draw.pick(self.client.versions), self.key), draw)


def dressed(client: Client, forged: float, draw: Draw) -> Client:
    """A program, with a TLS hello that is its own or made at random."""
    if not draw.chance(forged):
        return client
    ends = sha256(f"hello {draw.bits()}".encode()).hexdigest()
    ja4 = f"t13d{draw.below(40) + 12:02d}{draw.below(10) + 8:02d}h2_{ends[:12]}_{ends[12:24]}"
    return replace(client, ja4=ja4)


def _mixed(headers: list[Header], draw: Draw) -> list[Header]:
    """The same headers; two of them change places and now and then one is left out."""
    mixed = headers[:]
    first, second = 1 + draw.below(len(mixed) - 1), 1 + draw.below(len(mixed) - 1)
    mixed[first], mixed[second] = mixed[second], mixed[first]
    optional = [at for at, (name, _) in enumerate(mixed) if name.lower().startswith("x-stainless")]
    if optional and draw.chance(0.3):
        del mixed[draw.pick(optional)]
    return mixed


def build(world: World) -> Cast:
    """The campaign at the world's scale."""
    operator = _Operator(world)
    persons = [operator.person(number, world.start_s) for number in range(operator.count)]
    length_s = world.length_s(DAYS)
    return Cast(
        NAME, "campaign", persons, length_s, operator.reserves, operator.react, operator.note
    )


@dataclass(slots=True)
class _Mind:
    """What the operator remembers of an account that was refused."""

    refused: int = 0  # in a row
    step: int = 0  # changes made since it was last served for a while
    served: int = 0  # in a row


class _Operator:
    """The one hand: words, dresses and replaces by what the answers say."""

    def __init__(self, world: World) -> None:
        plan = world.draw(NAME, "plan")
        self._world, self._plan = world, plan
        self._hand: Hand = hand(world, NAME, "ad")
        self.count = world.accounts(ACCOUNTS, AT_LEAST)
        self._patience = 1 + plan.below(3)  # refusals in a row before something changes
        self._changes_s = plan.pick((1800.0, 7200.0, 21600.0, 86400.0))
        self._forged = plan.pick((0.0, 0.3, 1.0))
        self._wave = plan.pick((10, 25, 50, 200))  # accounts in lockstep
        self._rests_s = 3600.0 * plan.below(9)
        self._replaced_s = plan.pick((600.0, 3600.0, 6 * 3600.0, DAY_S))
        self._voices: list[Voice] = [voice(plan) for _ in range(4 + plan.below(30))]
        self._blamed: dict[int, set[str]] = {}
        self._voice_of: dict[str, int] = {}
        self._minds: dict[str, _Mind] = {}
        self._cards = 0
        active_s = DAY_S - self._rests_s
        self._rota = Rota(f"{world.seed}/{NAME}", world.start_s, PER_DAY, active_s, JITTER_S, False)
        self._left = list(range(world.accounts(ACCOUNTS // (1 + plan.below(3)), AT_LEAST // 3)))
        self.reserves: list[Account] = [
            self.person(self.count + number, world.start_s).account for number in self._left
        ]
        self._left.reverse()
        self.note = f"{len(self._voices)} wordings, {self._hand.habits.note}"

    def person(self, number: int, starts_s: float) -> Person:
        """One account, with a wording of the moment."""
        task = Reworded(self._voices[0], self._world.corpus.harvest)
        person = self._hand.person(
            number, task, shape=STEADY, per_day=PER_DAY, starts_s=starts_s, kind=Disguised
        )
        persona = person.persona
        assert isinstance(persona, Disguised)
        self._speak(persona, persona.draw.below(len(self._voices)))
        persona.changes_s, persona.forged = self._changes_s, self._forged
        persona.pace = Lockstep(self._rota, number // self._wave, 1, starts_s)
        return person

    def react(self, persona: Persona, line: Line, decision: Decision) -> Reinforcement | None:
        """Read an answer: all that is known is its status."""
        account = persona.account
        mind = self._minds.get(account)
        if decision["status"] < 400:
            self._keep_up(persona)
            if mind is not None:
                mind.refused, mind.served = 0, mind.served + 1
                if mind.served >= 10 * self._patience:
                    del self._minds[account]
            return None
        if mind is None:
            mind = self._minds[account] = _Mind()
        mind.refused, mind.served = mind.refused + 1, 0
        if mind.refused < self._patience:
            return None
        mind.refused, mind.step = 0, mind.step + 1
        return self._change(persona, line["ts"], mind.step)

    def _change(self, persona: Persona, at_s: float, step: int) -> Reinforcement | None:
        """The next thing to try: words, looks and exits, money, another account."""
        assert isinstance(persona, Disguised)
        draw = persona.draw
        group = int(persona.account.rpartition("-")[2]) // self._wave
        persona.pace = Lockstep(self._rota, group, 1, at_s + 3600.0 * draw.unit())
        match step:
            case 1:
                self._blame(persona)
            case 2:
                persona.dress()
                self._move(persona)
            case 3:
                self._blame(persona)
                return Reinforcement(updated=(self._paid_anew(persona),))
            case _:
                return self._replace(persona, at_s)
        return None

    def _keep_up(self, persona: Persona) -> None:
        """Speak as the slot's wording now is: it may have been given up meanwhile."""
        work, slot = persona.work, self._voice_of[persona.account]
        if isinstance(work, Reworded) and work.voice is not self._voices[slot]:
            work.voice = self._voices[slot]

    def _blame(self, persona: Persona) -> None:
        """Leave the wording that was refused; one that fails in several accounts is given up."""
        slot = self._voice_of[persona.account]
        blamed = self._blamed.setdefault(slot, set())
        blamed.add(persona.account)
        if len(blamed) >= GIVEN_UP_BY:
            self._voices[slot] = voice(self._plan)
            del self._blamed[slot]
        else:
            slot = persona.draw.below(len(self._voices))
        self._speak(persona, slot)

    def _speak(self, persona: Persona, slot: int) -> None:
        self._voice_of[persona.account] = slot
        assert isinstance(persona.work, Reworded)
        persona.work.voice = self._voices[slot]

    def _move(self, persona: Persona) -> None:
        """Rent other exits, of a kind that was not the usual one."""
        have, draw = self._hand.habits, persona.draw
        kind = draw.pick(("residential", "residential", "mobile", "hosting"))
        name = f"{self._world.seed}/{NAME}/{persona.account}/{draw.bits()}"
        places = (networks.country(draw), draw.pick(have.places))
        persona.addresses = networks.Rotating(name, places, have.session_s, kind)

    def _paid_anew(self, persona: Persona) -> Account:
        """The account's line with a card and a mail address that nobody else has."""
        number = int(persona.account.rpartition("-")[2])
        place = persona.draw.pick(self._hand.habits.places)
        line = self._hand.line(persona.account, number, place, PER_DAY)
        self._cards += 1
        card = digest(self._world.seed, NAME, "new card", self._cards)
        domain = f"{digest('new domain', card):016x}"[:10] + ".example"
        line["links"] = line["links"] | {"payment": f"pay-{card:012x}", "email_domain": domain}
        return line

    def _replace(self, persona: Persona, at_s: float) -> Reinforcement | None:
        """Leave; without a reserve the account goes on trying from the beginning."""
        del self._minds[persona.account]
        if not self._left:
            return None
        number = self.count + self._left.pop()
        starts_s = at_s + self._replaced_s * persona.draw.unit()
        return Reinforcement((self.person(number, starts_s),), retired=persona.account)


SCENARIO = Scenario(NAME, "campaign", ACCOUNTS, PER_DAY, DAYS, build, AT_LEAST)
