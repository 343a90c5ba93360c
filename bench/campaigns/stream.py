"""Many accounts, one stream: a merge by time that holds one entry for each account.

A cast is a group of accounts that came into the world together: the unrelated ones, or one
scenario. A cast may answer to what happens to its accounts (`Reaction`): that is how banned heads
of a campaign are replaced. Without decisions the stream is the open-loop recording.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from bench.campaigns.persona import Line, Persona
from bench.campaigns.world import Account, Person

Decision = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reinforcement:
    """New accounts that start to send, and an account that stops for good."""

    persons: tuple[Person, ...] = ()
    retired: str | None = None


class Reaction(Protocol):
    """How whoever runs a cast answers to the decision about one of its exchanges."""

    def __call__(self, persona: Persona, line: Line, decision: Decision) -> Reinforcement | None:
        """What changes now, if anything."""
        ...


@dataclass(slots=True)
class Cast:
    """A group of accounts; `kind` is base, campaign or lookalike. `note` is what was drawn that a
    reader of the figures should know."""

    name: str
    kind: str
    persons: list[Person]
    length_s: float
    reserves: list[Account] = field(default_factory=list)
    react: Reaction | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One exchange: whose it is and the line to send."""

    cast: str
    persona: Persona
    line: Line


class Traffic:
    """The merged stream of some casts, in time order."""

    def __init__(self, casts: list[Cast], start_s: float) -> None:
        self._start_s = start_s
        self._casts = {cast.name: cast for cast in casts}
        self._heap: list[tuple[float, int, str, Persona]] = []
        self._retired: set[str] = set()
        self._entered = 0
        self._sent = 0
        for cast in casts:
            for person in cast.persons:
                self._enter(cast.name, person.persona)

    @property
    def end_s(self) -> float:
        """When the last cast stops, in Unix seconds."""
        return self._start_s + max(cast.length_s for cast in self._casts.values())

    def __iter__(self) -> Iterator[Event]:
        while self._heap:
            at_s, order, cast, persona = self._heap[0]
            if persona.account in self._retired:
                heapq.heappop(self._heap)
                continue
            self._sent += 1
            line = persona.line(self._sent, at_s)
            following = self._following(cast, persona, at_s)
            if following is None:
                heapq.heappop(self._heap)
            else:
                heapq.heapreplace(self._heap, (following, order, cast, persona))
            yield Event(cast, persona, line)

    def react(self, event: Event, decision: Decision) -> None:
        """Let whoever sent the event see the decision, as a client sees its answer."""
        reaction = self._casts[event.cast].react
        change = reaction(event.persona, event.line, decision) if reaction else None
        if change is None:
            return
        if change.retired is not None:
            self._retired.add(change.retired)
        for person in change.persons:
            self._enter(event.cast, person.persona)

    def _enter(self, cast: str, persona: Persona) -> None:
        at_s = self._following(cast, persona, self._start_s)
        if at_s is not None:
            heapq.heappush(self._heap, (at_s, self._entered, cast, persona))
        self._entered += 1

    def _following(self, cast: str, persona: Persona, not_before_s: float) -> float | None:
        at_s = round(max(persona.next_at(), not_before_s), 3)
        return at_s if at_s < self._start_s + self._casts[cast].length_s else None
