"""Answers that are changed as bodies: whole, or line by line (see `proxy.wire.altered`)."""

from dataclasses import dataclass

from proxy.model.exchange import Surface
from proxy.model.usage import Usage
from proxy.wire.alteration import Alteration
from proxy.wire.inflate import InflateError, Inflater, inflater
from proxy.wire.reading import json_answer
from proxy.wire.results_url import at_gateway
from proxy.wire.stream import text_tokens_of
from proxy.wire.strip import StripError, Stripper


@dataclass(frozen=True, slots=True)
class Received:
    """What the head of an answer says: its status, and the type and coding of its body."""

    status: int
    content_type: str | None
    content_encoding: str | None

    @property
    def streamed(self) -> bool:
        """Whether it is a stream of events."""
        return (self.content_type or "").lower().startswith("text/event-stream")


class PlainReader:
    """What the readers here share: they work on the text of the answer, whatever its coding."""

    held = False
    gave_up = False  # what it cannot read does not go on

    def __init__(self, received: Received, most: int) -> None:
        self.usage: Usage | None = None
        self.complete = False
        self.mid_event = False  # events go on whole
        self.cut = False
        self.broken = False
        self._most = most
        self._inflater: Inflater | None = None
        try:
            self._inflater = inflater(received.content_encoding)
        except InflateError:
            self.broken = True

    def feed(self, chunk: bytes) -> bytes:
        """Read a chunk as it came from the upstream; the bytes to send to the client now."""
        if self.cut or self.broken:
            return b""
        try:
            plain = chunk if self._inflater is None else self._inflater.feed(chunk)
            return self._take(plain)
        except (InflateError, StripError):
            self.broken = True
            return b""

    def finish(self) -> bytes:
        """The upstream has ended its body properly; the bytes that were still held, if any."""
        if self.cut or self.broken:
            return b""
        try:
            return self._end()
        except StripError:
            self.broken = True
            return b""

    @property
    def delivered_output_tokens(self) -> int:
        """Estimated tokens of the output text that was passed on."""
        return 0

    def allow(self, output_tokens: int) -> None:
        """Nothing: what is changed as a whole is not ended on its way."""

    def _take(self, data: bytes) -> bytes:
        raise NotImplementedError

    def _end(self) -> bytes:
        raise NotImplementedError


class AlteredWhole(PlainReader):
    """An answer that is held until it is whole; JSON, or (where not `strict`) perhaps not."""

    held = True

    def __init__(
        self,
        surface: Surface,
        alteration: Alteration,
        received: Received,
        *,
        strict: bool,
        most: int,
    ) -> None:
        super().__init__(received, most)
        self._surface = surface
        self._stripper = Stripper(surface, alteration.strip) if alteration.strip else None
        self._alteration = alteration
        self._strict = strict
        self._body = bytearray()

    def _take(self, data: bytes) -> bytes:
        self._body += data
        self.broken = len(self._body) > self._most
        return b""

    def _end(self) -> bytes:
        text = bytes(self._body)
        self._body.clear()
        is_json, usage = json_answer(self._surface, text)
        if is_json or self._strict:
            text = text if self._stripper is None else self._stripper.answer(text)
            text = self._moved(text)
        self.usage = usage if self._surface.generates else None
        self.complete = is_json or not self._strict
        self._body += text
        return text

    def _moved(self, text: bytes) -> bytes:
        """The answer with the results of batches to be fetched where the batch was asked about."""
        if self._alteration.origin is None:
            return text
        upstream_path = self._alteration.upstream_path
        return at_gateway(text, self._alteration.origin, upstream_path=upstream_path)

    @property
    def delivered_output_tokens(self) -> int:
        """Estimated tokens of the output text that was passed on."""
        return text_tokens_of(self._surface, self._body) if self.complete else 0


class AlteredLines(PlainReader):
    """JSON, an answer on each line."""

    def __init__(
        self, surface: Surface, strip: tuple[str, ...], received: Received, *, most: int
    ) -> None:
        super().__init__(received, most)
        self._stripper = Stripper(surface, strip)
        self._line = bytearray()

    def _take(self, data: bytes) -> bytes:
        first, *others = data.split(b"\n")
        self._line += first
        out: list[bytes] = []
        for rest in others:
            out.append(self._ended(b"\n"))
            self._line += rest
        self.broken = self.broken or len(self._line) > self._most
        return b"".join(out)

    def _end(self) -> bytes:
        self.complete = True
        return self._ended(b"")

    def _ended(self, end: bytes) -> bytes:
        """The line that is whole now; nothing once one could not be read."""
        line = bytes(self._line)
        self._line.clear()
        try:
            return b"" if self.broken else self._stripper.answer(line) + end
        except StripError:
            self.broken = True
            return b""
