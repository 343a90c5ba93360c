"""What a batch asks, counted line by line while its file is uploaded, or from its inline requests.

A line is `{"custom_id", "method", "url": "/v1/chat/completions", "body": {…}}`; its body is read
as a request of its own would be (`proxy.wire.request`). What cannot be read is counted by its
bytes and never an error: nobody escapes a limit by breaking lines. No more than one line is held,
and any chunking of the same bytes gives the same counts.

Format: https://platform.openai.com/docs/guides/batch and
https://docs.anthropic.com/en/api/creating-message-batches.
"""

from collections.abc import Iterable
from dataclasses import replace

import msgspec
from msgspec import Raw

from proxy.model.batch import BatchCount, Sampler
from proxy.model.exchange import Asked, BadRequest, BodyKind, Surface
from proxy.wire.asked import asked_messages
from proxy.wire.bodies import Batch
from proxy.wire.jsontext import members, mend_surrogates, outline, written_plainly
from proxy.wire.lines import Line, LineSplitter
from proxy.wire.request import read
from proxy.wire.surfaces import find
from proxy.wire.tally import Tally

# The text of a context of a million tokens. Reading a line costs about 10 ms a MiB, at once.
MAX_LINE_BYTES = 4 * 1024 * 1024
# Vendors take 50,000 and 100,000.
MAX_LINES = 200_000
# Each may cost 8 µs to read; a line of nothing but empty turns would stall everybody else.
_MAX_OBJECTS = 10_000
_LEAST_BYTES = len('{"url":0,"body":0}')

TOO_MANY = "the lines are too many"
TOO_LONG = "the line is too long"
NOT_A_REQUEST = "the line is not a JSON object with url and body"
UNKNOWN_URL = "the url is of no known surface"
UNREADABLE_BODY = "the body cannot be read"

_RAW_MEMBERS: msgspec.json.Decoder[dict[str, Raw]] = msgspec.json.Decoder(dict[str, Raw])
_BATCHES: msgspec.json.Decoder[Batch] = msgspec.json.Decoder(Batch)


class LineCounter:
    """Counts the requests of a batch file. Feed it the file's bytes, and finish it at the end.

    It touches nothing but itself and the sampler, which is shown each request: `feed` may be
    called in a thread, one call at a time.
    """

    __slots__ = ("_max_lines", "_splitter", "_surfaces", "_tally")

    def __init__(
        self,
        *,
        max_line_bytes: int = MAX_LINE_BYTES,
        max_lines: int = MAX_LINES,
        sampler: Sampler | None = None,
    ) -> None:
        self._splitter = LineSplitter(max_line_bytes, max_lines)
        self._max_lines = max_lines
        self._tally = Tally(sampler)
        self._surfaces: dict[bytes, Surface | None] = {}

    def feed(self, chunk: bytes) -> None:
        """Take bytes of the file in."""
        self._read(self._splitter.feed(chunk))

    def finish(self) -> None:
        """The file ends here."""
        self._read(self._splitter.finish())
        size, lines = self._splitter.rest_bytes, self._splitter.rest_lines
        if size:
            self._tally.add_unread(size, self._max_lines + 1, TOO_MANY, lines=lines)

    def count(self) -> BatchCount:
        """The sums over the lines so far; with those beyond the bound once it is finished."""
        return self._tally.count()

    def _read(self, lines: Iterable[Line]) -> None:
        for line in lines:
            found = self._request(line.text)
            if isinstance(found, str):
                self._tally.add_unread(line.size, line.number, found)
            else:
                self._tally.add(*found)

    def _request(self, text: bytes | None) -> tuple[str, Asked] | str:
        """The surface of a line and what it asks there, or why it cannot be read."""
        if text is None or _objects(text) > _MAX_OBJECTS:
            return TOO_LONG
        fields = _fields(text) if len(text) >= _LEAST_BYTES else None
        if fields is None:
            return NOT_A_REQUEST
        surface = self._surface(fields[0])
        if surface is None:
            return UNKNOWN_URL
        asked = read(surface, fields[1])
        return UNREADABLE_BODY if isinstance(asked, BadRequest) else (surface.name, asked)

    def _surface(self, url: bytes) -> Surface | None:
        """The surface of a line's url, a JSON text; its body is JSON wherever it is alone."""
        if url in self._surfaces:
            return self._surfaces[url]
        found = _surface_of(url)
        if len(self._surfaces) < 64:
            self._surfaces[url] = found
        return found


def count_requests(body: bytes, sampler: Sampler | None = None) -> BatchCount:
    """What the inline requests of an Anthropic batch ask for, by model.

    The `body` must have been read (`proxy.wire.request.read`) before.
    """
    tally = Tally(sampler)
    try:
        batch = _BATCHES.decode(mend_surrogates(body))
    except (ValueError, RecursionError):
        tally.add_unread(len(body), 1, UNREADABLE_BODY)
        return tally.count()
    for entry in batch.requests or ():
        tally.add("messages", asked_messages(entry.params))
    return tally.count()


def _objects(text: bytes) -> int:
    """How many objects there are in a line, at most; strings are looked into where it matters."""
    braces = text.count(b"{")
    return braces if braces <= _MAX_OBJECTS else outline(text).count(b"{")


def _fields(text: bytes) -> tuple[bytes, bytes] | None:
    """`url` and `body` of a line as JSON texts; None where it names a member twice."""
    try:
        fields = _RAW_MEMBERS.decode(mend_surrogates(text))
        if not written_plainly(text, fields):
            members(text)
        return bytes(fields["url"]), bytes(fields["body"])
    except (ValueError, KeyError, RecursionError):
        return None


def _surface_of(url: bytes) -> Surface | None:
    try:
        path = msgspec.json.decode(url, type=str)
    except ValueError:
        return None
    surface = find("POST", path, ())
    if surface is None or not (surface.generates or surface.name == "moderations"):
        return None
    return replace(surface, body=BodyKind.JSON)
