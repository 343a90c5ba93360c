"""Streams that are changed event by event (see `proxy.wire.altered`)."""

from proxy.model.exchange import Asked, Surface
from proxy.model.usage import Usage
from proxy.wire.alteration import Alteration
from proxy.wire.altered_body import PlainReader, Received
from proxy.wire.cut import Cutter
from proxy.wire.reading import may_be_usage_chunk
from proxy.wire.sse import EventSplitter
from proxy.wire.stream import StreamReader
from proxy.wire.strip import StripError, Stripper


class AlteredStream(PlainReader):
    """A stream of events. With `hide_usage` the chunk that reports a chat's usage goes too."""

    def __init__(
        self,
        surface: Surface,
        asked: Asked,
        alteration: Alteration,
        received: Received,
        *,
        hide_usage: bool,
        most: int,
    ) -> None:
        super().__init__(received, most)
        self._surface = surface
        self._asked = asked
        self._hide_usage = hide_usage
        self._splitter = EventSplitter()
        self._stream = StreamReader(surface)
        self._stripper = Stripper(surface, alteration.strip) if alteration.strip else None
        self._alteration = alteration
        self._cutter: Cutter | None = None
        self._cut_after = 0
        if alteration.bounds:
            self._cutter = Cutter(surface, tell_usage=asked.stream_usage)
            self._cut_after = min(alteration.bounds)
        self._swallow_lf = False  # an event that went ended in the CR of a possible CRLF

    def allow(self, output_tokens: int) -> None:
        """Let the stream go on to so many output tokens, but no further than a rule's bound."""
        if self._alteration.reserved is not None:
            rule = self._alteration.cut_after
            self._cut_after = output_tokens if rule is None else min(rule, output_tokens)

    def _take(self, data: bytes) -> bytes:
        out: list[bytes] = []
        for unit in self._splitter.feed(data):
            out.append(self._unit(unit))
            if self.cut or self.broken:
                break
        if not self.cut and len(self._splitter.pending) > self._most:
            self.broken = True
        return b"".join(out)

    def _unit(self, unit: bytes) -> bytes:
        """What goes on of a unit, and the end of the stream where it is cut there."""
        swallow, self._swallow_lf = self._swallow_lf, False
        if swallow and unit == b"\n":
            return b""
        kept = self._kept(unit)
        if not kept:
            self._swallow_lf = unit.endswith(b"\r")
            return b""
        if self._cutter is None:
            return kept
        self._cutter.read(kept)
        if self.delivered_output_tokens < self._cut_after or self._stream.complete:
            return kept
        self.cut = True
        # The last event may have come with or without the LF of its last CRLF.
        return kept.rstrip(b"\r\n") + b"\n\n" + self._cutter.close(self._used())

    def _kept(self, unit: bytes) -> bytes:
        if len(unit) > self._most:
            self.broken = True
            return b""
        try:
            kept = unit if self._stripper is None else self._stripper.event(unit)
        except StripError:
            self.broken = True
            return b""
        if not kept:
            return b""
        reports = self._stream.read(kept)
        self.complete = self._stream.complete
        # What was charged when it was made is not charged again where it is fetched.
        self.usage = self._stream.usage if self._surface.generates else None
        hidden = reports and self._hide_usage and may_be_usage_chunk(kept)
        return b"" if hidden else kept

    def _used(self) -> Usage:
        """What the client is told that a stream used which ends here."""
        reported = self.usage or Usage(input_tokens=self._asked.input_tokens_estimate)
        output = max(reported.output_tokens, self.delivered_output_tokens)
        return Usage(
            reported.input_tokens,
            reported.cached_tokens,
            reported.cache_written_tokens,
            output,
            reported.reasoning_tokens,
        )

    def _end(self) -> bytes:
        """An event that the end of the stream cut off is read as SDKs read it: as an event."""
        unit = bytes(self._splitter.pending)
        self._splitter = EventSplitter()
        return self._unit(unit) if unit else b""

    @property
    def delivered_output_tokens(self) -> int:
        """Estimated tokens of the output text that was passed on."""
        return self._stream.output_tokens
