"""What passes the gateway, as a recording for replay: handed to an operator while it happens.

The request path only puts what it has at hand into a bounded queue; text is looked at, and made
into lines, in a process of its own. Where the queue is full exchanges are left out of the
recording, counted, and the operator is told. Without capture a line has fingerprints and facts, and
no prompt, header, address or credential leaves the gateway's processes.
"""

import asyncio
import multiprocessing
import time
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from hashlib import blake2b

import msgspec

from proxy.gateway.recording_lines import Item, begin, encoded
from proxy.model.exchange import Prompt
from proxy.model.usage import Outcome
from proxy.pipeline.recorded import (
    captured_exchange,
    key_id,
    recorded_exchange,
    recorded_response,
)
from proxy.pipeline.weigh import Weighed

MAX_ITEMS = 20_000
MAX_BYTES = 64 * 2**20  # of texts that wait
AT_ONCE = 128  # items
BEAT_S = 1.0
BUSY = "somebody else is recording; one recording at a time is made"


class BusyError(Exception):
    """There is a recording already."""


class Recording:
    """One recording under way: a queue that never lets the request path wait."""

    def __init__(
        self, fingerprint_key: bytes, *, capture: bool, worker: int = 0, workers: int = 1
    ) -> None:
        self.lines = 0
        self.dropped = 0
        self._key = fingerprint_key
        self._key_id = key_id(fingerprint_key)
        self._capture = capture
        self._worker = worker
        self._workers = workers
        self._items: deque[Item] = deque()
        self._bytes = 0
        self._open: dict[str, int] = {}  # exchanges whose end is still to be told, and when begun
        self._wake = asyncio.Event()
        self._ended = False

    def decided(self, weighed: Weighed, *, forwarded: bool) -> None:
        """An exchange was judged."""
        body = weighed.arrival.body or b""
        size = len(body)
        if len(self._items) >= MAX_ITEMS or (self._items and self._bytes + size > MAX_BYTES):
            self.dropped += 1
            return
        if forwarded:
            self._open[weighed.arrival.id] = weighed.arrival.at_ns
        if self._capture:
            line, prompt = captured_exchange(weighed), None
        else:
            line = recorded_exchange(weighed, self._key_id)
            shown = weighed.surface is not None and weighed.surface.generates
            prompt = weighed.asked.prompt if weighed.asked and shown else Prompt()
        self.lines += 1
        self._put(Item(line, prompt, body if self._capture else None, size, final=not forwarded))

    def ended(self, identity: str, outcome: Outcome, at_ns: int) -> None:
        """A forwarded exchange has ended. Its end is always told where its beginning was."""
        begun_ns = self._open.pop(identity, None)
        if begun_ns is not None:
            # A recording has microseconds; so that both ends are cut alike.
            took_s = (at_ns // 1_000 - begun_ns // 1_000) / 1_000_000
            said = {"id": identity, "response": recorded_response(outcome, took_s)}
            self._put(Item(said, None, None, 0, final=True, is_end=True))

    def end(self) -> None:
        """No more is recorded; what waits is still told."""
        self._ended = True
        self._wake.set()

    def _put(self, item: Item) -> None:
        item.since_s = _now_s()
        self._items.append(item)
        self._bytes += item.size
        self._wake.set()

    def _some(self) -> list[Item]:
        taken = [self._items.popleft() for _ in range(min(AT_ONCE, len(self._items)))]
        self._bytes -= sum(item.size for item in taken)
        return taken

    async def told(self) -> AsyncIterator[bytes]:
        """JSON lines for whoever records, with a sign of life each second (`_beat`)."""
        loop = asyncio.get_running_loop()
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(1, context, begin, (self._key,))
        beat_s = 0.0
        try:
            while True:
                if items := self._some():
                    yield await loop.run_in_executor(pool, encoded, items)
                if not self._items or loop.time() >= beat_s:
                    beat_s = loop.time() + BEAT_S
                    yield self._beat()
                if not self._items:
                    if self._ended:
                        return
                    self._wake.clear()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), BEAT_S)
        except BrokenProcessPool:
            yield msgspec.json.encode({"failed": "the process that makes lines died"}) + b"\n"
        finally:
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)

    def _beat(self) -> bytes:
        """All that came before `at` is told: while something waits, that is not now."""
        at = self._items[0].since_s if self._items else _now_s()
        said = {
            "at": at,
            "dropped": self.dropped,
            "worker": self._worker,
            "workers": self._workers,
        }
        return msgspec.json.encode(said) + b"\n"


def _now_s() -> float:
    return time.time_ns() // 1_000 / 1_000_000


class Recorder:
    """Where the request path tells what passes; nearly always nobody listens."""

    def __init__(self, fingerprint_key: bytes) -> None:
        self._key = fingerprint_key
        self._recording: Recording | None = None

    @property
    def sibling(self) -> str:
        """What one worker shows another that asks it to record: nobody else can make it."""
        return blake2b(b"", digest_size=16, key=self._key[:64], person=b"sibling").hexdigest()

    @property
    def recording(self) -> Recording | None:
        """The recording under way."""
        return self._recording

    def begin(self, *, capture: bool, worker: int = 0, workers: int = 1) -> Recording:
        """Begin a recording. BusyError while there is another."""
        if self._recording is not None:
            raise BusyError(BUSY)
        self._recording = Recording(self._key, capture=capture, worker=worker, workers=workers)
        return self._recording

    def over(self, recording: Recording) -> None:
        """A recording is over."""
        if self._recording is recording:
            self._recording = None

    def stop(self) -> None:
        """The gateway stops: let a recording come to its end."""
        if self._recording is not None:
            self._recording.end()

    def decided(self, weighed: Weighed, *, forwarded: bool) -> None:
        """An exchange was judged."""
        if self._recording is not None:
            self._recording.decided(weighed, forwarded=forwarded)

    def ended(self, identity: str, outcome: Outcome, at_ns: int) -> None:
        """A forwarded exchange has ended."""
        if self._recording is not None:
            self._recording.ended(identity, outcome, at_ns)
