"""What is remembered between exchanges, by name: what a file asks for, what a batch holds."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

KEPT_S = 31 * 86_400  # results of a batch can be fetched for about a month

_SCHEMA = """
CREATE TABLE IF NOT EXISTS remembered (name TEXT PRIMARY KEY, value BLOB, until_s INTEGER);
CREATE INDEX IF NOT EXISTS ending ON remembered (until_s);
"""


class Remembered(Protocol):
    """Values by name, for a month. What cannot be kept or found is told by StoreUnavailable."""

    async def put(self, name: str, value: bytes) -> None:
        """Remember a value, in place of the one before."""
        ...

    async def get(self, name: str) -> bytes | None:
        """The value, or None."""
        ...

    async def take(self, name: str) -> bytes | None:
        """The value, which is forgotten with it: of several that ask, one gets it."""
        ...

    async def close(self) -> None:
        """Let go."""
        ...


class OnDisk:
    """Remembered in a file, which the processes of one machine may share."""

    def __init__(self, path: Path, clock_s: Callable[[], float] = time.time) -> None:
        self._clock_s = clock_s
        self._lock = threading.Lock()
        path.touch(mode=0o600)
        self._file = sqlite3.connect(path, timeout=10, check_same_thread=False)
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.executescript(_SCHEMA)

    async def put(self, name: str, value: bytes) -> None:
        """Remember a value, in place of the one before."""
        await asyncio.to_thread(self._put, name, value)

    async def get(self, name: str) -> bytes | None:
        """The value, or None."""
        return await asyncio.to_thread(self._get, name)

    async def take(self, name: str) -> bytes | None:
        """The value, which is forgotten with it."""
        return await asyncio.to_thread(self._take, name)

    async def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def _put(self, name: str, value: bytes) -> None:
        now_s = int(self._clock_s())
        with self._lock, self._file:
            self._file.execute("DELETE FROM remembered WHERE until_s < ?", (now_s,))
            self._file.execute(
                "INSERT OR REPLACE INTO remembered VALUES (?, ?, ?)", (name, value, now_s + KEPT_S)
            )

    def _get(self, name: str) -> bytes | None:
        with self._lock:
            found = self._file.execute(
                "SELECT value FROM remembered WHERE name = ?", (name,)
            ).fetchone()
        return found[0] if found else None

    def _take(self, name: str) -> bytes | None:
        with self._lock, self._file:
            found = self._file.execute(
                "DELETE FROM remembered WHERE name = ? RETURNING value", (name,)
            ).fetchone()
        return found[0] if found else None
