"""Content codings of request bodies: decoded for reading, within a size and a ratio.

Codings: RFC 9110, 8.4 (gzip, deflate), RFC 7932 (br), RFC 8878 and 9659 (zstd, whose window is
at most 8 MiB).
"""

import zlib
from collections.abc import Callable, Iterator

import brotli  # type: ignore[import-untyped]  # has no types
import zstandard

from proxy.model.exchange import BadRequest

ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
_RATIO_FREE_BYTES = 64 * 1024  # a small body may be as repetitive as it likes
_MAX_MEMBERS = 64
_ZSTD_STEP_BYTES = 1024  # at most 256 blocks of 128 KiB come out of one step


class _BrokenError(Exception):
    """The compressed data is truncated, damaged or followed by something else."""


def decode_body(
    data: bytes, content_encoding: str | None, *, max_bytes: int, max_ratio: float
) -> bytes | BadRequest:
    """The decoded body, at most `max_bytes` long.

    Above 64 KiB it may also be no more than `max_ratio` times as long as `data`. Returns a
    BadRequest with status 413 (too large, or a bomb), 415 (unknown or several codings) or 400
    (truncated or damaged, or junk behind the end).
    """
    coding = (content_encoding or "identity").strip().lower()
    if coding in {"identity", ""}:
        return _too_large(max_bytes) if len(data) > max_bytes else data
    if coding not in _DECODERS:
        return _unsupported(coding)
    by_ratio = max(_RATIO_FREE_BYTES, int(len(data) * max_ratio))
    limit = min(max_bytes, by_ratio)
    pieces: list[bytes] = []
    size = 0
    try:
        for piece in _DECODERS[coding](data, limit + 1):
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                return _too_large(max_bytes) if limit == max_bytes else _bomb(max_ratio)
    except (_BrokenError, zlib.error, brotli.error, zstandard.ZstdError):
        return BadRequest(f"The request body is not valid {coding}: it is cut short or damaged.")
    return b"".join(pieces)


def _gzip(data: bytes, limit: int) -> Iterator[bytes]:
    return _zlib_members(data, limit, zlib.MAX_WBITS | 16)


def _deflate(data: bytes, limit: int) -> Iterator[bytes]:
    """RFC 9110 means the zlib format; bare deflate data is common enough to be read too."""
    is_zlib = len(data) >= 2 and data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
    wbits = zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS
    decoder = zlib.decompressobj(wbits)
    yield decoder.decompress(data, limit)
    if not decoder.eof or decoder.unused_data:
        raise _BrokenError


def _zlib_members(data: bytes, limit: int, wbits: int) -> Iterator[bytes]:
    for _ in range(_MAX_MEMBERS):
        decoder = zlib.decompressobj(wbits)
        yield decoder.decompress(data, limit)
        if not decoder.eof:
            break  # cut short, or over the limit, which the caller has seen by now
        data = decoder.unused_data
        if not data:
            return
    raise _BrokenError


def _brotli(data: bytes, limit: int) -> Iterator[bytes]:
    decoder = brotli.Decompressor()
    yield decoder.process(data, output_buffer_limit=limit)
    while not decoder.is_finished():
        piece = decoder.process(b"", output_buffer_limit=limit)
        if not piece and not decoder.is_finished():
            raise _BrokenError
        yield piece


def _zstd(data: bytes, _limit: int) -> Iterator[bytes]:
    # The decoder takes no output limit: small steps bound what one of them can expand to.
    position, frames = 0, 0
    while position < len(data) or frames == 0:
        frames += 1
        if frames > _MAX_MEMBERS:
            raise _BrokenError
        decoder = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES).decompressobj()
        while not decoder.eof:
            step = data[position : position + _ZSTD_STEP_BYTES]
            if not step:
                raise _BrokenError
            yield decoder.decompress(step)
            position += len(step) - len(decoder.unused_data)


_DECODERS: dict[str, Callable[[bytes, int], Iterator[bytes]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}


def _too_large(max_bytes: int) -> BadRequest:
    return BadRequest(f"The request body is larger than {max_bytes} bytes.", status=413)


def _bomb(max_ratio: float) -> BadRequest:
    return BadRequest(
        f"The request body expands to more than {max_ratio:g} times its size.", status=413
    )


def _unsupported(coding: str) -> BadRequest:
    if "," in coding:
        return BadRequest("The request body is encoded more than once; use one coding.", status=415)
    return BadRequest(
        f"The content encoding {coding[:40]!r} is not supported; use gzip, deflate, br or zstd.",
        status=415,
    )
