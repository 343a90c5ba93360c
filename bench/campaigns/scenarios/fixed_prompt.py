"""fixed-prompt: heavy accounts that inject one fixed instruction in every request.

At scale 1: 3,500 accounts, 857 exchanges a day each, 9 days, residential exits; 1,500 reserve
accounts, of which one starts within an hour whenever a head is banned. Whether the instruction is
the system prompt or opens the user's turn is drawn with the seed. A head counts itself banned
after ten refusals in a row.
"""

from bench.campaigns.draw import digest
from bench.campaigns.pace import DAY_S
from bench.campaigns.persona import Line, Persona
from bench.campaigns.scenario import Scenario
from bench.campaigns.stream import Cast, Decision, Reinforcement
from bench.campaigns.texts import paraphrase
from bench.campaigns.work import Templated
from bench.campaigns.world import STEADY, Account, Person, World, head

NAME = "fixed-prompt"
ACCOUNTS, RESERVES, PER_DAY, DAYS = 3_500, 1_500, 857.0, 9.0
PLACES = ("US", "DE", "SG", "BR", "PL", "VN")
BANNED_AFTER = 10  # refusals in a row
REPLACED_WITHIN_S = 3600.0
DISPOSABLE = ("quickbox.example", "tempo.example", "mailette.example", "oneshot.example")


def build(world: World) -> Cast:
    """The campaign at the world's scale."""
    operator = _Operator(world)
    count = world.accounts(ACCOUNTS)
    persons = [operator.head(number, world.start_s) for number in range(count)]
    length_s = world.length_s(DAYS)
    return Cast(
        NAME, "campaign", persons, length_s, operator.reserves, operator.react, operator.note
    )


class _Operator:
    """The one hand: makes heads, sees their answers, replaces the banned."""

    def __init__(self, world: World) -> None:
        self._world = world
        plan = world.draw(NAME, "plan")
        wording, in_system = paraphrase(plan), plan.chance(0.5)
        self.note = "system prompt" if in_system else "user's turn"
        self._task = Templated((wording,), world.corpus.harvest, in_system=in_system)
        self._first_reserve = world.accounts(ACCOUNTS)
        self._left = list(range(world.accounts(RESERVES, 2)))[::-1]
        self._refused: dict[str, int] = {}
        self.reserves: list[Account] = [
            self.head(self._first_reserve + number, world.start_s).account for number in self._left
        ][::-1]

    def head(self, number: int, starts_s: float) -> Person:
        """One account of the campaign; sign-ups lie in bursts over the month before."""
        account = f"fp-{number:05d}"
        draw = self._world.draw(NAME, number)
        burst_s = DAY_S * (3 + number // 40 % 25) + draw.unit() * 7200.0
        links = {
            "payment": f"pay-{digest(self._world.seed, NAME, 'card', number // 3):012x}",
            "email_domain": draw.pick(DISPOSABLE),
            "signup_ip": f"192.0.2.{number // 25 % 250 + 1}",
            "device": f"d-{draw.bits():016x}",
        }
        return head(
            self._world,
            account,
            draw,
            shape=STEADY,
            per_day=PER_DAY,
            starts_s=starts_s,
            places=PLACES,
            session_s=600.0,
            task=self._task,
            model="m-large",
            links=links,
            created_at=self._world.start_s - burst_s,
        )

    def react(self, persona: Persona, line: Line, decision: Decision) -> Reinforcement | None:
        """Count refusals in a row; a banned head leaves and a reserve starts within the hour."""
        if decision["status"] < 400 or decision["verdict"] == "allow":
            self._refused.pop(persona.account, None)
            return None
        refused = self._refused[persona.account] = self._refused.get(persona.account, 0) + 1
        if refused < BANNED_AFTER or not self._left:
            return None
        starts_s = line["ts"] + REPLACED_WITHIN_S * persona.draw.unit()
        replacement = self.head(self._first_reserve + self._left.pop(), starts_s)
        return Reinforcement((replacement,), retired=persona.account)


SCENARIO = Scenario(NAME, "campaign", ACCOUNTS, PER_DAY, DAYS, build)
