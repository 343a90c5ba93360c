"""What an account asks: kinds of work, each a function of the account's draws alone."""

from dataclasses import dataclass, replace
from typing import Any, Protocol

from bench.campaigns import texts
from bench.campaigns.corpus import Corpus
from bench.campaigns.draw import Draw, running

REPLIES = (
    "Here is a first answer.", "That depends on a few things.", "Certainly. Let us begin.",
    "There are three points to consider.", "I would try the following.", "Yes.", "Not quite.",
)  # fmt: skip


@dataclass(slots=True)
class Step:
    """A tool that the model called, and what the tool said. `call` makes the call's id its own;
    `said` is how the dialect writes it, kept because every later request sends it again."""

    tool: str
    arguments: dict[str, str]
    result: str
    call: str
    said: list[dict[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """The content of one request. `turns` alternate between user and assistant."""

    turns: tuple[str, ...]
    system: str = ""
    tools: tuple[dict[str, object], ...] = ()
    code: bool = False  # whether the answer is as short as code completions are
    user: str = ""  # the end user that the account names, if it serves others
    model: str = ""  # asked for instead of the account's own
    steps: tuple[Step, ...] = ()  # of the model since the last turn
    signed: tuple[str, ...] = ()  # signatures of the reasoning before each of the model's turns
    extraction: bool = False  # told to the truth, where an account serves honest work besides


class Work(Protocol):
    """A kind of work. Implementations keep no state but what they were made with; those that do
    belong to one account, or say what they keep."""

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
class Popular:
    """Rows of a public collection, the first of them pasted far more often than the last."""

    rows: tuple[str, ...]
    system: str = ""

    def ask(self, draw: Draw) -> Ask:
        """One row: ranks are log-uniform, which is Zipf's law."""
        rank = int(len(self.rows) ** draw.unit())
        return Ask((self.rows[rank - 1],), self.system)


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


@dataclass(frozen=True, slots=True)
class Marked:
    """Work that the truth counts as extraction: of accounts that serve honest work besides."""

    inner: Work

    def ask(self, draw: Draw) -> Ask:
        """A request of the inner work, marked."""
        return replace(self.inner.ask(draw), extraction=True)


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
            return Mixed(Talk(corpus), Popular(corpus.library), 0.5)
        case 3:
            return Rows(draw.pick(corpus.evals))
        case 4:
            return Rows(draw.pick(corpus.batches), texts.firm(draw) if draw.chance(0.3) else "")
        case _:
            project = f"Project {draw.pick(texts.NAMES)}-{draw.below(100_000)}."
            return Rows(corpus.evals[0], f"{project} {draw.pick(texts.TONES)}", code=True)
