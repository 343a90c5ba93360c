"""One entry of the stream: sightings of one source, or what an investigator said; sealed.

What goes this way has tokens only: texts were made into sketches before.
"""

from collections.abc import Sequence

import msgspec
import zstandard
from msgspec import Struct, structs

from proxy.gateway.detecting.box import Box
from proxy.gateway.detecting.make import Sketch
from proxy.gateway.detecting.messages import Seen
from proxy.model.exchange import Prompt
from proxy.model.finding import Finding

NAME = "sightings"
NO_TEXT = Prompt()


class Parcel(Struct, frozen=True):
    """`after` is the last place of the source before these, so that a gap is seen."""

    source: str
    after: int
    seen: list[Seen] = []
    findings: list[tuple[int, Finding]] = []
    paced: bool = False


_decode = msgspec.msgpack.Decoder(Parcel).decode


def sketched(seen: Seen, sketch: Sketch) -> Seen:
    """A sighting with its sketches in place of its texts."""
    return structs.replace(seen, sketch=tuple(sketch(seen.prompt)), prompt=NO_TEXT)


def sealed(parcel: Parcel, box: Box) -> bytes:
    """The entry."""
    data = msgspec.msgpack.encode(parcel)
    return box.seal(NAME, zstandard.ZstdCompressor(level=1).compress(data))


def opened(data: bytes, box: Box) -> Parcel:
    """The parcel in an entry. Raises ValueError for anything else."""
    try:
        return _decode(zstandard.ZstdDecompressor().decompress(box.open(NAME, data)))
    except (zstandard.ZstdError, msgspec.DecodeError) as error:
        msg = f"an entry of the stream cannot be read: {error}"
        raise ValueError(msg) from error


def last_of(seen: Sequence[Seen]) -> int:
    """The last place of a batch; 0 where none of it has one."""
    return max((one.sighting.position for one in seen), default=0)
