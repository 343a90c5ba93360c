"""`gauger replay`: a recording in, decisions and a summary out."""

import gc
import json
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from proxy.replay.session import Session
from proxy.replay.traffic import TrafficError, check_readable
from proxy.replay.workers import read_prepared

EVENTS_EVERY = 10_000  # exchanges
FIRST_SKIPPED = 20
GARBAGE = (50_000, 20, 100)

Progress = Callable[[int, int], None]  # bytes of the recording read so far, exchanges judged


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What `gauger replay` is asked to do. `audit` is full, digest or none."""

    config: Path
    traffic: Path
    out: Path
    accounts: Path | None = None
    geo: list[Path] = field(default_factory=list)
    anonymizers: Path | None = None
    audit: str = "full"
    skip_bad: bool = False
    workers: int = 1


def replay(options: ReplayOptions, progress: Progress | None = None) -> dict[str, Any]:
    """Replay a recording into `out` and return the summary that is written there too.

    The directory must be new or empty: nothing there is ever overwritten.
    """
    check_readable(options.traffic)
    _make_out(options.out)
    try:
        return _replayed(options, progress)
    except OSError as error:  # what is read says so itself
        msg = f"{options.out}: the results cannot be written: {error.strerror or error}"
        raise TrafficError(msg) from error


def _replayed(options: ReplayOptions, progress: Progress | None) -> dict[str, Any]:
    skipped = _Skipped()
    judged = 0

    def at_byte(position: int) -> None:
        if progress:
            progress(position, judged)

    began_s, began_cpu_s = time.perf_counter(), _cpu_s()
    session = Session(
        options.config,
        options.accounts,
        options.geo,
        options.anonymizers,
        audit=options.audit,
        audit_directory=options.out / "audit",
    )
    exchanges = read_prepared(
        options.traffic,
        session.reader(),
        options.workers,
        skip_bad=skipped if options.skip_bad else None,
        progress=at_byte,
    )
    encode = msgspec.json.Encoder().encode
    events = options.out / "cluster_events.jsonl"
    with (
        collected_rarely(),
        session,
        (options.out / "decisions.jsonl").open("wb") as decisions,
        events.open("wb") as told,
    ):
        for exchange in exchanges:
            decisions.write(encode(session.exchange(exchange)) + b"\n")
            judged += 1
            if judged % EVENTS_EVERY == 0:
                _write_lines(told, session.cluster_events())
        _write_lines(told, session.cluster_events())
    with (options.out / "clusters.jsonl").open("wb") as clusters:
        _write_lines(clusters, session.clusters())
    wall_s = time.perf_counter() - began_s
    cpu_s = _cpu_s() - began_cpu_s
    summary = session.summary.as_dict() | {
        "skipped": skipped.count,
        "skipped_first": skipped.first,
        "wall_s": round(wall_s, 3),
        "cpu_s": round(cpu_s, 3),
        "exchanges_per_s": round(judged / wall_s, 1) if wall_s else None,
        "exchanges_per_s_and_core": round(judged / cpu_s, 1) if cpu_s else None,
        "peak_memory_bytes": _peak_memory_bytes(),
    }
    (options.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    return summary


class _Skipped:
    """Counts lines that could not be read, and keeps the first of them."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []

    def __call__(self, message: str) -> None:
        self.count += 1
        if len(self.first) < FIRST_SKIPPED:
            self.first.append(message)


@contextmanager
def collected_rarely() -> Iterator[None]:
    """Look for cycles of garbage less often: exchanges leave few, and each look takes long."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _make_out(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            msg = f"{out}: the directory is not empty; name a new one with --out"
            raise TrafficError(msg)
    except OSError as error:
        msg = f"{out}: cannot be used for results: {error.strerror}"
        raise TrafficError(msg) from error


def _write_lines(file: BinaryIO, rows: Iterable[dict[str, Any]]) -> None:
    file.writelines(msgspec.json.encode(row) + b"\n" for row in rows)


def _cpu_s() -> float:
    """The processor time of this process and of those that it waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def _peak_memory_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
