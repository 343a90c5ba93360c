"""Recorded traffic, read line by line: JSON Lines, plain, .gz or .zst, in time order."""

import gzip
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import msgspec
import zstandard

from proxy.facts.address import canonical, network_of
from proxy.model.batch import BatchCount
from proxy.model.decision import Refusal
from proxy.model.exchange import Arrival
from proxy.model.usage import Outcome, Usage
from proxy.model.verdict import RefusalKind

NS_PER_S = 1_000_000_000
PROBLEM_NOT_RECORDED = "The request could not be read."
LATEST_S = 100_000_000_000  # the year 5138; from there on the number is in milliseconds


class TrafficError(Exception):
    """A recording cannot be read; the text names file and line."""


Tokens = Annotated[int, msgspec.Meta(ge=0, le=10**12)]


class RecordedUsage(msgspec.Struct, frozen=True):
    """The tokens of an answer. A count that is missing or null is nothing."""

    input_tokens: Tokens | None = None
    cached_tokens: Tokens | None = None
    cache_written_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    reasoning_tokens: Tokens | None = None
    images: Tokens | None = None
    seconds: Annotated[float, msgspec.Meta(ge=0, le=10**9)] | None = None


class RecordedTls(msgspec.Struct, frozen=True):
    """What is known of the TLS client."""

    ja4: str | None = None


class RecordedFingerprints(msgspec.Struct, frozen=True):
    """Tokens by family, as 16 hex digits, under the key that `key_id` names."""

    key_id: str | None = None
    tokens: dict[str, list[str]] = {}


class RecordedProblem(msgspec.Struct, frozen=True):
    """Why Gauger's own checks refused a request, where its text was not recorded."""

    kind: RefusalKind
    message: str = ""
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] | None = None

    def refusal(self) -> Refusal:
        """The refusal as it was."""
        message = self.message or PROBLEM_NOT_RECORDED
        return Refusal(self.kind, message, status=self.status, should_retry=False)


class RecordedResponse(msgspec.Struct, frozen=True):
    """What the model API answered when it was asked.

    A recording of a gateway also says how an answer ended that did not come whole: the fields
    after `duration_s` are those of `Outcome`.
    """

    status: Annotated[int, msgspec.Meta(ge=0, le=599)] = 200  # 0: no answer came
    usage: RecordedUsage | None = None
    duration_s: Annotated[float, msgspec.Meta(ge=0, le=10_000_000)] = 0.0
    complete: bool = True
    delivered_output_tokens: Tokens = 0
    forwarded: bool = True
    answer_bytes: Tokens = 0
    error: str | None = None
    unknown: bool = False

    def outcome(self, usage: Usage | None) -> Outcome:
        """How it ended, with this usage."""
        return Outcome(
            self.status,
            self.complete,
            usage,
            self.delivered_output_tokens,
            self.forwarded,
            self.answer_bytes,
            self.error,
            self.unknown,
        )

    def read_usage(self) -> Usage | None:
        """The recorded usage in this project's words; None where nothing was recorded."""
        if self.usage is None:
            return None
        return Usage(
            input_tokens=self.usage.input_tokens or 0,
            cached_tokens=self.usage.cached_tokens or 0,
            cache_written_tokens=self.usage.cache_written_tokens or 0,
            output_tokens=self.usage.output_tokens or 0,
            reasoning_tokens=self.usage.reasoning_tokens or 0,
            images=self.usage.images or 0,
            seconds=self.usage.seconds or 0.0,
        )


