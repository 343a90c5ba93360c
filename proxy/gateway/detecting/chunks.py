"""An index as bytes that are taken in without stalling whoever shares the interpreter.

Decoding holds Python's lock from beginning to end: 25,000 accounts at once are some 25 ms. So maps
go over in pieces, and between two pieces the reader steps aside.
"""

import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, structs

AT_ONCE = 500  # entries of a piece: half a millisecond
ASIDE_S = 0.0005

Kind = TypeVar("Kind", bound=Struct)
_PIECES = msgspec.msgpack.Decoder(dict[str, list[msgspec.Raw]])


def packed(index: Struct) -> bytes:
    """The fields of a struct, each in one piece, but for maps."""
    encode = msgspec.msgpack.encode
    pieces: dict[str, list[msgspec.Raw]] = {}
    for name in index.__struct_fields__:
        value = getattr(index, name)
        parts = _parts(value) if isinstance(value, dict) else iter((value,))
        pieces[name] = [msgspec.Raw(encode(part)) for part in parts]
    return encode(pieces)


def unpacked(data: bytes, kind: type[Kind], aside: Callable[[float], None] = time.sleep) -> Kind:
    """The struct that was packed. Raises ValueError for anything else."""
    try:
        pieces = _PIECES.decode(data)
        types = {field.encode_name: field.type for field in structs.fields(kind)}
        return kind(**{name: _whole(pieces[name], types[name], aside) for name in types})
    except (msgspec.DecodeError, KeyError) as error:
        msg = f"the detector's index cannot be read: {error}"
        raise ValueError(msg) from error


def _parts(value: dict[Any, Any]) -> Iterator[dict[Any, Any]]:
    items = iter(value.items())
    while part := dict(islice(items, AT_ONCE)):
        yield part


def _whole(pieces: list[msgspec.Raw], kind: Any, aside: Callable[[float], None]) -> Any:
    decode = msgspec.msgpack.Decoder(kind).decode
    if not pieces:  # an empty map
        return {}
    whole = decode(pieces[0])
    for piece in pieces[1:]:
        whole.update(decode(piece))
        aside(ASIDE_S)
    return whole
