"""Many accounts, one stream: a merge by time that holds one entry for each account.

A cast is a group of accounts that came into the world together: the unrelated ones, or one
scenario. A cast may answer to what happens to its accounts (`Reaction`): that is how banned heads
of a campaign are replaced. Without decisions the stream is the open-loop recording.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from bench.campaigns.persona import Line, Persona
from bench.campaigns.world import Account, Person

Decision = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reinforcement:
    """New accounts that start to send, an account that stops for good, and lines of the directory
    that change because somebody paid with another card or moved."""

    persons: tuple[Person, ...] = ()
    retired: str | None = None
    updated: tuple[Account, ...] = ()


class Reaction(Protocol):
    """How whoever runs a cast answers to the decision about one of its exchanges."""

    def __call__(self, persona: Persona, line: Line, decision: Decision) -> Reinforcement | None:
        """What changes now, if anything."""
        ...


@dataclass(frozen=True, slots=True)
class Many:
    """Accounts that are too many to hold, made again from their number at every pass."""

    count: int
    account: Callable[[int], Account]

    def __iter__(self) -> Iterator[Account]:
        return map(self.account, range(self.count))


@dataclass(slots=True)
class Cast:
    """A group of accounts; `kind` is base, campaign, lookalike, victim (honest accounts that a
    campaign uses or imitates) or decoy (a campaign's throw-away accounts, which nobody needs to
    find and nobody is sorry for). `note` is what was drawn that a reader of the figures should
    know. `beside` are the victims and decoys that came with a campaign, which `campaign` names."""

    name: str
    kind: str
    persons: list[Person]
    length_s: float
    reserves: list[Account] = field(default_factory=list)
    react: Reaction | None = None
    note: str = ""
    harvest_begins_s: float | None = None  # None: with the world
    beside: list["Cast"] = field(default_factory=list)
    campaign: str = ""
    more: Many | None = None  # accounts that no person of the cast stands for
    changes: list[tuple[float, Account]] = field(default_factory=list)  # of the directory, by time

    @property
    def accounts(self) -> int:
        """How many accounts it has; several of its persons may share one."""
        named = len({person.persona.account for person in self.persons})
        return named if self.more is None else self.more.count


@dataclass(frozen=True, slots=True)
class Event:
    """One exchange: whose it is and the line to send. `extraction` marks those of a campaign's
    exchanges that are extraction, where its accounts serve honest work besides; it is not told in
    the line."""

    cast: str
    persona: Persona
    line: Line
    extraction: bool = False
    expected: str = ""  # the verdict that the law asks for, where a scenario is about law


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
            extraction, expected = persona.extraction, persona.expected
            following = self._following(cast, persona, at_s)
            if following is None:
                heapq.heappop(self._heap)
            else:
                heapq.heapreplace(self._heap, (following, order, cast, persona))
            yield Event(cast, persona, line, extraction, expected)

    def react(self, event: Event, decision: Decision) -> tuple[Account, ...]:
        """Let whoever sent the event see the decision, as a client sees its answer. Returns the
        lines of the directory that change by it."""
        reaction = self._casts[event.cast].react
        change = reaction(event.persona, event.line, decision) if reaction else None
        if change is None:
            return ()
        if change.retired is not None:
            self._retired.add(change.retired)
        for person in change.persons:
            self._enter(event.cast, person.persona)
        return change.updated

    def _enter(self, cast: str, persona: Persona) -> None:
        at_s = self._following(cast, persona, self._start_s)
        if at_s is not None:
            heapq.heappush(self._heap, (at_s, self._entered, cast, persona))
        self._entered += 1

    def _following(self, cast: str, persona: Persona, not_before_s: float) -> float | None:
        at_s = round(max(persona.next_at(), not_before_s), 3)
        return at_s if at_s < self._start_s + self._casts[cast].length_s else None
