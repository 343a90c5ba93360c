"""`gauger replay`: a recording in, decisions and a summary out."""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from proxy.replay.session import Session
from proxy.replay.traffic import TrafficError, check_readable, read_traffic

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


def replay(options: ReplayOptions, progress: Progress | None = None) -> dict[str, Any]:
    """Replay a recording into `out` and return the summary that is written there too.

    The directory must be new or empty: nothing there is ever overwritten.
    """
    check_readable(options.traffic)
    _make_out(options.out)
    skipped: list[str] = []
    judged = 0

    def at_byte(position: int) -> None:
        if progress:
            progress(position, judged)

    began = time.perf_counter()
    exchanges = read_traffic(
        options.traffic, skip_bad=skipped.append if options.skip_bad else None, progress=at_byte
    )
    session = Session(
        options.config,
        options.accounts,
        options.geo,
        options.anonymizers,
        audit=options.audit,
        audit_directory=options.out / "audit",
    )
    encode = msgspec.json.Encoder().encode
    with session, (options.out / "decisions.jsonl").open("wb") as decisions:
        for exchange in exchanges:
            decisions.write(encode(session.exchange(exchange)) + b"\n")
            judged += 1
    _write_lines(options.out / "clusters.jsonl", session.clusters())
    _write_lines(options.out / "cluster_events.jsonl", session.cluster_events())
    wall_s = time.perf_counter() - began
    summary = session.summary.as_dict() | {
        "skipped": len(skipped),
        "skipped_first": skipped[:20],
        "wall_s": round(wall_s, 3),
        "exchanges_per_s": round(judged / wall_s, 1) if wall_s else None,
        "peak_memory_bytes": _peak_memory_bytes(),
    }
    (options.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    return summary


def _make_out(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            msg = f"{out}: the directory is not empty; name a new one with --out"
            raise TrafficError(msg)
    except OSError as error:
        msg = f"{out}: cannot be used for results: {error.strerror}"
        raise TrafficError(msg) from error


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    file: BinaryIO
    with path.open("wb") as file:
        for row in rows:
            file.write(msgspec.json.encode(row) + b"\n")


def _peak_memory_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
