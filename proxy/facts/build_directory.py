"""Build the account directory's index: `python -m proxy.facts.build_directory ACCOUNTS INDEX`.

Runs in a process of its own at low priority, so that reading a million lines never holds up
whoever serves. The index is written aside, synced and renamed: a reader sees the old one or the
new one, and a bad line anywhere leaves the old one in place.
"""

import gc
import os
import sqlite3
import sys
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

import msgspec

from proxy.facts.account_file import UNREADABLE, numbered_lines
from proxy.facts.account_index import FORMAT, fill
from proxy.facts.directory import DirectoryError, open_index, read_meta
from proxy.facts.index_files import Signature, alone, put_in_place, signature

NICENESS = 10


@dataclass(frozen=True, slots=True)
class BuildReport:
    """How a build ended. `problems` is empty where the index is in place.

    `source` is the signature of the file that was read, `sha256` the digest of its lines.
    """

    accounts: int = 0
    keys: int = 0
    sha256: str = ""
    source: Signature = ()
    pid: int = 0
    problems: tuple[str, ...] = ()


def index_report(index: Path | str, source: Path | str) -> BuildReport | None:
    """The report of the build that made this index from this file, or None where it is another's.

    A missing, damaged or foreign index gives None.
    """
    try:
        db = open_index(index)
        meta = read_meta(db, index)
    except DirectoryError:
        return None
    db.close()
    if meta.get("path") != os.path.abspath(source):  # noqa: PTH100 (resolve would follow links) -- links are not followed
        return None
    return msgspec.json.decode(meta["report"], type=BuildReport)


def build_index(accounts: Path | str, index: Path | str) -> BuildReport:
    """Read the account directory and put its index in place, all or nothing.

    Returns at once where the index already stands for this state of the file. Every problem is
    in the report, as `accounts.jsonl:LINE: what, and what to do` (the first twenty), and the
    index that was there before is still there then.
    """
    accounts, index = Path(accounts), Path(index)
    try:
        index.parent.mkdir(parents=True, exist_ok=True)
        with alone(index):
            done = index_report(index, accounts)
            if done and done.source == signature(accounts):
                return done
            return put_in_place(index, partial(_write, accounts))
    except UNREADABLE as error:
        problem = f"{accounts}: cannot be read or indexed: {error}"
    except sqlite3.Error as error:
        problem = f"{index}: cannot be written ({error}); see that the disk has room"
    return BuildReport(source=signature(accounts), pid=os.getpid(), problems=(problem,))


def _write(accounts: Path, aside: Path) -> BuildReport:
    db = sqlite3.connect(aside)
    try:
        # A build that dies is started again from nothing; only the finished file is synced.
        db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        db.execute("PRAGMA cache_size = -65536")
        with accounts.open("rb") as file:
            read = signature(file.fileno())
            digest = sha256()
            filled = fill(db, numbered_lines(file, accounts, digest.update))
            problems = filled.told(str(accounts))
            if read != signature(accounts):
                problems += (f"{accounts}: changed while it was read; it is read again",)
            elif not filled.accounts and not problems:
                problems += (f"{accounts}: holds no account; an empty file is not taken up",)
        report = BuildReport(
            filled.accounts, filled.keys, digest.hexdigest(), read, os.getpid(), problems
        )
        meta = {
            "format": FORMAT,
            "path": os.path.abspath(accounts),  # noqa: PTH100 (resolve would follow links)
            "accounts": str(report.accounts),
            "report": msgspec.json.encode(report).decode(),
        }
        db.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        db.commit()
    finally:
        db.close()
    return report


def main(arguments: list[str]) -> int:
    """Build, write the report to standard output as one line of JSON, and return 0 or 1."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m proxy.facts.build_directory ACCOUNTS INDEX\n")
        return 2
    os.nice(NICENESS)
    gc.disable()
    report = build_index(*arguments)
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
