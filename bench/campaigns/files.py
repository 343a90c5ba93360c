"""The files of a recording: directory, traffic, truth and the maps of the invented addresses."""

import gzip
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.campaigns import networks
from bench.campaigns.stream import Cast, Traffic
from bench.campaigns.world import World


@dataclass(frozen=True, slots=True)
class Setting:
    """Where the files stand that a replay needs besides the traffic."""

    accounts: Path
    geo: tuple[Path, ...]


def write_setting(folder: Path, casts: Iterable[Cast]) -> Setting:
    """Write accounts.jsonl and the two MMDB files into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    accounts = folder / "accounts.jsonl"
    with accounts.open("w", encoding="utf-8") as out:
        for cast in casts:
            for person in cast.persons:
                out.write(compact(person.account) + "\n")
            for reserve in cast.reserves:
                out.write(compact(reserve) + "\n")
    return Setting(accounts, networks.write_mmdb(folder))


def write_truth(folder: Path, casts: Iterable[Cast], world: World) -> Path:
    """Write truth.json, which only the benchmark's own measures may read."""
    truth: dict[str, dict[str, Any]] = {"campaigns": {}, "reserves": {}, "victims": {}}
    truth |= {"lookalikes": {}, "harvest_begins": {}}
    for cast in casts:
        names = [person.persona.account for person in cast.persons]
        if cast.kind == "campaign":
            truth["campaigns"][cast.name] = names
            truth["reserves"][cast.name] = [line["account"] for line in cast.reserves]
            truth["harvest_begins"][cast.name] = world.start_s
        elif cast.kind == "lookalike":
            truth["lookalikes"][cast.name] = names
    path = folder / "truth.json"
    path.write_text(compact(truth) + "\n", encoding="utf-8")
    return path


def write_traffic(folder: Path, traffic: Traffic, step: Callable[[], None]) -> Path:
    """Write the open-loop stream to traffic.jsonl.gz; calls `step` for each exchange."""
    path = folder / "traffic.jsonl.gz"
    with (
        path.open("wb") as raw,
        # A fixed time stamp and no name: the same traffic gives the same bytes.
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as out,
    ):
        for event in traffic:
            out.write(compact(event.line).encode() + b"\n")
            step()
    return path


def compact(value: object) -> str:
    """JSON without spaces, text as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
