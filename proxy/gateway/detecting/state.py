"""What outlives the detector's process: what the detector knows, and how far it has read.

Both are written together, sealed, and replaced at once: so a restart goes on exactly where the
state ends, and nothing counts twice.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import structlog
import zstandard
from msgspec import Struct

from proxy.gateway.detecting.box import Box, SealError
from proxy.gateway.detecting.published import Applied

FORMAT = 1
NAME = "state"
MOST_ASIDE = 9

log = structlog.get_logger("gauger.detector")


class State(Struct, frozen=True):
    """A saved detector. `positions` are the last ones counted, by source; `findings` is how far
    the file of findings was read, `stream` the last entry read of a stream. `events` is the size
    that the file of events had; `published` numbers what was published, `counted` the sightings of
    all sources. `applied` are the latest findings.
    """

    detector: bytes
    positions: dict[str, int] = {}
    findings: int = 0
    stream: str = "0-0"
    events: int = 0
    published: int = 0
    counted: int = 0
    applied: tuple[Applied, ...] = ()
    format: int = FORMAT


def packed(state: State, box: Box) -> bytes:
    """The state as it is written anywhere."""
    data = msgspec.msgpack.encode(state)
    return box.seal(NAME, zstandard.ZstdCompressor(level=1).compress(data))


def unpacked(data: bytes, box: Box) -> State:
    """A state that was packed. Raises ValueError for anything else."""
    try:
        text = zstandard.ZstdDecompressor().decompress(box.open(NAME, data))
        state = msgspec.msgpack.decode(text, type=State)
    except (zstandard.ZstdError, msgspec.DecodeError) as error:
        msg = f"the detector's state cannot be read: {error}"
        raise ValueError(msg) from error
    if state.format != FORMAT:
        msg = f"the detector's state is of another version ({state.format})"
        raise ValueError(msg)
    return state


def read(directory: Path, box: Box) -> State | None:
    """The state in a directory; None where there is none, or none that can be used.

    One that cannot be used is moved aside: the detector begins anew.
    """
    path = directory / NAME
    try:
        return unpacked(path.read_bytes(), box)
    except FileNotFoundError:
        return None
    except (OSError, SealError, ValueError) as error:
        log.error("the detector begins anew: its state cannot be used", problem=str(error))
        set_aside(directory)
        return None


def set_aside(directory: Path, data: bytes | None = None) -> None:
    """Keep a state that is of no use now: what is in the directory, or `data`.

    One that was set aside before is left alone: a wrong key is put right again, and then it is the
    first of them that somebody wants back.
    """
    path = directory / NAME
    free = next((one for one in _asides(path) if not one.exists()), None)
    if free is None:
        log.error("the detector's state is lost: too many were set aside", directory=str(directory))
        return
    try:
        if data is None:
            path.replace(free)
        else:
            put(free, data)
        log.warning("the detector's state was set aside", file=str(free))
    except OSError as error:
        log.warning("the detector's state stays where it is", problem=str(error))


def _asides(path: Path) -> Iterator[Path]:
    yield path.with_name(f"{NAME}.damaged")
    for number in range(2, MOST_ASIDE + 1):
        yield path.with_name(f"{NAME}.damaged.{number}")


def put(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replace a file at once, for its owner alone. Raises OSError."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    aside.replace(path)
