"""Recorded traffic, read line by line: JSON Lines, plain, .gz or .zst, in time order."""

import gzip
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import zstandard

from proxy.model.exchange import Arrival
from proxy.model.usage import Usage

NS_PER_S = 1_000_000_000


class TrafficError(Exception):
    """A recording cannot be read; the text names file and line."""


class RecordedResponse(msgspec.Struct, frozen=True):
    """What the model API answered when it was asked."""

    status: int = 200
    usage: dict[str, int] | None = None
    duration_s: float = 0.0

    def read_usage(self) -> Usage | None:
        """The recorded usage in this project's words; None where nothing was recorded."""
        if self.usage is None:
            return None
        return Usage(
            input_tokens=self.usage.get("input_tokens", 0),
            cached_tokens=self.usage.get("cached_tokens", 0),
            cache_written_tokens=self.usage.get("cache_written_tokens", 0),
            output_tokens=self.usage.get("output_tokens", 0),
            reasoning_tokens=self.usage.get("reasoning_tokens", 0),
        )


class RecordedExchange(msgspec.Struct, frozen=True):
    """One line of traffic.jsonl. `ts` is Unix seconds; `body` is raw JSON as it was sent."""

    id: str
    ts: float
    method: str
    path: str
    client_ip: str | None = None
    headers: list[tuple[str, str]] = []
    tls: dict[str, str] | None = None
    key: str | None = None
    body: msgspec.Raw = msgspec.Raw()
    body_text: str | None = None
    response: RecordedResponse | None = None

    @property
    def at_ns(self) -> int:
        """When the request arrived, in Unix nanoseconds, to the microsecond as recorded."""
        return round(self.ts * 1_000_000) * 1_000

    def arrival(self) -> Arrival:
        """The request as the edge would have handed it on."""
        path, _, query = self.path.partition("?")
        body = self._body()
        return Arrival(
            id=self.id,
            at_ns=self.at_ns,
            method=self.method,
            path=path,
            query=query,
            headers=tuple(self.headers),
            client_ip=self.client_ip,
            body=body,
            body_bytes=len(body or b""),
            ja4=(self.tls or {}).get("ja4"),
            named_key=self.key,
        )

    def _body(self) -> bytes | None:
        if self.body_text is not None:
            return self.body_text.encode("utf-8", "surrogatepass")
        body = bytes(self.body)
        return None if body in (b"", b"null") else body


_decode_line = msgspec.json.Decoder(RecordedExchange).decode


def parse_line(line: bytes | str) -> RecordedExchange:
    """One line of traffic.jsonl; ValueError says what is wrong with it."""
    try:
        return _decode_line(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from error


def parse_dict(line: dict[str, Any]) -> RecordedExchange:
    """The same from a dict in the traffic format."""
    return parse_line(msgspec.json.encode(line))


def read_traffic(
    path: Path,
    *,
    skip_bad: Callable[[str], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[RecordedExchange]:
    """The exchanges of a recording.

    A line that cannot be read, or that goes back in time, raises TrafficError with its file and
    line, or is told to `skip_bad` and left out. `progress` gets the bytes of the file read so far.
    """
    latest_ns = -1
    with _opened(path) as (lines, position):
        for number, line in enumerate(lines, 1):
            if progress and number % 256 == 0:
                progress(position())
            if not line.strip():
                continue
            try:
                exchange = parse_line(line)
                if exchange.at_ns < latest_ns:
                    msg = f"goes back in time (ts {exchange.ts}); sort the recording by ts"
                    raise ValueError(msg)
            except ValueError as error:
                message = f"{path}:{number}: {error}"
                if skip_bad is None:
                    raise TrafficError(message) from error
                skip_bad(message)
                continue
            latest_ns = exchange.at_ns
            yield exchange


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Iterator[bytes], Callable[[], int]]]:
    """Lines of a file that may be compressed, and how far into the file on disk they go."""
    try:
        raw = path.open("rb")
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise TrafficError(msg) from error
    with raw:
        yield _lines(_unpacked(raw, path), path), raw.tell


def _unpacked(raw: BinaryIO, path: Path) -> Iterable[bytes]:
    """Lines of the file's content, whatever it is packed in."""
    if path.suffix == ".gz":
        return gzip.GzipFile(fileobj=raw)
    if path.suffix == ".zst":
        unpacker = zstandard.ZstdDecompressor()
        return io.BufferedReader(unpacker.stream_reader(raw, read_across_frames=True), 1 << 20)
    return raw


def _lines(unpacked: Iterable[bytes], path: Path) -> Iterator[bytes]:
    try:
        yield from unpacked
    except (OSError, EOFError, zstandard.ZstdError) as error:
        msg = f"{path}: the compressed data is damaged or cut short: {error}"
        raise TrafficError(msg) from error
