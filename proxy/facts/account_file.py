"""The lines of an account directory's file, plain or compressed (.gz, .zst)."""

import gzip
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from proxy.facts.account_lines import MAX_LINE_BYTES

UNREADABLE = (OSError, EOFError, zstandard.ZstdError)  # what reading a file can raise
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def numbered_lines(
    file: BinaryIO, path: Path, update: Callable[[bytes], object] | None = None
) -> Iterator[tuple[int, bytes]]:
    """(number, line) for each line of the open file; `path` tells how it is compressed.

    Of a line longer than the limit only its first part comes, one byte too long, so that memory
    stays bounded. `update` is shown every byte of the text.
    """
    text = _plain(file, path.suffix)
    tell = update or (lambda _: None)
    number = 0
    while line := text.readline(MAX_LINE_BYTES + 1):
        number += 1
        tell(line)
        yield number, line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
        while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = text.readline(MAX_LINE_BYTES + 1)
            tell(line)


def _plain(file: BinaryIO, suffix: str) -> BinaryIO:
    if suffix == ".gz":
        return cast("BinaryIO", gzip.GzipFile(fileobj=file))
    if suffix == ".zst":
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        return io.BufferedReader(cast("io.RawIOBase", reader), 1 << 18)
    return file
