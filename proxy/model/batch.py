"""Batches: what their requests ask, where they stand, and what they used in the end.

Counts are remembered by file id between the upload of a file and the submission of a batch, so
they are plain values that msgspec writes as JSON. They hold models, surfaces
and fingerprints, never a prompt.
"""

from functools import reduce
from operator import add
from typing import Protocol

from msgspec import Struct

from proxy.model.exchange import Asked
from proxy.model.usage import Usage


class BatchPart(Struct, frozen=True, gc=False):
    """The requests of a batch that go to one surface and name one model (None: nobody knows which).

    `max_output_tokens` sums the bounds that requests name, each times its choices; `unbounded`
    counts the choices of requests that may write text and name no bound. `images` are asked for.
    """

    surface: str
    model: str | None
    requests: int = 0
    input_tokens: int = 0  # estimated
    max_output_tokens: int = 0
    unbounded: int = 0
    images: int = 0


class BatchCount(Struct, frozen=True, gc=False):
    """What the requests of a batch ask for together.

    A line that cannot be read is a request all the same: `unread_tokens` estimates its input from
    its bytes, and its output has no bound. The upstream may yet read it, and it may ask for more
    than one choice: who must not be overrun refuses a batch with such lines. `first_unread` is
    the number of the first one, from 1, and `why_unread` says in fixed words what is wrong with it.
    `tokens` are fingerprints of a sample of the lines, sketches among them.
    """

    parts: tuple[BatchPart, ...] = ()
    unread_lines: int = 0
    unread_bytes: int = 0
    unread_tokens: int = 0
    first_unread: int | None = None
    why_unread: str | None = None
    tokens: tuple[int, ...] = ()

    @property
    def requests(self) -> int:
        """Requests, with the lines that could not be read."""
        return sum(part.requests for part in self.parts) + self.unread_lines

    @property
    def input_tokens(self) -> int:
        """Estimated input tokens, with those of lines that could not be read."""
        return sum(part.input_tokens for part in self.parts) + self.unread_tokens

    @property
    def max_output_tokens(self) -> int:
        """The sum of the bounds that are named."""
        return sum(part.max_output_tokens for part in self.parts)

    @property
    def unbounded(self) -> int:
        """Answers without a named bound, with one for each line that could not be read."""
        return sum(part.unbounded for part in self.parts) + self.unread_lines

    @property
    def images(self) -> int:
        """Images asked for."""
        return sum(part.images for part in self.parts)

    @property
    def model(self) -> str | None:
        """The one model that every request names, or None."""
        models = {part.model for part in self.parts}
        return models.pop() if len(models) == 1 and not self.unread_lines else None


class Sampler(Protocol):
    """What takes in the lines of a batch while they are counted, and fingerprints some of them."""

    def take(self, asked: Asked) -> None:
        """A line of the batch."""
        ...

    def tokens(self) -> tuple[int, ...]:
        """The tokens of those lines that were sampled so far."""
        ...


class UsedPart(Struct, frozen=True, gc=False):
    """What the answers of one model used, and how many they are."""

    model: str | None
    answers: int
    usage: Usage


class BatchUsage(Struct, frozen=True, gc=False):
    """What the results of a batch say that it used.

    `unread_lines` are results whose usage nobody could read: more was used than `usage` says.
    `whole` is False where the results were cut off, or a line could not be read.
    """

    parts: tuple[UsedPart, ...] = ()
    succeeded: int = 0
    failed: int = 0
    unread_lines: int = 0
    whole: bool = True

    @property
    def usage(self) -> Usage:
        """The sum over all models."""
        return reduce(add, (part.usage for part in self.parts), Usage())


class UploadedFile(Struct, frozen=True, gc=False):
    """A file as the upstream names it. `purpose` is "batch" for one that a batch may name."""

    id: str
    purpose: str | None = None


class BatchOrder(Struct, frozen=True, gc=False):
    """What the submission of an OpenAI batch names."""

    input_file_id: str
    endpoint: str | None = None


class BatchState(Struct, frozen=True, gc=False):
    """Where a batch stands, as the upstream says it, in one vocabulary for both dialects.

    `ended` says that nothing will be added any more, whatever became of it. The files are
    OpenAI's; Anthropic's results are fetched by the id of the batch. `usage` is the upstream's own
    sum where it tells one (all models together); the counts are 0 where it tells none.
    """

    id: str
    status: str
    ended: bool
    input_file_id: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    succeeded: int = 0
    failed: int = 0
    usage: Usage | None = None
