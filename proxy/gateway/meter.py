"""Reservations while an answer streams: topped up as it grows, renewed while it lasts.

A request that names no max_tokens has reserved what its model usually answers. Where the answer
grows beyond, more is reserved before it goes on. Where there is no more, a stream under a hard
limit ends at what it has; any other goes on, and is charged for what it used in the end.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from proxy.engine.settle import released
from proxy.engine.topping import LEAST_STEP, may_grow, more
from proxy.model.plan import Plan, Readings
from proxy.pipeline.weigh import Weighed
from proxy.store.counters import Counters
from proxy.wire.asked import BYTES_PER_TOKEN
from proxy.wire.reading import AnswerReader

PIECE_BYTES = LEAST_STEP * BYTES_PER_TOKEN  # read at once of a stream that may need more


@dataclass(slots=True)
class Meter:
    """The reservation of one exchange: `reserved` output tokens, and the top-ups so far.

    `unread_bytes` are those of an event whose end has not come: its text counts with its end.
    """

    store: Counters
    weighed: Weighed
    readings: Readings
    reserved: int
    grows: bool
    unread_bytes: int = 0
    top_ups: list[tuple[Plan, Readings]] = field(default_factory=list)

    @classmethod
    def of(cls, store: Counters, weighed: Weighed, readings: Readings) -> "Meter":
        """The meter of an exchange that was let through."""
        grows = readings.taken and may_grow(weighed.plan, weighed.facts)
        return cls(store, weighed, readings, weighed.plan.output_tokens, grows)

    async def feed(self, chunk: bytes, reader: AnswerReader) -> bytes:
        """What goes on of a chunk, once enough is reserved for it.

        It is read in pieces, since most of the bytes of a stream are no text: taken as a whole, a
        large chunk would reserve many times what it needs.
        """
        if not self.grows:
            return reader.feed(chunk)
        out: list[bytes] = []
        for start in range(0, len(chunk), PIECE_BYTES):
            piece = chunk[start : start + PIECE_BYTES]
            if self.grows:
                await self._before(piece, reader)
            out.append(reader.feed(piece))
            if reader.cut or reader.broken:
                break
        return b"".join(out)

    async def _before(self, piece: bytes, reader: AnswerReader) -> None:
        """Reserve more where a piece that is about to go on may need it.

        The piece is taken for text as a whole, which it never is: what is reserved too early is
        given back in the end.
        """
        unread = (self.unread_bytes + len(piece)) // BYTES_PER_TOKEN
        while reader.delivered_output_tokens + unread >= self.reserved:
            wanted = more(self.weighed.plan, len(self.top_ups) + 1, time.time_ns())
            given = await self.store.take(wanted.plan)
            if not given.taken:
                self.grows = False  # a hard limit ends the stream at what is reserved
                return
            self.top_ups.append((wanted.plan, given))
            self.reserved += wanted.tokens_of(given)
            reader.allow(self.reserved)
        ended = max(piece.rfind(end) for end in (b"\n\n", b"\n\r\n", b"\r\r"))
        self.unread_bytes = len(piece) - ended if ended >= 0 else self.unread_bytes + len(piece)

    def close(self) -> None:
        """Give the top-ups back: what was used is charged to the exchange itself."""
        for plan, readings in self.top_ups:
            self.store.settle(plan, readings, released(plan, readings))
        self.grows = False

    def reservations(self) -> Iterator[tuple[Plan, Readings]]:
        """What has to be renewed: the exchange's own reservation first."""
        yield self.weighed.plan, self.readings
        yield from self.top_ups
