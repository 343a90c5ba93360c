"""Compressed answers, decoded aside for reading while the bytes themselves go on as they came."""

import zlib
from typing import Protocol

import brotli  # type: ignore[import-untyped]  # has no types
import zstandard

from proxy.wire.encoding import ZSTD_WINDOW_BYTES

_MAX_STEP_BYTES = 16 * 1024 * 1024
_STEP_BYTES = 1024


class InflateError(ValueError):
    """The bytes cannot be decoded, or expand beyond reason."""


class Inflater(Protocol):
    """Decodes one content coding, chunk by chunk."""

    def feed(self, chunk: bytes) -> bytes:
        """The bytes that `chunk` adds. Raises InflateError."""
        ...


def inflater(content_encoding: str | None) -> Inflater | None:
    """An inflater for a content-encoding header; None for no coding. Raises InflateError."""
    coding = (content_encoding or "identity").strip().lower()
    match coding:
        case "identity" | "":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return _Zlib()
        case "br":
            return _Stepwise(brotli.Decompressor().process)
        case "zstd":
            decoder = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES)
            return _Stepwise(decoder.decompressobj().decompress)
        case _:
            raise InflateError(f"unknown content encoding {coding[:40]!r}")


class _Zlib:
    """gzip or zlib, told apart by their headers."""

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)

    def feed(self, chunk: bytes) -> bytes:
        try:
            data = self._decoder.decompress(chunk, _MAX_STEP_BYTES)
        except zlib.error as error:
            raise InflateError(str(error)) from error
        if self._decoder.unconsumed_tail:
            raise InflateError("the answer expands beyond reason")
        return data


class _Step(Protocol):
    def __call__(self, data: bytes, /) -> bytes: ...


class _Stepwise:
    """Decoders without an output limit: small steps bound what one of them can expand to."""

    def __init__(self, step: _Step) -> None:
        self._step = step

    def feed(self, chunk: bytes) -> bytes:
        pieces: list[bytes] = []
        size = 0
        try:
            for start in range(0, len(chunk), _STEP_BYTES):
                pieces.append(self._step(chunk[start : start + _STEP_BYTES]))
                size += len(pieces[-1])
                if size > _MAX_STEP_BYTES:
                    raise InflateError("the answer expands beyond reason")
        except (brotli.error, zstandard.ZstdError) as error:
            raise InflateError(str(error)) from error
        return b"".join(pieces)
