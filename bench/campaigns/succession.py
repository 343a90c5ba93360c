"""Banned accounts are replaced: what a hand sees of its accounts' answers, and what it does."""

from collections.abc import Callable

from bench.campaigns.persona import Line, Persona
from bench.campaigns.stream import Cast, Decision, Reinforcement
from bench.campaigns.world import Account, Person, World

REPLACED_WITHIN_S = 3600.0


class Succession:
    """Accounts of a campaign, and reserves that take the place of those that are lost.

    An account that is turned away (401, 403) some times in a row is lost. One that is only told to
    wait is not: it is given up when for hours it has got nothing else. How soon is drawn with the
    seed. An upstream's own error is nobody's refusal.
    """

    def __init__(
        self, world: World, name: str, accounts: int, make: Callable[[int, float], Person]
    ) -> None:
        """`make` gets an account's number and when it starts, in Unix seconds."""
        draw = world.draw(name, "patience")
        ready = max(3, round(accounts * (0.1 + 0.4 * draw.unit())))
        self.lost_after = 3 + draw.below(8)
        self.patience_s = 3600.0 * (3 + draw.below(34))
        self._make = make
        self._next, self._end = accounts, accounts + ready
        self._trouble: dict[str, tuple[float, int, int]] = {}
        self.persons = [make(number, world.start_s) for number in range(accounts)]
        self.reserves: list[Account] = [
            make(number, world.start_s).account for number in range(accounts, self._end)
        ]

    def cast(self, name: str, length_s: float, note: str) -> Cast:
        """The campaign as a cast."""
        return Cast(name, "campaign", self.persons, length_s, self.reserves, self.react, note)

    def react(self, persona: Persona, line: Line, decision: Decision) -> Reinforcement | None:
        """A lost account leaves, and a reserve starts in its place within the hour."""
        account, at_s = persona.account, line["ts"]
        if decision["status"] < 400 or decision["verdict"] == "allow":
            self._trouble.pop(account, None)
            return None
        since_s, refused, turned_away = self._trouble.get(account, (at_s, 0, 0))
        turned_away = turned_away + 1 if decision["status"] in {401, 403} else 0
        self._trouble[account] = since_s, refused + 1, turned_away
        starved = refused >= self.lost_after and at_s - since_s > self.patience_s
        if self._next == self._end or (turned_away < self.lost_after and not starved):
            return None
        del self._trouble[account]
        replacement = self._make(self._next, at_s + REPLACED_WITHIN_S * persona.draw.unit())
        self._next += 1
        return Reinforcement((replacement,), retired=account)
