"""Accounts that a campaign lost, and how soon those that took their places were contained.

Only a closed loop has any: an attacker who sees answers, gives up an account and starts another.
"""

from dataclasses import dataclass
from typing import Any

from bench.campaigns.persona import Line, Persona
from bench.campaigns.stream import Cast, Decision, Event, Reaction, Reinforcement


@dataclass(slots=True)
class Replacement:
    """One account that took another's place. Times in Unix seconds."""

    banned_s: float
    started_s: float | None = None
    refused_s: float | None = None  # by cluster, for the first time
    served: int = 0  # before that


class Replaced:
    """Watches the reactions of casts, and what happens to the accounts that they bring."""

    def __init__(self, casts: list[Cast]) -> None:
        self.by_account: dict[str, Replacement] = {}
        for cast in casts:
            if cast.react is not None:
                cast.react = _Watched(cast.react, self.by_account)

    def saw(self, event: Event, decision: Decision) -> None:
        """Take in one decision."""
        one = self.by_account.get(event.persona.account) if self.by_account else None
        if one is None or one.refused_s is not None:
            return
        at_s = event.line["ts"]
        one.started_s = at_s if one.started_s is None else one.started_s
        if decision["by_cluster"] and decision["verdict"] not in ("allow", "delay"):
            one.refused_s = at_s
        elif decision["verdict"] == "allow":
            one.served += 1

    def summary(self) -> dict[str, Any]:
        """How many started and were contained; hours from the ban, and what each was served."""
        started = [one for one in self.by_account.values() if one.started_s is not None]
        stopped = [one for one in started if one.refused_s is not None]
        return {
            "banned": len(self.by_account),
            "started": len(started),
            "contained": len(stopped),
            "hours": sorted(
                round((one.refused_s - one.banned_s) / 3600, 3)
                for one in stopped
                if one.refused_s is not None
            ),
            "served": sorted(one.served for one in started),
        }


class _Watched:
    """A reaction that is written down."""

    def __init__(self, inner: Reaction, into: dict[str, Replacement]) -> None:
        self._inner = inner
        self._into = into

    def __call__(self, persona: Persona, line: Line, decision: Decision) -> Reinforcement | None:
        change = self._inner(persona, line, decision)
        if change is not None and change.retired is not None:
            for person in change.persons:
                self._into[person.persona.account] = Replacement(line["ts"])
        return change
