"""What an answer used and delivered, read while its bytes go on to the client.

Every byte is passed on as it comes, with one exception. Where Gauger itself asked an OpenAI chat
stream for its usage, the chunk that carries it (`"choices": []` and a usage) is left out for a
client that did not ask. For that, the bytes of an unfinished event are held for as long as it
may still become that chunk: until it names a choice or has grown past 8 KiB. Comments (pings)
and complete events go on at once. The other chunks of such a stream carry `"usage": null`, which
stays: the SDKs' types allow for it, and no chunk is ever written anew.

Cutting the same bytes into other chunks changes neither what is passed on nor what is read.
"""

from proxy.model.exchange import Asked, Surface
from proxy.model.usage import Usage
from proxy.wire.inflate import InflateError, inflater
from proxy.wire.reading import MAX_READ_BYTES, json_answer, may_be_usage_chunk, media_kind
from proxy.wire.sse import EventSplitter
from proxy.wire.stream import StreamReader, text_tokens_of


class ResponseReader:
    """Reads one answer. Feed it every chunk, send what it returns, finish it at a clean end.

    `usage` is what the upstream reported so far, `complete` whether the answer is whole (a
    stream's own last event, JSON that can be parsed, otherwise the end of the body),
    `error_event` whether an error came inside the stream. `gave_up` says that an event or a JSON
    answer was larger than `max_read_bytes`, or in a coding that cannot be read: the bytes go on,
    nothing more is read. A compressed stream cannot hide its usage chunk; ask the upstream for
    `identity` where it must.
    """

    __slots__ = (
        "_ended",
        "_hide_usage",
        "_inflater",
        "_json",
        "_max_read_bytes",
        "_released",
        "_splitter",
        "_stream",
        "_surface",
        "_swallow_lf",
        "_usage",
        "gave_up",
    )

    held = cut = broken = False  # every byte goes on, whatever it says

    def __init__(
        self,
        surface: Surface,
        asked: Asked,
        *,
        content_type: str | None,
        content_encoding: str | None,
        hide_usage: bool = False,
        max_read_bytes: int = MAX_READ_BYTES,
    ) -> None:
        kind = media_kind(content_type, asked) if surface.generates else "opaque"
        self._surface = surface
        self._max_read_bytes = max_read_bytes
        self._stream = StreamReader(surface) if kind == "stream" else None
        self._json = bytearray() if kind == "json" else None
        self._splitter = EventSplitter()
        self._usage: Usage | None = None
        self._ended = False
        self._released = 0  # bytes of the unfinished event that have gone on already
        self._swallow_lf = False  # a hidden event ended in the CR of a possible CRLF
        self.gave_up = False
        try:
            self._inflater = inflater(content_encoding)
        except InflateError:
            self._inflater = None
            self.gave_up = True
        self._hide_usage = hide_usage and self._inflater is None and not self.gave_up

    @property
    def usage(self) -> Usage | None:
        """What the upstream reported, or None."""
        return self._stream.usage if self._stream else self._usage

    @property
    def delivered_output_tokens(self) -> int:
        """Estimated tokens of the output text that was passed on."""
        if self._stream:
            return self._stream.output_tokens
        if self._json is not None:
            return text_tokens_of(self._surface, self._json)
        return 0

    @property
    def complete(self) -> bool:
        """Whether the whole answer has been passed on."""
        return self._stream.complete if self._stream and not self.gave_up else self._ended

    @property
    def error_event(self) -> bool:
        """Whether the upstream reported an error inside its stream."""
        return self._stream is not None and self._stream.error_event

    @property
    def mid_event(self) -> bool:
        """Whether the client has got the beginning of an event and not its end."""
        if self._stream is None or self._inflater is not None:
            return False
        pending = len(self._splitter.pending)
        return self._released > 0 if self._hide_usage else pending > 0

    def allow(self, output_tokens: int) -> None:
        """Nothing: this reader ends no stream."""

    def feed(self, chunk: bytes) -> bytes:
        """Read a chunk as it came from the upstream; the bytes to send to the client now."""
        if not chunk:
            return b""
        if self.gave_up:
            return chunk
        if self._stream is not None and self._hide_usage:
            return self._feed_hiding(self._stream, chunk)
        plain = self._inflated(chunk)
        if self._stream is not None:
            self._read_events(self._stream, plain)
        elif self._json is not None:
            self._read_json(plain)
        return chunk

    def finish(self) -> bytes:
        """The upstream has ended its body properly; the bytes that were still held, if any."""
        self._ended = True
        if self.gave_up:
            return b""
        if self._stream is not None:
            return self._finish_stream(self._stream)
        if self._json is not None:
            self._finish_json(bytes(self._json))
        return b""

    # -- streams ---------------------------------------------------------------------------------

    def _feed_hiding(self, stream: StreamReader, chunk: bytes) -> bytes:
        if self._swallow_lf:
            self._swallow_lf = False
            chunk = chunk.removeprefix(b"\n")
        out: list[bytes] = []
        hidden = False
        for unit in self._splitter.feed(chunk):
            hidden = self._read_unit(stream, unit) and may_be_usage_chunk(unit)
            if not hidden:
                out.append(unit[self._released :])
            self._released = 0
            self._swallow_lf = hidden and unit.endswith(b"\r")
        pending = self._splitter.pending
        if pending:
            self._swallow_lf = False
            self._bound_pending()
        if pending and (self.gave_up or not may_be_usage_chunk(pending)):
            out.append(bytes(pending[self._released :]))
            self._released = len(pending)
        return b"".join(out)

    def _read_events(self, stream: StreamReader, data: bytes) -> None:
        for unit in self._splitter.feed(data):
            self._read_unit(stream, unit)
        self._bound_pending()

    def _read_unit(self, stream: StreamReader, unit: bytes) -> bool:
        self.gave_up = self.gave_up or len(unit) > self._max_read_bytes
        return False if self.gave_up else stream.read(unit)

    def _bound_pending(self) -> None:
        self.gave_up = self.gave_up or len(self._splitter.pending) > self._max_read_bytes

    def _finish_stream(self, stream: StreamReader) -> bytes:
        """An event that the end of the stream cut off is read as SDKs read it: as an event."""
        unit = bytes(self._splitter.pending)
        self._splitter = EventSplitter()
        hidden = bool(unit) and self._read_unit(stream, unit) and may_be_usage_chunk(unit)
        held = b"" if hidden or not self._hide_usage else unit[self._released :]
        self._released = 0
        return held

    # -- JSON ------------------------------------------------------------------------------------

    def _read_json(self, data: bytes) -> None:
        assert self._json is not None
        if len(self._json) + len(data) > self._max_read_bytes:
            self.gave_up = True
            self._json = None
        else:
            self._json += data

    def _finish_json(self, answer: bytes) -> None:
        self._ended, self._usage = json_answer(self._surface, answer)

    def _inflated(self, chunk: bytes) -> bytes:
        if self._inflater is None:
            return chunk
        try:
            return self._inflater.feed(chunk)
        except InflateError:
            self.gave_up = True
            return b""
