"""Messages that are not delivered yet, one file each, so that a restart loses none.

Invariant: `put` returns once the messages are on the disk; a crash leaves one whole
or not there. One process may put messages in while another delivers them.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import structlog

from proxy.gateway.webhook_message import Message

MOST_WAITING = 10_000
SUFFIX = ".json"

log = structlog.get_logger("gauger.webhook")


class Outbox:
    """A directory of undelivered messages, made where it is missing. Raises OSError."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, messages: Iterable[Message]) -> int:
        """Keep those that are not there already; how many. The oldest make room."""
        names = self._names()
        there = {_id(name) for name in names}
        kept = 0
        for message in messages:
            if message.id in there:
                continue
            self._write(message)
            there.add(message.id)
            names.append(message.name)
            kept += 1
        if kept:
            self._sync()
        for name in sorted(names)[: max(0, len(names) - MOST_WAITING)]:
            log.error("webhook message dropped: too many wait", message=_id(name))
            self.remove(name)
        return kept

    def waiting(self) -> Iterator[tuple[str, Message]]:
        """The messages and the names of their files, in the order in which they were told."""
        for name in self._names():
            told_ns, _, _ = name.partition("-")
            try:
                body = (self.directory / name).read_bytes()
            except FileNotFoundError:  # dropped meanwhile, by who puts messages in
                continue
            yield name, Message(_id(name), int(told_ns), body)

    def count(self) -> int:
        """How many wait."""
        return len(self._names())

    def remove(self, name: str) -> None:
        """Forget a message that was delivered, or given up."""
        (self.directory / name).unlink(missing_ok=True)

    def _write(self, message: Message) -> None:
        path = self.directory / message.name
        aside = path.with_suffix(".new")
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(message.body)
            file.flush()
            os.fsync(file.fileno())
        aside.rename(path)

    def _names(self) -> list[str]:
        named = (path.name for path in self.directory.iterdir() if path.suffix == SUFFIX)
        return sorted(name for name in named if name[:20].isdecimal() and name[20:21] == "-")

    def _sync(self) -> None:
        opened = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _id(name: str) -> str:
    return name[21:].removesuffix(SUFFIX)
