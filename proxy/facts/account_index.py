"""The layout of the account directory's SQLite index, and how it is filled.

Only the raw JSON lines and what they are found by are stored: the reader decodes a line when it
is asked for. A million accounts are then one file and a handful of Python objects.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from proxy.facts.account_lines import AccountLineError, read_account

FORMAT = "gauger-accounts-1"
MAX_PROBLEMS = 20
_BATCH_LINES = 2_000

_TABLES = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE accounts(line INTEGER PRIMARY KEY, id TEXT NOT NULL, json BLOB NOT NULL);
CREATE TABLE keys(sha256 BLOB NOT NULL, id TEXT NOT NULL, line INTEGER NOT NULL);
"""
_INDEXES = """
CREATE INDEX account_by_id ON accounts(id);
CREATE INDEX key_by_sha256 ON keys(sha256, line);
CREATE INDEX key_by_id ON keys(id, line);
"""
_INSERT_ACCOUNT = "INSERT INTO accounts VALUES (?, ?, ?)"
_INSERT_KEY = "INSERT INTO keys VALUES (?, ?, ?)"
# Each of these gives the later lines of a value that an earlier line already has.
_DUPLICATES = {
    "account": (
        "SELECT later.line, min(first.line) FROM accounts later JOIN accounts first"
        " ON first.id = later.id AND first.line < later.line"
        " WHERE later.id IN (SELECT id FROM accounts GROUP BY id HAVING count(*) > 1)"
        " GROUP BY later.line ORDER BY later.line LIMIT ?"
    ),
    "sha256": (
        "SELECT later.line, min(first.line) FROM keys later JOIN keys first"
        " ON first.sha256 = later.sha256 AND first.line < later.line"
        " WHERE later.sha256 IN (SELECT sha256 FROM keys GROUP BY sha256 HAVING count(*) > 1)"
        " GROUP BY later.line ORDER BY later.line LIMIT ?"
    ),
    "id": (
        "SELECT later.line, min(first.line) FROM keys later JOIN keys first"
        " ON first.id = later.id AND first.rowid < later.rowid"
        " WHERE later.id IN (SELECT id FROM keys GROUP BY id HAVING count(*) > 1)"
        " GROUP BY later.rowid ORDER BY later.line LIMIT ?"
    ),
}
_DUPLICATE_WORDS = {
    "account": "the account is on line {first} too; keep one line for each account",
    "sha256": "a key belongs to the account on line {first} too; each key has one owner",
    "id": "a key's id is used on line {first} too; give each key its own id",
}

Row = tuple[int, bytes]


@dataclass(slots=True)
class Filled:
    """What was read: counts, and the first problems as (line, text)."""

    accounts: int = 0
    keys: int = 0
    faults: int = 0
    problems: list[tuple[int, str]] = field(default_factory=list)

    def fault(self, line: int, what: str) -> None:
        """Count a bad line, and keep its text while there is room."""
        self.faults += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append((line, what))

    def told(self, name: str) -> tuple[str, ...]:
        """The problems in line order as `name:LINE: what`, and how many more there are."""
        lines = [f"{name}:{line}: {what}" for line, what in sorted(self.problems)]
        if self.faults > len(lines):
            lines.append(f"{name}: and {self.faults - len(lines)} more bad lines")
        return tuple(lines)


def fill(db: sqlite3.Connection, lines: Iterable[Row]) -> Filled:
    """Make the tables and put every good line in; bad and ambiguous ones are told in the result.

    `lines` gives (line number, JSON text). Blank lines are passed over.
    """
    db.executescript(_TABLES)
    filled = Filled()
    for accounts, keys in _batches(lines, filled):
        db.executemany(_INSERT_ACCOUNT, accounts)
        db.executemany(_INSERT_KEY, keys)
    db.executescript(_INDEXES)
    for kind, query in _DUPLICATES.items():
        for line, first in db.execute(query, (MAX_PROBLEMS,)):
            filled.fault(line, _DUPLICATE_WORDS[kind].format(first=first))
    db.commit()
    return filled


def _batches(
    lines: Iterable[Row], filled: Filled
) -> Iterator[tuple[list[tuple[int, str, bytes]], list[tuple[bytes, str, int]]]]:
    accounts: list[tuple[int, str, bytes]] = []
    keys: list[tuple[bytes, str, int]] = []
    for number, line in lines:
        if not line or line.isspace():
            continue
        try:
            account = read_account(line)
        except AccountLineError as error:
            filled.fault(number, str(error))
            continue
        accounts.append((number, account.account, line))
        keys.extend((bytes.fromhex(key.sha256), key.id, number) for key in account.keys)
        if len(accounts) >= _BATCH_LINES:
            filled.accounts += len(accounts)
            filled.keys += len(keys)
            yield accounts, keys
            accounts, keys = [], []
    filled.accounts += len(accounts)
    filled.keys += len(keys)
    yield accounts, keys
