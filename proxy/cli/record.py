"""`gauger record`: what passes a running gateway, into a file that replay reads.

The gateway streams what it judges through its admin listener and keeps nothing; here it is put in
order, joined with the answers and written. Times are the gateway's own, so that neither clocks nor
a slow line matter.
"""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

import msgspec

from proxy.cli.admin import AdminError, address
from proxy.cli.rules import prompted, token
from proxy.replay.joining import Joiner
from proxy.replay.recordings import RecordingFiles
from proxy.settings.load import load

PATH = "/v1/recording"
SILENT_S = 15.0  # a gateway gives a sign of life each second
SIZE = re.compile(r"([0-9]{1,15}) ?([kmgt]i?b|b)?", re.IGNORECASE)
UNITS = {"": 1, "b": 1} | {
    f"{prefix}{kind}": int(base**power)
    for power, prefix in enumerate("kmgt", 1)
    for kind, base in (("b", 1000), ("ib", 1024))
}
LAST_S = 60.0  # so long is waited at the end for answers that are under way
CAPTURE_WARNING = (
    "Warning: this recording holds what callers write and what they are, in plain: prompts, "
    "headers (without credentials) and addresses.\n"
    "Keep it as you would keep that; who asked for it, and why, stands in the audit log."
)


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """What is asked for. `for_s` is how long, in seconds; None until interrupted."""

    out: Path
    config: Path
    admin: str | None = None
    for_s: int | None = None
    capture: bool = False
    why: str = ""
    rotate_bytes: int | None = None
    limit_bytes: int = 8 * 2**30


class Message(msgspec.Struct, frozen=True):
    """A message of the gateway: an exchange, the end of one, or a sign of life."""

    line: msgspec.Raw = msgspec.Raw()
    final: bool = False
    ended: "End | None" = None
    at: float | None = None
    dropped: int = 0
    worker: int = 0
    workers: int = 1
    lost: int | None = None
    why: str = ""
    failed: str | None = None


class End(msgspec.Struct, frozen=True):
    """The end of an answer."""

    id: str
    response: msgspec.Raw


class Head(msgspec.Struct, frozen=True):
    """What is asked of a line."""

    id: str
    ts: float


