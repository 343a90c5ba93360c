"""Lines of a recording read ahead by several processes, and handed on in their order.

How many processes there are changes nothing but the time that it takes: each line is read by
itself, and they come back in the order of the recording.
"""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from proxy.replay.ahead import Reader
from proxy.replay.told import Prepared, prepare
from proxy.replay.traffic import TrafficError, numbered_lines, parse_line

LINES, BYTES = 128, 1 << 20  # of a batch, whichever comes first
AHEAD = 3  # batches that each process may be ahead

Batch = list[tuple[int, bytes]]
Read = list[tuple[int, Prepared | str]]  # the line's number, and what it is or what is wrong

_reader: Reader | None = None  # of a process that reads ahead


def read_prepared(
    path: Path,
    reader: Reader,
    workers: int = 1,
    *,
    skip_bad: Callable[[str], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Prepared]:
    """The exchanges of a recording, read ahead by `workers` processes beside this one.

    With one, everything happens here. A line that cannot be read, or that goes back in time,
    raises TrafficError with its file and line, or is told to `skip_bad` and left out.
    """
    with numbered_lines(path, progress) as lines:
        batches = _batches(lines)
        results = _here(batches) if workers < 2 else _spread(batches, reader, workers)
        yield from _in_order(path, results, skip_bad)


def _in_order(
    path: Path, results: Iterator[Read], skip_bad: Callable[[str], None] | None
) -> Iterator[Prepared]:
    latest_ns = -1
    for batch in results:
        for number, found in batch:
            problem = found if isinstance(found, str) else _late(found, latest_ns)
            if isinstance(found, Prepared) and problem is None:
                latest_ns = found.arrival.at_ns
                yield found
            elif skip_bad is None:
                msg = f"{path}:{number}: {problem}"
                raise TrafficError(msg)
            else:
                skip_bad(f"{path}:{number}: {problem}")


def _late(prepared: Prepared, latest_ns: int) -> str | None:
    if prepared.arrival.at_ns >= latest_ns:
        return None
    return f"goes back in time (ts {prepared.recorded.ts}); sort the recording by ts"


def _batches(lines: Iterable[tuple[int, bytes]]) -> Iterator[Batch]:
    batch: Batch = []
    size = 0
    for numbered in lines:
        batch.append(numbered)
        size += len(numbered[1])
        if len(batch) >= LINES or size >= BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _here(batches: Iterator[Batch]) -> Iterator[Read]:
    for batch in batches:
        for number, line in batch:
            yield [(number, _prepared(line))]


def _spread(batches: Iterator[Batch], reader: Reader, workers: int) -> Iterator[Read]:
    # A fresh process, not a copy of this one: that may have threads and open files.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _begin, (reader,))
    waiting: deque[Future[Read]] = deque()
    try:
        for batch in batches:
            waiting.append(pool.submit(_read, batch))
            if len(waiting) >= AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        msg = "a process that reads lines ahead was killed (out of memory? try fewer --workers)"
        raise TrafficError(msg) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(reader: Reader) -> None:
    global _reader  # noqa: PLW0603 (the process does nothing else)
    _reader = reader


def _read(batch: Batch) -> Read:
    assert _reader is not None
    done: Read = []
    for number, line in batch:
        found = _prepared(line)
        done.append((number, found if isinstance(found, str) else _reader.read(found)))
    return done


def _prepared(line: bytes) -> Prepared | str:
    try:
        return prepare(parse_line(line))
    except ValueError as error:
        return str(error)
