"""What the results of a batch say that it used, summed up while they are fetched.

A line is `{"custom_id", "response": {"status_code", "body": {"model", "usage", …}}, "error"}` at
OpenAI (output and error files alike), and `{"custom_id", "result": {"type", "message": {"model",
"usage", …}}}` at Anthropic. Any chunking of the same bytes gives the same sums. A line that cannot
be read is counted, and the results are not whole then: more was used than the sum says.

Formats: https://platform.openai.com/docs/guides/batch and
https://docs.anthropic.com/en/api/retrieving-message-batch-results.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct, field

from proxy.model.batch import BatchUsage, UsedPart
from proxy.model.exchange import Dialect
from proxy.model.usage import Usage
from proxy.wire.bodies import NO_RAW
from proxy.wire.inflate import InflateError, Inflater, inflater
from proxy.wire.jsontext import mend_surrogates
from proxy.wire.lines import Line, LineSplitter
from proxy.wire.reading import MAX_READ_BYTES
from proxy.wire.usage import normalized, with_images

_MAX_LINES = 1_000_000
_MAX_MODELS = 64
_MAX_MODEL_CHARS = 256


class _Answer(Struct, gc=False):
    model: object = None
    usage: object = None
    kind: object = field(default=None, name="object")
    data: Raw = NO_RAW  # images, where there is no `object`
    results: Raw = NO_RAW  # of moderations, which use no tokens


class _Response(Struct, gc=False):
    status_code: object = None
    body: _Answer | str | None = None


class _Result(Struct, gc=False):
    type: object = None
    message: _Answer | None = None


class _Line(Struct, gc=False):
    """One line of either dialect."""

    response: _Response | None = None
    error: Raw = NO_RAW
    result: _Result | None = None


_LINES: msgspec.json.Decoder[_Line] = msgspec.json.Decoder(_Line)


class _Outcome(NamedTuple):
    """What one line says."""

    succeeded: bool
    model: str | None = None
    usage: Usage | None = None


class ResultCounter:
    """Sums up the results of one batch. Feed it every chunk as the upstream sent it."""

    __slots__ = (
        "_dialect",
        "_failed",
        "_finished",
        "_inflater",
        "_splitter",
        "_succeeded",
        "_unread",
        "_used",
        "gave_up",
    )

    def __init__(
        self,
        dialect: Dialect,
        *,
        content_encoding: str | None = None,
        max_line_bytes: int = MAX_READ_BYTES,
    ) -> None:
        self._dialect = dialect
        self._splitter = LineSplitter(max_line_bytes, _MAX_LINES)
        self._used: dict[str | None, tuple[int, Usage]] = {}
        self._succeeded = self._failed = self._unread = 0
        self._finished = False
        self.gave_up = False  # in a coding that cannot be read
        self._inflater: Inflater | None = None
        try:
            self._inflater = inflater(content_encoding)
        except InflateError:
            self.gave_up = True

    def feed(self, chunk: bytes) -> None:
        """Take bytes of the results in."""
        if self.gave_up:
            return
        try:
            plain = chunk if self._inflater is None else self._inflater.feed(chunk)
        except InflateError:
            self.gave_up = True
            return
        self._read(self._splitter.feed(plain))

    def finish(self) -> None:
        """The upstream has ended its body properly."""
        self._finished = True
        self._read(self._splitter.finish())

    def used(self) -> BatchUsage:
        """The sums over the lines so far."""
        unread = self._unread + self._splitter.rest_lines
        named = sorted(self._used.items(), key=lambda item: item[0] or "")
        return BatchUsage(
            tuple(UsedPart(model, answers, usage) for model, (answers, usage) in named),
            self._succeeded,
            self._failed,
            unread,
            self._finished and not self.gave_up and not unread,
        )

    def _read(self, lines: Iterable[Line]) -> None:
        for line in lines:
            outcome = _outcome(self._dialect, line.text)
            if outcome is None:
                self._unread += 1
                continue
            self._succeeded += outcome.succeeded
            self._failed += not outcome.succeeded
            if outcome.usage is not None:
                self._add(outcome.model, outcome.usage)

    def _add(self, model: str | None, usage: Usage) -> None:
        if model not in self._used and len(self._used) >= _MAX_MODELS:
            model = None
        answers, sofar = self._used.get(model, (0, Usage()))
        self._used[model] = (answers + 1, sofar + usage)


def _outcome(dialect: Dialect, text: bytes | None) -> _Outcome | None:
    """What a line says, or None where that cannot be read."""
    if text is None:
        return None
    try:
        line = _LINES.decode(mend_surrogates(text))
    except (ValueError, RecursionError):
        return None
    if dialect is Dialect.ANTHROPIC:
        return _anthropic(line.result)
    return _openai(line)


def _anthropic(result: _Result | None) -> _Outcome | None:
    """errored, canceled and expired requests used nothing that anybody pays for."""
    if result is None or not isinstance(result.type, str):
        return None
    if result.type != "succeeded":
        return _Outcome(succeeded=False)
    answer = result.message
    usage = normalized(Dialect.ANTHROPIC, answer.usage) if answer else None
    if answer is None or usage is None:
        return None
    return _Outcome(True, _model(answer), usage)


def _openai(line: _Line) -> _Outcome | None:
    """A failed request has an error in place of its response, or a response that is one."""
    response = line.response
    if response is None:
        failed = bytes(line.error) not in (b"", b"null")
        return _Outcome(succeeded=False) if failed else None
    if type(response.status_code) is not int:
        return None
    answer = response.body if isinstance(response.body, _Answer) else None
    if response.status_code >= 400:
        return _Outcome(succeeded=False)
    if answer is None:
        return None
    usage = normalized(Dialect.OPENAI, answer.usage)
    if answer.kind is None:
        usage = with_images(usage, answer.data)
    if usage is None and answer.results is NO_RAW:
        return None
    return _Outcome(True, _model(answer), usage)


def _model(answer: _Answer) -> str | None:
    model = answer.model
    return model if isinstance(model, str) and len(model) <= _MAX_MODEL_CHARS else None
