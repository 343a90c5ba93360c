"""Further kinds of work, of programs and of firms rather than of people."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.campaigns import texts
from bench.campaigns.corpus import Corpus
from bench.campaigns.draw import Draw, digest, running
from bench.campaigns.work import Ask, Talk, Work

_PASSAGES = 3
_TRIALS = ("Say this is a test", "Hello!", "test", "ping", "Write a haiku about recursion.",
           "What is the capital of France?", "Hello, world", "Tell me a joke.")  # fmt: skip
_TRIAL_SYSTEM = "You are a helpful assistant."


@dataclass(frozen=True, slots=True)
class Wrapped:
    """Work whose latest turn a program puts into its template, with passages where it has a place
    for `{context}`. Without a template it only fixes system prompt and tools."""

    inner: Work
    template: str = ""
    passages: tuple[str, ...] = ()
    tools: tuple[dict[str, object], ...] = ()
    system: str = ""

    def ask(self, draw: Draw) -> Ask:
        """A request of the inner work as the program sends it."""
        asked = self.inner.ask(draw)
        turns = asked.turns
        if self.template:
            said = self.template.replace("{task}", turns[-1])
            if "{context}" in said:
                found = [draw.pick(self.passages) for _ in range(_PASSAGES)]
                said = said.replace("{context}", "\n\n".join(found))
            turns = (*turns[:-1], said)
        return replace(
            asked,
            turns=turns,
            tools=self.tools or asked.tools,
            system=self.system or asked.system,
        )


@dataclass(slots=True)
class Sweep:
    """A test set from its first row to its last and again, in one template. It belongs to one
    account: `at` is the next row, and `step` says how many accounts share the set."""

    rows: Sequence[str]
    template: str = "{task}"
    system: str = ""
    at: int = 0
    step: int = 1

    def ask(self, _draw: Draw) -> Ask:
        """The next row."""
        row = self.rows[self.at % len(self.rows)]
        self.at += self.step
        return Ask((self.template.replace("{task}", row),), self.system)


@dataclass(frozen=True, slots=True)
class Trials:
    """What somebody sends who has just got a key: the first lines of everybody's manual."""

    system: bool

    def ask(self, draw: Draw) -> Ask:
        """One trial."""
        return Ask((draw.pick(_TRIALS),), _TRIAL_SYSTEM if self.system else "")


class Resold:
    """One account that serves `users` people: each has a name of its own and asks what it likes.

    A few send very much. Whoever relays may set a system prompt of their own, as some people do.
    """

    __slots__ = ("_at", "_corpus", "_name", "_prompts")

    def __init__(self, name: str, corpus: Corpus, users: int, prompts: int = 40) -> None:
        self._name = name
        self._corpus = corpus
        self._at = running([1.0 / (1 + rank) ** 0.8 for rank in range(users)])
        draw = Draw(name, "prompts")
        self._prompts = tuple(texts.firm(draw) for _ in range(prompts))

    def ask(self, draw: Draw) -> Ask:
        """What one of the end users asks."""
        user = draw.index(self._at)
        own = digest(self._name, user)
        system = self._prompts[own % len(self._prompts)] if own % 5 == 0 else ""
        if own % 7 == 1:
            asked = Ask((draw.pick(self._corpus.library),), system)
        else:
            asked = Talk(self._corpus, system).ask(draw)
        return replace(asked, user=f"u-{own:016x}")
