"""`state_dir/disarmed.json`: which rules are disarmed, kept over a restart.

The file is always replaced as a whole. Writing it waits for the disk on a thread of its own.
"""

import asyncio
import threading
from pathlib import Path
from typing import Self

import msgspec
import structlog

from proxy.pipeline.fuses import Fuses
from proxy.policy.archive import write_whole
from proxy.policy.problem import Problem, ProblemsError
from proxy.policy.rules import PolicySet

VERSION = 1
RETRY_S = 1.0

log = structlog.get_logger("gauger.policies")


class DisarmedFile:
    """The file of what `fuses` hold. `unsaved` is why it does not hold the same, or None."""

    def __init__(self, path: Path, fuses: Fuses) -> None:
        self.fuses = fuses
        self.unsaved: str | None = None
        self._path = path
        self._turn = asyncio.Lock()
        self._disk = threading.Lock()
        self._changed = asyncio.Event()

    @classmethod
    def open(cls, path: Path, policy: PolicySet) -> Self:
        """The fuses of a set, disarmed as the file left them. ProblemsError for a damaged file.

        A gateway that started without it would let rules act again that an operator, or a fuse,
        had stopped for what they did; and it is never half written. So somebody has to look.
        """
        fuses = Fuses(policy)
        try:
            saved = msgspec.json.decode(path.read_bytes())
            if not isinstance(saved, dict) or saved.get("version") != VERSION:
                msg = f"expected a mapping with version {VERSION}"
                raise ValueError(msg)
            fuses.load(saved.get("rules"))
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            message = (
                f"cannot be read ({error}). It says which rules are disarmed: restore it, "
                "or remove it to start with every rule armed"
            )
            raise ProblemsError([Problem(str(path), 0, 0, message)]) from error
        return cls(path, fuses)

    def change(self) -> None:
        """Note that the fuses hold something else now: `save` and `keep` write it."""
        self._changed.set()

    async def keep(self) -> None:
        """Write each change that nobody saves himself, until cancelled."""
        while True:
            await self._changed.wait()
            if await self.save() is not None:
                await asyncio.sleep(RETRY_S)

    async def save(self) -> str | None:
        """Write what is not yet written; why that failed, or None."""
        async with self._turn:
            if not self._changed.is_set():
                return self.unsaved
            self._changed.clear()
            try:
                await asyncio.to_thread(self._write, self._encoded())
            except asyncio.CancelledError:  # whether it gets there is not known: once more
                self._changed.set()
                raise
            except OSError as error:
                self._failed(error)
            else:
                self.unsaved = None
            return self.unsaved

    def _failed(self, error: OSError) -> None:
        self._changed.set()
        if self.unsaved is None:
            log.error("disarmed rules not saved", problem=str(error))
        self.unsaved = f"{self._path}: {error.strerror or error}"

    def _encoded(self) -> bytes:
        """The file's content: for people too, who may have to look."""
        state = msgspec.json.encode({"version": VERSION, "rules": self.fuses.save()})
        return msgspec.json.format(state, indent=2) + b"\n"

    def _write(self, state: bytes) -> None:
        """On a thread, which goes on where its caller is cancelled: one after another."""
        with self._disk:
            write_whole(self._path, state)
