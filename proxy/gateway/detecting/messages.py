"""What goes from a gateway to the process beside it: frames of msgpack over a local socket.

A frame is four bytes of length (big-endian) and so many bytes. The first of a connection is a
`Greeting`; it is answered with one byte once what came before it has been made good. Then come
lists of `Seen`. Prompt text goes this way only: not to the disk, not to Redis, not to a log.
"""

import asyncio
import struct
from collections.abc import Sequence

import msgspec
from msgspec import Struct, structs

from proxy.model.exchange import Prompt
from proxy.model.sighting import Described, Sighting

# Of each text, what sketches are made of: `proxy.facts.sketch`, which a gateway does not load.
HEAD_CHARACTERS, TAIL_CHARACTERS = 16_384, 4_096
MAX_FRAME_BYTES = 1 << 25
GREETED = b"+"
_LENGTH = struct.Struct("!I")


class Greeting(Struct, frozen=True):
    """Whose sightings come on a connection.

    `source` is the id of the audit log in `directory`, `first` the lowest position in it that
    comes this way: what lies before it and is not known yet is to be read from the log.
    """

    source: str
    directory: str
    first: int


class Seen(Struct, frozen=True, gc=False, array_like=True):
    """An exchange with the texts from which sketches are made, or with the sketches themselves."""

    described: Described
    sighting: Sighting
    prompt: Prompt = Prompt()
    sketch: tuple[int, ...] = ()


_encoder = msgspec.msgpack.Encoder()
_decode_seen = msgspec.msgpack.Decoder(list[Seen]).decode
_decode_greeting = msgspec.msgpack.Decoder(Greeting).decode


def bounded(prompt: Prompt) -> Prompt:
    """The texts of a prompt, each with its head and tail only; without anything else."""
    latest = _cut(prompt.latest)
    opening = latest if prompt.opening is prompt.latest else _cut(prompt.opening)
    return Prompt(_cut(prompt.system), opening, latest, prompt.turns)


def characters(prompt: Prompt) -> int:
    """How much text a prompt holds."""
    return len(prompt.system) + len(prompt.opening) + len(prompt.latest)


def greeting(hello: Greeting) -> bytes:
    """The frame of a greeting."""
    return _framed(_encoder.encode(hello))


def frame(batch: Sequence[Seen]) -> bytes:
    """The frame of some sightings."""
    try:
        return _framed(_encoder.encode(batch))
    except UnicodeEncodeError:  # lone surrogates, which JSON can spell and UTF-8 cannot
        return _framed(_encoder.encode([_writable(seen) for seen in batch]))


async def received_greeting(reader: asyncio.StreamReader) -> Greeting:
    """The first frame. IncompleteReadError at the end, ValueError for anything else."""
    return _decode_greeting(await _received(reader))


async def received(reader: asyncio.StreamReader) -> list[Seen]:
    """The next frame. IncompleteReadError at the end, ValueError for anything else."""
    return _decode_seen(await _received(reader))


def _cut(text: str) -> str:
    if len(text) <= HEAD_CHARACTERS + TAIL_CHARACTERS:
        return text
    return f"{text[:HEAD_CHARACTERS]}\n{text[-TAIL_CHARACTERS:]}"


def _writable(seen: Seen) -> Seen:
    prompt = seen.prompt
    texts = (prompt.system, prompt.opening, prompt.latest)
    system, opening, latest = (t.encode("utf-8", "replace").decode() for t in texts)
    return structs.replace(seen, prompt=Prompt(system, opening, latest, prompt.turns))


def _framed(data: bytes) -> bytes:
    return _LENGTH.pack(len(data)) + data


async def _received(reader: asyncio.StreamReader) -> bytes:
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    if length > MAX_FRAME_BYTES:
        msg = f"a frame of {length} bytes"
        raise ValueError(msg)
    return await reader.readexactly(length)
