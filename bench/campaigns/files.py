"""The files of a recording: directory, traffic, truth and the maps of the invented addresses."""

import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from bench.campaigns import networks
from bench.campaigns.stream import Cast, Traffic
from bench.campaigns.world import Account, World


@dataclass(frozen=True, slots=True)
class Setting:
    """Where the files stand that a replay needs besides the traffic."""

    accounts: Path
    geo: tuple[Path, ...]
    anonymizers: Path


def write_setting(folder: Path, casts: Iterable[Cast]) -> Setting:
    """Write accounts.jsonl, the two MMDB files and the list of anonymizers into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    accounts = folder / "accounts.jsonl"
    seen: set[str] = set()
    with accounts.open("w", encoding="utf-8") as out:
        for cast in casts:
            for line in _listed(cast):
                # Several persons may use one account: its owners, and who has stolen its key.
                if line["account"] not in seen:
                    seen.add(line["account"])
                    out.write(compact(line) + "\n")
    return Setting(accounts, networks.write_mmdb(folder), networks.write_anonymizers(folder))


def _listed(cast: Cast) -> Iterator[Account]:
    """The directory's lines of a cast; those of personas that stand for many are left to `more`."""
    if cast.more is None:
        yield from (person.account for person in cast.persons)
    else:
        yield from cast.more
    yield from cast.reserves


def write_truth(folder: Path, casts: Iterable[Cast], world: World) -> Path:
    """Write truth.json, which only the benchmark's own measures may read."""
    truth: dict[str, dict[str, Any]] = {"campaigns": {}, "reserves": {}, "victims": {}}
    truth |= {"lookalikes": {}, "harvest_begins": {}}
    casts = list(casts)
    robbed = {name for cast in casts if cast.kind == "victim" for name in _names(cast)}
    for cast in casts:
        names = _names(cast)
        if cast.kind == "campaign":
            # An account whose key was stolen is its owner's, not the campaign's.
            truth["campaigns"][cast.name] = [name for name in names if name not in robbed]
            truth["reserves"][cast.name] = [line["account"] for line in cast.reserves]
            begins_s = cast.harvest_begins_s
            truth["harvest_begins"][cast.name] = world.start_s if begins_s is None else begins_s
        elif cast.kind == "lookalike":
            truth["lookalikes"][cast.name] = names
        elif cast.kind == "victim":
            truth["victims"][cast.campaign] = names
        elif cast.kind == "decoy":
            truth.setdefault("decoys", {})[cast.campaign] = names
    path = folder / "truth.json"
    path.write_text(compact(truth) + "\n", encoding="utf-8")
    return path


def _names(cast: Cast) -> list[str]:
    """The accounts of a cast that send, each once."""
    if cast.more is not None:
        return [line["account"] for line in cast.more]
    return list(dict.fromkeys(person.persona.account for person in cast.persons))


def write_changes(folder: Path, casts: Iterable[Cast]) -> None:
    """Write changes.jsonl, lines of the directory that change while the traffic runs, each as
    {"ts", "account": its new line}; no file where none does."""
    changes = sorted((change for cast in casts for change in cast.changes), key=lambda one: one[0])
    path = folder / "changes.jsonl"
    path.unlink(missing_ok=True)
    if changes:
        lines = (compact({"ts": at_s, "account": account}) + "\n" for at_s, account in changes)
        path.write_text("".join(lines), encoding="utf-8")


def write_traffic(folder: Path, traffic: Traffic, step: Callable[[], None]) -> Path:
    """Write the open-loop stream to traffic.jsonl.gz; calls `step` for each exchange.

    The ids of exchanges that are marked as extraction go to extraction.txt, one a line; where none
    is marked, all exchanges of a campaign are extraction and there is no such file. Where the law
    has one right verdict, expected.tsv has it: id, tab, verdict (several, with |).
    """
    path, marked = folder / "traffic.jsonl.gz", folder / "extraction.txt"
    lawful = folder / "expected.tsv"
    marked.unlink(missing_ok=True)
    lawful.unlink(missing_ok=True)
    with (
        path.open("wb") as raw,
        # A fixed time stamp and no name: the same traffic gives the same bytes.
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as out,
        ExitStack() as stack,
    ):
        names: TextIO | None = None
        verdicts: TextIO | None = None
        for event in traffic:
            out.write(compact(event.line).encode() + b"\n")
            if event.extraction:
                names = names or stack.enter_context(marked.open("w", encoding="utf-8"))
                names.write(event.line["id"] + "\n")
            if event.expected:
                verdicts = verdicts or stack.enter_context(lawful.open("w", encoding="utf-8"))
                verdicts.write(f"{event.line['id']}\t{event.expected}\n")
            step()
    return path


def compact(value: object) -> str:
    """JSON without spaces, text as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