@dataclass(slots=True)
class Told:
    """What came of a recording."""

    exchanges: int = 0
    at_s: float = 0.0
    workers: int = 1
    each_s: dict[int, float] = field(default_factory=dict)  # until when each worker has told all
    dropped: dict[int, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def heard(self, message: Message, at_s: float) -> None:
        """A worker has told all that came before a time."""
        self.at_s = max(self.at_s, at_s)
        self.workers = message.workers
        self.each_s[message.worker] = at_s
        self.dropped[message.worker] = message.dropped

    def lost(self, worker: int, why: str) -> None:
        """A worker tells nothing any more."""
        self.each_s[worker] = float("inf")
        self.problems.append(f"worker {worker} is not recorded: {why}")

    @property
    def all_s(self) -> float:
        """Until when all workers have told all."""
        return min(self.each_s.values()) if len(self.each_s) >= self.workers else 0.0

    def summary(self, joiner: Joiner, files: RecordingFiles) -> dict[str, Any]:
        """The recording in numbers; `left_out` is what the gateway had no room for."""
        return {
            "exchanges": self.exchanges,
            "without_answer": joiner.unanswered,
            "left_out": sum(self.dropped.values()) + joiner.late,
            "problems": self.problems,
            "files": [str(path) for path in files.paths],
            "bytes": files.size,
        }


Shown = Callable[[int, int, int], None]  # bytes written, exchanges, exchanges that were left out


def record(options: RecordOptions, shown: Shown | None = None) -> dict[str, Any]:
    """Record until the time is over, the limit is reached, or somebody interrupts.

    Raises AdminError for a gateway that cannot be asked, TrafficError for files that cannot be
    written.
    """
    where = _where(options)
    secret = token(os.environ, prompted if sys.stdin.isatty() else None)
    joiner, told = Joiner(), Told()
    connection = HTTPConnection(*where, timeout=SILENT_S)
    try:
        response = _asked(connection, where, secret, options)
        files = RecordingFiles(
            options.out, rotate_bytes=options.rotate_bytes, limit_bytes=options.limit_bytes
        )
        with files:
            try:
                _listen(response, options, joiner, told, files, shown)
            except KeyboardInterrupt:
                told.problems.append("interrupted; answers that had not ended are missing")
            for line in joiner.rest():
                _write(files, line, told)
    finally:
        connection.close()
    return told.summary(joiner, files)


def size_bytes(text: str) -> int:
    """Bytes of a size such as 500MB, 2GiB or 1048576; ValueError says what is wrong."""
    found = SIZE.fullmatch(text.strip())
    if found is None or not int(found[1]):
        msg = f'"{text}" is not a size (write a whole number and MB, MiB, GB or GiB: 500MB, 2GiB)'
        raise ValueError(msg)
    return int(found[1]) * UNITS[(found[2] or "").lower()]


def _listen(
    response: HTTPResponse,
    options: RecordOptions,
    joiner: Joiner,
    told: Told,
    files: RecordingFiles,
    shown: Shown | None,
) -> None:
    """Take messages in until it is time to end."""
    begun_s: float | None = None
    ends_s = float("inf")
    for message in _messages(response, told):
        if message.at is not None:
            told.heard(message, message.at)
            if begun_s is None:
                begun_s = told.at_s
                ends_s = begun_s + options.for_s if options.for_s else ends_s
            for line in joiner.due(told.at_s):
                _write(files, line, told)
            files.flush()
            if shown:
                shown(files.size, told.exchanges + joiner.waiting, sum(told.dropped.values()))
            if files.full:
                told.problems.append(f"ended at its limit of {options.limit_bytes} bytes")
                return
            if told.all_s >= ends_s and not joiner.waiting:
                return
            if told.at_s - ends_s >= LAST_S:
                if told.all_s < ends_s:
                    told.problems.append("ended while a worker had not told all of it")
                return
        elif message.ended is not None:
            joiner.ended(message.ended.id, bytes(message.ended.response))
        elif bytes(message.line):
            text = bytes(message.line)
            head = msgspec.json.decode(text, type=Head)
            if head.ts < ends_s:
                joiner.line(head.ts, head.id, text, final=message.final)


def _messages(response: HTTPResponse, told: Told) -> Iterator[Message]:
    """What the gateway tells, until it ends or falls silent."""
    decode = msgspec.json.Decoder(Message).decode
    try:
        while line := response.readline():
            message = decode(line)
            if message.lost is not None:
                told.lost(message.lost, message.why)
            elif message.failed is not None:
                told.problems.append(f"the gateway ended the recording: {message.failed}")
            else:
                yield message
    except (OSError, HTTPException, msgspec.DecodeError) as error:
        told.problems.append(f"the gateway broke off: {error or type(error).__name__}")


def _write(files: RecordingFiles, line: bytes, told: Told) -> None:
    files.write(line)
    told.exchanges += 1


def _where(options: RecordOptions) -> tuple[str, int]:
    """Where the gateway's admin listener is."""
    if (admin := options.admin) is None:
        return address(load(options.config, os.environ, upstreams=False))
    host, _, port = admin.removeprefix("http://").rstrip("/").rpartition(":")
    if not host or not port.isascii() or not port.isdigit():
        msg = f'--admin is the address of an admin listener, http://host:port, not "{admin}"'
        raise AdminError(msg)
    return host.strip("[]"), int(port)


def _asked(
    connection: HTTPConnection, where: tuple[str, int], secret: str, options: RecordOptions
) -> HTTPResponse:
    """The stream of the gateway; AdminError where it gives none."""
    body = json.dumps({"capture": options.capture, "why": options.why})
    try:
        connection.request("POST", PATH, body, {"Authorization": f"Bearer {secret}"})
        response = connection.getresponse()
        if response.status == 200:
            return response
        said = response.read(4096)
    except (OSError, HTTPException) as error:
        msg = f"no answer from {where[0]}:{where[1]} (admin.listen): {error}; is it running?"
        raise AdminError(msg) from error
    try:
        told = json.loads(said)["result"]
    except (ValueError, KeyError, TypeError):
        told = "what answers there is no Gauger, or one of another version"
    msg = f"{where[0]}:{where[1]} records nothing ({response.status}): {told}"
    raise AdminError(msg)
