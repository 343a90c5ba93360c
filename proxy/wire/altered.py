"""An answer that is changed on its way: parts left out, or a stream ended before its time.

A stream is changed event by event: what carries nothing of the kind goes on at once and byte for
byte, as do pings; only the beginning of an event waits for its end. A JSON answer waits for its
end as a whole. Compressed answers go on in plain. Cutting the same bytes into other chunks changes
neither what is passed on nor what is read.

Where a part may be there and cannot be left out, the answer is `broken` and ends: the caller must
not receive it. What is read (usage, delivered text) is read from what goes on.
"""

from proxy.model.exchange import Asked, Surface
from proxy.wire.alteration import Alteration
from proxy.wire.altered_body import AlteredLines, AlteredWhole, Received
from proxy.wire.altered_stream import AlteredStream
from proxy.wire.reading import MAX_READ_BYTES, AnswerReader, media_kind
from proxy.wire.response import ResponseReader


def reader_of(
    surface: Surface,
    asked: Asked,
    received: Received,
    *,
    hide_usage: bool,
    alteration: Alteration,
    max_read_bytes: int = MAX_READ_BYTES,
) -> AnswerReader:
    """The reader of an answer: one that changes it where the alteration concerns it."""
    kind = media_kind(received.content_type, asked)
    if alteration:
        alteration = alteration.of(surface, streamed=kind == "stream")
    unread = kind == "opaque" and (surface.name == "audio" or not alteration.strip)
    if not alteration or unread:
        return ResponseReader(
            surface,
            asked,
            content_type=received.content_type,
            content_encoding=received.content_encoding,
            hide_usage=hide_usage,
            max_read_bytes=max_read_bytes,
        )
    if kind == "stream":
        return AlteredStream(
            surface,
            asked,
            alteration,
            received,
            hide_usage=hide_usage,
            most=max_read_bytes,
        )
    if kind == "opaque" and surface.name == "messages.batches":
        return AlteredLines(surface, alteration.strip, received, most=max_read_bytes)
    # What claims to be JSON and is none may be a broken answer; a page about an error is no answer.
    strict = kind == "json" and received.status < 400
    return AlteredWhole(surface, alteration, received, strict=strict, most=max_read_bytes)
