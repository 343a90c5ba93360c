import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.audit.disk import Disk
from proxy.audit.format import SLOT_BYTES
from proxy.audit.sync_log import SyncAuditLog
from proxy.model.record import Record

LOG_ID = "1f" * 16
AT_NS = 1_700_000_000_000_000_000


def _record(number: int) -> Record:
    fields = {"account": f"{number:016x}", "why": 'naïve "quotes"\n\u2028', "n": [number, None]}
    return Record("decision", f"ex_{number}", AT_NS + number, fields)


@pytest.fixture(scope="session")
def record() -> Callable[[int], Record]:
    """Makes the record of a number."""
    return _record


@pytest.fixture(scope="session")
def write_log() -> Callable[..., Path]:
    """Writes a log of `count` decisions; small segments where `segment_lines` says so."""

    def write(
        directory: Path, count: int = 10, segment_lines: int = 0, *, digests: bool = False
    ) -> Path:
        size = 1 if segment_lines else 1 << 30
        with SyncAuditLog.create(
            directory, log_id=LOG_ID, at_ns=AT_NS, segment_bytes=size, digests=digests
        ) as log:
            for number in range(count):
                log.append(_record(number))
                if segment_lines and number % segment_lines == segment_lines - 1:
                    log.flush()
        return directory

    return write


class FaultyDisk(Disk):
    """A disk that fails when told to, and whose durable writes can be held up.

    `failing` (for as long as it is there) and `once` (the next call) map operations to errnos:
    `write` fails with half of the data written, `commit` with all of it, `head` for the head.
    """

    def __init__(self) -> None:
        self.failing: dict[str, int] = {}
        self.once: dict[str, int] = {}
        self.calls: list[str] = []
        self.may_write = threading.Event()
        self.may_write.set()
        self.writing = threading.Event()

    def _called(self, name: str) -> None:
        self.calls.append(name)
        number = self.once.pop(name, None) or self.failing.get(name)
        if number:
            raise OSError(number, os.strerror(number))

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        if len(data) == SLOT_BYTES:
            self._called("head")
            return super().write(descriptor, data, offset)
        self.writing.set()
        assert self.may_write.wait(10)
        super().write(descriptor, data[: len(data) // 2], offset)
        self._called("write")
        super().write(descriptor, data, offset)
        return self._called("commit")

    def sync(self, descriptor: int) -> None:
        self._called("sync")
        super().sync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        self._called("truncate")
        super().truncate(descriptor, size)

    def create(self, path: Path, *, durable: bool) -> int:
        self._called("create")
        return super().create(path, durable=durable)

    @contextmanager
    def held(self) -> Iterator[None]:
        """No record is written inside."""
        self.writing.clear()
        self.may_write.clear()
        try:
            yield
        finally:
            self.may_write.set()


@pytest.fixture
def disk() -> FaultyDisk:
    """A disk whose failures the test decides."""
    return FaultyDisk()
