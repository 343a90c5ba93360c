"""What an account asks: kinds of work, each a function of the account's draws alone."""

from dataclasses import dataclass
from typing import Protocol

from bench.campaigns import texts
from bench.campaigns.corpus import Corpus
from bench.campaigns.draw import Draw, running

REPLIES = (
    "Here is a first answer.", "That depends on a few things.", "Certainly. Let us begin.",
    "There are three points to consider.", "I would try the following.", "Yes.", "Not quite.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ask:
    """The content of one request. `turns` alternate between user and assistant."""

    turns: tuple[str, ...]
    system: str = ""
    tools: tuple[dict[str, object], ...] = ()
    code: bool = False  # whether the answer is as short as code completions are


class Work(Protocol):
    """A kind of work. Implementations keep no state but what they were made with."""

    def ask(self, draw: Draw) -> Ask:
        """The content of the next request."""
        ...


@dataclass(frozen=True, slots=True)
class Talk:
    """Conversations that grow by a turn; earlier turns are sent again, as chat clients do."""

    corpus: Corpus
    system: str = ""
    tools: tuple[dict[str, object], ...] = ()

    def ask(self, draw: Draw) -> Ask:
        """A conversation up to one of its turns."""
        said = draw.pick(self.corpus.talks)
        upto = 1 + draw.below(len(said))
        turns: list[str] = []
        for turn in said[: upto - 1]:
            turns += (turn, draw.pick(REPLIES))
        return Ask((*turns, said[upto - 1]), self.system, self.tools)


@dataclass(frozen=True, slots=True)
class Rows:
    """One row after another in random order, under a system prompt that may be empty."""

    rows: tuple[str, ...]
    system: str = ""
    code: bool = False

    def ask(self, draw: Draw) -> Ask:
        """One row."""
        return Ask((draw.pick(self.rows),), self.system, code=self.code)


@dataclass(frozen=True, slots=True)
class Templated:
    """Rows put into one of some templates; `in_system` sends the template as system prompt."""

    templates: tuple[str, ...]
    rows: tuple[str, ...]
    in_system: bool = False

    def ask(self, draw: Draw) -> Ask:
        """One row in one template."""
        template, row = draw.pick(self.templates), draw.pick(self.rows)
        if self.in_system:
            return Ask((row,), template.replace("{task}", "").strip())
        return Ask((template.replace("{task}", row),))


@dataclass(frozen=True, slots=True)
class Mixed:
    """Two kinds of work: the second with probability `share`."""

    first: Work
    second: Work
    share: float

    def ask(self, draw: Draw) -> Ask:
        """A request of one of the two."""
        return (self.second if draw.chance(self.share) else self.first).ask(draw)


# talk, a firm's support, pasted library prompts, test sets, batch jobs, code
_MIX_AT = running((45.0, 16.0, 9.0, 5.0, 12.0, 13.0))


def ordinary(corpus: Corpus, draw: Draw) -> Work:
    """The work of an unrelated account, as likely as its kind is."""
    match draw.index(_MIX_AT):
        case 0:
            return Talk(corpus)
        case 1:
            return Rows(corpus.support, texts.firm(draw))
        case 2:
            return Mixed(Talk(corpus), Rows(corpus.library), 0.5)
        case 3:
            return Rows(draw.pick(corpus.evals))
        case 4:
            return Rows(draw.pick(corpus.batches), texts.firm(draw) if draw.chance(0.3) else "")
        case _:
            project = f"Project {draw.pick(texts.NAMES)}-{draw.below(100_000)}."
            return Rows(corpus.evals[0], f"{project} {draw.pick(texts.TONES)}", code=True)
