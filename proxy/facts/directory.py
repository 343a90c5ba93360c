"""Who calls: the account directory, looked up by credential, account id or key id.

A directory reads an SQLite index that another process built (see `build_directory`), so that a
million accounts open in well under a millisecond and cost the garbage collector nothing.
Credentials are hashed here and compared by their SHA-256 in constant time; the bare key is not
kept. Unknown keys are not cached: a flood of wrong keys cannot push the good ones out.

Whether an account may call at this moment (`status`, `created_at`) is for the caller to judge.
"""

import hmac
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Self
from urllib.parse import quote

from proxy.facts.account_file import UNREADABLE, numbered_lines
from proxy.facts.account_index import FORMAT, Row, fill
from proxy.facts.account_lines import AccountLineError, account_line, read_account
from proxy.model.account import Account, Caller

CACHED_CALLERS = 8_192
MAPPED_BYTES = 1 << 32
_BY_SHA256 = "SELECT json FROM accounts WHERE line = (SELECT line FROM keys WHERE sha256 = ?)"
_BY_KEY_ID = "SELECT json FROM accounts WHERE line = (SELECT line FROM keys WHERE id = ?)"
_BY_ACCOUNT = "SELECT json FROM accounts WHERE id = ?"


class DirectoryError(Exception):
    """Why a directory cannot be used. `problems` are lines of the form `file:LINE: what`."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Directory:
    """Accounts by credential, account id and key id.

    What was loaded is never changed; accounts that are added later go to a second database, in
    memory. Not for use by several threads at once.
    """

    def __init__(self, db: sqlite3.Connection, accounts: int) -> None:
        self._loaded = db
        self._accounts = accounts
        self._added: sqlite3.Connection | None = None
        self._forget()

    @classmethod
    def empty(cls) -> Self:
        """A directory without accounts."""
        return cls.from_lines(())

    @classmethod
    def from_lines(cls, lines: Iterable[str | bytes], *, name: str = "accounts.jsonl") -> Self:
        """A directory in memory from JSON lines; `name` stands in errors for the file.

        Raises DirectoryError naming every bad line (the first twenty).
        """
        texts = (line.encode() if isinstance(line, str) else line for line in lines)
        return cls._filled(enumerate(texts, 1), name)

    @classmethod
    def from_file(cls, path: Path | str) -> Self:
        """A directory in memory from a file, read here and now: for replay and for checks.

        A gateway must not wait for that: it opens an index. Raises DirectoryError.
        """
        try:
            with Path(path).open("rb") as file:
                return cls._filled(numbered_lines(file, Path(path)), str(path))
        except UNREADABLE as error:
            raise DirectoryError(f"{path}: cannot be read: {error}") from error

    @classmethod
    def _filled(cls, lines: Iterable[Row], name: str) -> Self:
        db = sqlite3.connect(":memory:", check_same_thread=False)
        filled = fill(db, lines)
        if filled.faults:
            db.close()
            raise DirectoryError(*filled.told(name))
        return cls(db, filled.accounts)

    @classmethod
    def open(cls, index: Path | str) -> Self:
        """The directory in an index that `build_index` wrote. Raises DirectoryError."""
        db = open_index(index)
        return cls(db, int(read_meta(db, index)["accounts"]))

    def by_credential(self, secret: str) -> Caller | None:
        """Whose key this is: the bare key as the caller sent it, or None where nobody's."""
        try:
            digest = hash_key(secret)
        except UnicodeEncodeError:  # no bytes on the wire give such a text
            return None
        return self._by_digest.get(digest, self._owner)

    def by_key_id(self, key_id: str) -> Caller | None:
        """The account and the key of this id, as recordings and trusted proxies name it."""
        return self._by_key_id.get(key_id, self._holder)

    def by_account(self, account_id: str) -> Caller | None:
        """The account of this id; the caller has no key then."""
        return self._by_account.get(account_id, self._named)

    def add(self, account: Mapping[str, object]) -> None:
        """Take in an account, given as its line decoded; one of the same id is replaced.

        Raises DirectoryError for an account that is not in order, or a key that is another's.
        """
        try:
            line = account_line(account)
            new = read_account(line)
        except AccountLineError as error:
            raise DirectoryError(f"new account: {error}") from None
        keys = [(bytes.fromhex(key.sha256), key.id) for key in new.keys]
        for digest, key_id in keys:
            for holder in (self._find(_BY_SHA256, digest), self._find(_BY_KEY_ID, key_id)):
                if holder and holder.account != new.account:
                    raise DirectoryError(
                        f'new account: key "{key_id}" is of account "{holder.account}" already'
                    )
        if self.by_account(new.account) is None:
            self._accounts += 1
        added = self._overlay()
        known = added.execute("SELECT line FROM accounts WHERE id = ?", (new.account,)).fetchall()
        added.executemany("DELETE FROM keys WHERE line = ?", known)
        added.executemany("DELETE FROM accounts WHERE line = ?", known)
        insert = "INSERT INTO accounts(id, json) VALUES (?, ?)"
        row = added.execute(insert, (new.account, line)).lastrowid
        added.executemany("INSERT INTO keys VALUES (?, ?, ?)", [(*key, row) for key in keys])
        self._forget()

    def close(self) -> None:
        """Let go of the index; look-ups are an error from then on."""
        self._loaded.close()
        if self._added is not None:
            self._added.close()

    def __len__(self) -> int:
        return self._accounts

    def _forget(self) -> None:
        self._by_digest = _Recent()
        self._by_key_id = _Recent()
        self._by_account = _Recent()

    def _overlay(self) -> sqlite3.Connection:
        if self._added is None:
            self._added = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
            fill(self._added, ())
        return self._added

    def _find(self, query: str, value: str | bytes) -> Account | None:
        if self._added is None:
            return _row(self._loaded, query, value)
        added = _row(self._added, query, value)
        if added is not None:
            return added
        loaded = _row(self._loaded, query, value)
        if loaded and _row(self._added, _BY_ACCOUNT, loaded.account):
            return None  # it was replaced, and what was looked for is not its own any more
        return loaded

    def _owner(self, digest: str) -> Caller | None:
        account = self._find(_BY_SHA256, bytes.fromhex(digest))
        if account is None:
            return None
        key = next((k for k in account.keys if hmac.compare_digest(k.sha256, digest)), None)
        return Caller(account, key) if key else None

    def _holder(self, key_id: str) -> Caller | None:
        account = self._find(_BY_KEY_ID, key_id)
        if account is None:
            return None
        key = next((k for k in account.keys if k.id == key_id), None)
        return Caller(account, key) if key else None

    def _named(self, account_id: str) -> Caller | None:
        account = self._find(_BY_ACCOUNT, account_id)
        return Caller(account, None) if account else None


