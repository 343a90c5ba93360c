"""The detector's state as bytes: MessagePack, in which columns stand as they are, compressed."""

from typing import Any

import msgspec
import numpy as np
import zstandard

FORMAT = 1


def packed(state: dict[str, Any]) -> bytes:
    """State as bytes; arrays may stand anywhere in it."""
    plain = msgspec.msgpack.encode({"format": FORMAT, "state": state}, enc_hook=_array)
    return zstandard.ZstdCompressor(level=1).compress(plain)


def unpacked(data: bytes) -> dict[str, Any]:
    """The state that `packed` was given, arrays as dicts (`array_of` reads them).

    ValueError for anything but a state of this version.
    """
    try:
        plain = zstandard.ZstdDecompressor().decompress(data)
        saved = msgspec.msgpack.decode(plain, type=dict[str, Any])
    except (msgspec.DecodeError, zstandard.ZstdError) as error:
        msg = f"not a saved state: {error}"
        raise ValueError(msg) from error
    if saved.get("format") != FORMAT:
        msg = "saved by another version; start from the log"
        raise ValueError(msg)
    state: dict[str, Any] = saved["state"]
    return state


def array_of(saved: dict[str, Any]) -> np.ndarray[Any, Any]:
    """An array of a saved state."""
    return np.frombuffer(saved["data"], np.dtype(saved["type"])).copy()


def _array(value: object) -> object:
    if isinstance(value, np.ndarray):
        return {"type": value.dtype.str, "data": value.tobytes()}
    if isinstance(value, set | frozenset):
        return sorted(value)
    msg = f"{type(value).__name__} cannot be saved"
    raise NotImplementedError(msg)