class RecordedExchange(msgspec.Struct, frozen=True):
    """One line of traffic.jsonl. `ts` is Unix seconds; `body` is raw JSON as it was sent.

    A recording of a gateway names the key's id (or the account, where a trusted peer did), and
    without capture has fingerprints and facts instead of body, headers and address.
    """

    id: str
    ts: Annotated[float, msgspec.Meta(ge=0, lt=LATEST_S)]
    method: str
    path: str
    client_ip: str | None = None
    headers: list[tuple[str, str]] = []
    tls: RecordedTls | None = None
    key: str | None = None
    account: str | None = None
    body: msgspec.Raw = msgspec.Raw()
    body_text: str | None = None
    response: RecordedResponse | None = None
    fingerprints: RecordedFingerprints | None = None
    facts: dict[str, Any] | None = None
    input_tokens_estimate: Tokens | None = None
    turns: Tokens | None = None
    background: bool = False
    problem: RecordedProblem | None = None
    batch: BatchCount | None = None

    @property
    def at_ns(self) -> int:
        """When the request arrived, in Unix nanoseconds, to the microsecond as recorded."""
        return round(self.ts * 1_000_000) * 1_000

    @property
    def told(self) -> bool:
        """Whether fingerprints and facts stand here in place of the request."""
        without = self.body_text is None and bytes(self.body) in (b"", b"null")
        return without and (self.facts is not None or self.fingerprints is not None)

    def arrival(self) -> Arrival:
        """The request as the edge would have handed it on. ValueError for no address."""
        path, _, query = self.path.partition("?")
        body = self._body()
        return Arrival(
            id=self.id,
            at_ns=self.at_ns,
            method=self.method,
            path=path,
            query=query,
            headers=tuple(self.headers),
            client_ip=_address(self.client_ip) if self.client_ip else None,
            body=body,
            body_bytes=len(body or b""),
            ja4=self.tls.ja4 if self.tls else None,
            named_account=self.account,
            named_key=self.key,
        )

    def _body(self) -> bytes | None:
        if self.body_text is not None:
            return self.body_text.encode("utf-8", "surrogatepass")
        body = bytes(self.body)
        return None if body in (b"", b"null") else body


def _address(text: str) -> str:
    """An address as the edge would have it. ValueError for what is none, such as a hash of one."""
    address = canonical(text)
    try:
        network_of(address)
    except ValueError as error:
        msg = f'client_ip: "{text}" is no address; leave it out where it is not known'
        raise ValueError(msg) from error
    return address


_decode_line = msgspec.json.Decoder(RecordedExchange).decode


def parse_line(line: bytes | str) -> RecordedExchange:
    """One line of traffic.jsonl; ValueError says what is wrong with it."""
    try:
        return _decode_line(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from error


def parse_dict(line: dict[str, Any]) -> RecordedExchange:
    """The same from a dict in the traffic format."""
    try:
        return parse_line(msgspec.json.encode(line))
    except (TypeError, OverflowError, RecursionError) as error:
        msg = f"cannot be written as JSON: {error}"
        raise ValueError(msg) from error


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
    with numbered_lines(path, progress) as lines:
        for number, line in lines:
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
def numbered_lines(
    path: Path, progress: Callable[[int], None] | None = None
) -> Iterator[Iterator[tuple[int, bytes]]]:
    """The lines of a recording that are not empty, with their numbers. TrafficError."""
    with _opened(path) as (lines, position):
        yield _numbered(lines, position, progress)


def _numbered(
    lines: Iterator[bytes], position: Callable[[], int], progress: Callable[[int], None] | None
) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(lines, 1):
        if progress and number % 256 == 0:
            progress(position())
        if line.strip():
            yield number, line


def check_readable(path: Path) -> None:
    """Raise TrafficError where a recording cannot be opened; a pipe, which opens once, is left."""
    if path.is_file() or path.is_dir() or not path.exists():
        with _opened(path):
            pass


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Iterator[bytes], Callable[[], int]]]:
    """Lines of a file that may be compressed, and how far into the file on disk they go."""
    try:
        raw = path.open("rb")
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise TrafficError(msg) from error
    with raw:
        # A pipe has no position.
        position = raw.tell if raw.seekable() else lambda: 0
        yield _lines(_unpacked(raw, path), path), position


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
