"""Content encodings: read those of requests, write those that a model's name asks for."""

import zlib
from collections.abc import Callable, Iterable, Iterator

import brotli  # type: ignore[import-untyped]  # has no types
import zstandard

from proxy.demo.upstream.reply import RequestError

Press = tuple[Callable[[bytes], bytes], Callable[[], bytes], Callable[[], bytes]]


def decoded(body: bytes, encoding: str | None) -> bytes:
    """A request body in plain; `RequestError` 400 where it is not what it says."""
    try:
        match encoding:
            case None | "identity":
                return body
            case "gzip" | "deflate":
                return zlib.decompress(body, wbits=47)
            case "br":
                return bytes(brotli.decompress(body))
            case "zstd":
                return zstandard.ZstdDecompressor().decompressobj().decompress(body)
            case _:
                raise RequestError(415, f"Unsupported content encoding {encoding}")
    except (zlib.error, brotli.error, zstandard.ZstdError) as error:
        raise RequestError(400, f"The body is not {encoding}: {error}") from None


def encoded(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Chunks compressed as one body, each flushed so that its reader need not wait."""
    write, flush, finish = _press(encoding)
    for chunk in chunks:
        yield write(chunk) + flush()
    yield finish()


def _press(encoding: str) -> Press:
    match encoding:
        case "gzip":
            gzip = zlib.compressobj(wbits=31)
            return gzip.compress, lambda: gzip.flush(zlib.Z_SYNC_FLUSH), gzip.flush
        case "br":
            br = brotli.Compressor()
            return br.process, br.flush, br.finish
        case "zstd":
            zstd = zstandard.ZstdCompressor().compressobj()
            block = zstandard.COMPRESSOBJ_FLUSH_BLOCK
            return zstd.compress, lambda: zstd.flush(block), zstd.flush
        case _:
            raise ValueError(f"no such encoding: {encoding}")
