"""What is written of the counts at one moment: a frame, and how it stands in a file.

A file of counts is frames one after another::

    "gcf1"   length (u32)   CRC-32 of the body (u32)   body (MessagePack)

with numbers in little endian. Counts are absolute, so that the last frame to name one is right,
and a frame holds all that changed since the one before, as it was at one moment. A frame that is
cut off at the end of a file is the mark of a crash; anything else that cannot be read is damage.
"""

import struct
import zlib
from collections.abc import Iterator

import msgspec

from proxy.store.restored import GRACE_NS, Opened, Restored
from proxy.store.tokens import TOKEN_BYTES

MAGIC = b"gcf1"
HEAD = struct.Struct("<4sII")
COUNT = struct.Struct(f"<{TOKEN_BYTES}sq")  # token, count (or when a bucket is full, Unix us)
PART = struct.Struct(f"<{TOKEN_BYTES}sqqq")  # token, length of a part in ns, part, count


class Frame(msgspec.Struct, array_like=True):
    """What changed up to a moment; all of it precedes `position` in the audit log `log`.

    `fixed` holds, by the end of the window, COUNTs on end; `buckets` COUNTs, `rolling` PARTs.
    `opened` are reservations that began or were renewed, `closed` ids of those that were settled.
    The first frame of a file may say that the file `continues` the one before, which is to
    be read first; otherwise it counts only once a frame says that it is `whole`: that all
    counts have been written since it began.
    """

    log: str
    position: int
    at_ns: int
    continues: bool = False
    whole: bool = False
    fixed: dict[int, bytes] = {}
    buckets: bytes = b""
    rolling: bytes = b""
    opened: tuple[Opened, ...] = ()
    closed: tuple[str, ...] = ()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Frame).decode


class DamagedError(Exception):
    """A frame in the middle of a file that cannot be read."""


def framed(frame: Frame) -> bytes:
    """A frame as it stands in a file."""
    body = _encode(frame)
    return HEAD.pack(MAGIC, len(body), zlib.crc32(body)) + body


def frames_in(data: bytes) -> Iterator[Frame]:
    """The frames of a file, in order, without one that is cut off. Raises DamagedError."""
    at = 0
    while at + HEAD.size <= len(data):
        magic, length, crc = HEAD.unpack_from(data, at)
        end = at + HEAD.size + length
        if magic != MAGIC:
            if not any(data[at:]):  # what a power cut leaves of a file that was about to grow
                return
            raise DamagedError(at)
        if end > len(data):
            return
        body = data[at + HEAD.size : end]
        if zlib.crc32(body) != crc:
            if end == len(data):
                return
            raise DamagedError(at)
        try:
            yield _decode(body)
        except msgspec.DecodeError as error:
            raise DamagedError(at) from error
        at = end


def apply(frame: Frame, restored: Restored, at_ns: int) -> None:
    """Take up what a frame says; windows that have long ended are left out."""
    for ends_ns, counts in frame.fixed.items():
        if at_ns < ends_ns + GRACE_NS:
            for token, count in COUNT.iter_unpack(counts):
                restored.set_fixed(ends_ns, token, count)
    for token, full_us in COUNT.iter_unpack(frame.buckets):
        restored.buckets[token[0]][token] = full_us
    for token, length_ns, part, count in PART.iter_unpack(frame.rolling):
        restored.set_rolling(token, length_ns, part, count)
    for opened in frame.opened:
        restored.opened[opened.id] = opened
    for id_ in frame.closed:
        restored.opened.pop(id_, None)