class _Recent:
    """The callers looked up last; None is looked up again each time."""

    def __init__(self) -> None:
        self._callers: OrderedDict[str, Caller] = OrderedDict()

    def get(self, name: str, look: Callable[[str], Caller | None]) -> Caller | None:
        caller = self._callers.get(name)
        if caller is not None:
            self._callers.move_to_end(name)
            return caller
        caller = look(name)
        if caller is not None:
            self._callers[name] = caller
            if len(self._callers) > CACHED_CALLERS:
                self._callers.popitem(last=False)
        return caller


def hash_key(secret: str) -> str:
    """The SHA-256 of a bare key in hex, as the directory's lines have it.

    Raises UnicodeEncodeError for a text that no bytes decode to.
    """
    return sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _row(db: sqlite3.Connection, query: str, value: str | bytes) -> Account | None:
    try:
        row = db.execute(query, (value,)).fetchone()
        return read_account(row[0]) if row else None
    except UnicodeEncodeError:  # an id with a lone surrogate is in no file
        return None
    except (sqlite3.DatabaseError, AccountLineError) as error:
        raise DirectoryError(f"the account index cannot be read: {error}") from error


def open_index(index: Path | str) -> sqlite3.Connection:
    """A read-only connection to a finished index. Raises DirectoryError.

    An index is replaced by renaming and never changed, so SQLite need not watch or lock it.
    """
    address = f"file:{quote(str(Path(index).absolute()))}?mode=ro&immutable=1"
    try:
        db = sqlite3.connect(address, uri=True, check_same_thread=False)
        db.execute(f"PRAGMA mmap_size = {MAPPED_BYTES}")  # the pages are shared and reclaimable
    except sqlite3.Error as error:
        raise DirectoryError(f"{index}: cannot open the account index: {error}") from error
    return db


def read_meta(db: sqlite3.Connection, index: Path | str) -> dict[str, str]:
    """What the index says of itself. Raises DirectoryError for anything but our own format."""
    try:
        meta = dict(db.execute("SELECT name, value FROM meta").fetchall())
    except sqlite3.Error as error:
        db.close()
        raise DirectoryError(f"{index}: not a readable account index: {error}") from error
    if meta.get("format") != FORMAT:
        db.close()
        raise DirectoryError(f"{index}: an account index of another version; build it again")
    return meta
