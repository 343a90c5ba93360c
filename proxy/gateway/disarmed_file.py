"""`state_dir/disarmed.json`: which rules are disarmed, kept over a restart.

All workers of a machine share the file, and each takes up what the others changed. Invariant: a
change is laid over what the file holds by then, never over what was once read, so that no writer
undoes another's change of another rule; of the same rule the last change counts. The file is always
replaced as a whole. Reading and writing it waits for the disk on a thread of its own.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self, cast

import msgspec
import structlog

from proxy.model.record import Json
from proxy.pipeline.fuses import Change, Fuses, disarmed_in
from proxy.policy.alone import alone
from proxy.policy.archive import write_whole
from proxy.policy.problem import Problem, ProblemsError
from proxy.policy.rules import PolicySet

VERSION = 1
RETRY_S = 1.0
LOOK_EVERY_S = 0.25

Rules = dict[str, Json]  # what is disarmed, as `Fuses.save` gives it
Signature = tuple[int, ...]

log = structlog.get_logger("gauger.policies")


class DisarmedFile:
    """The file of what `fuses` hold. `unsaved` is why it does not hold the same, or None.

    `took` is called with what others changed, once the fuses hold it.
    """

    def __init__(self, path: Path, fuses: Fuses, seen: Signature) -> None:
        self.fuses = fuses
        self.unsaved: str | None = None
        self.took: Callable[[tuple[Change, ...]], None] = lambda _: None
        self._path = path
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._known: Rules = fuses.save()  # what the file held when it was read or written last
        self._seen = seen

    @classmethod
    def open(cls, path: Path, policy: PolicySet) -> Self:
        """The fuses of a set, disarmed as the file left them. ProblemsError for a damaged file.

        A gateway that started without it would let rules act again that an operator, or a fuse,
        had stopped for what they did; and it is never half written. So somebody has to look.
        """
        fuses, seen = Fuses(policy), _signature(path)  # that of before it is read
        try:
            fuses.load(_read(path))
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            message = (
                f"cannot be read ({error}). It says which rules are disarmed: restore it, "
                "or remove it to start with every rule armed"
            )
            raise ProblemsError([Problem(str(path), 0, 0, message)]) from error
        return cls(path, fuses, seen)

    def change(self) -> None:
        """Note that the fuses hold something else now: `save` and `keep` write it."""
        self._changed.set()

    async def keep(self) -> None:
        """Write each change that nobody saves himself, until cancelled."""
        while True:
            await self._changed.wait()
            if await self.save() is not None:
                await asyncio.sleep(RETRY_S)

    async def watch(self) -> None:
        """Take up what others change, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Take up what others have changed since the file was read or written last.

        What cannot be read changes nothing: the next change here replaces it as a whole.
        """
        async with self._turn:
            seen = _signature(self._path)
            if seen == self._seen:
                return
            self._seen = seen
            try:
                self._take_up(self._known, await asyncio.to_thread(_read, self._path))
            except FileNotFoundError:
                log.error("disarmed.json is gone: what it held still counts")
            except (OSError, ValueError) as error:
                log.error("disarmed.json cannot be read: what it held counts", problem=str(error))

    async def save(self) -> str | None:
        """Write what is not yet written; why that failed, or None."""
        async with self._turn:
            if not self._changed.is_set():
                return self.unsaved
            self._changed.clear()
            known, held = self._known, self.fuses.save()
            try:
                there, self._seen = await asyncio.to_thread(self._write, known, held)
            except asyncio.CancelledError:  # whether it gets there is not known: once more
                self._changed.set()
                raise
            except OSError as error:
                self._failed(error)
            else:
                self.unsaved = None
                self._take_up(held, there)
            return self.unsaved

    def _take_up(self, known: Rules, there: Rules) -> None:
        """Have the fuses hold what the file holds, with what changed here since it was `known`."""
        changes = self.fuses.load(laid_over(there, known, self.fuses.save()))
        self._known = there
        if changes:
            self.took(changes)

    def _failed(self, error: OSError) -> None:
        self._changed.set()
        if self.unsaved is None:
            log.error("disarmed rules not saved", problem=str(error))
        self.unsaved = f"{self._path}: {error.strerror or error}"

    def _write(self, known: Rules, held: Rules) -> tuple[Rules, Signature]:
        """On a thread, which goes on where its caller is cancelled; what the file holds then.

        A damaged file is replaced by what is held here.
        """
        with alone(self._path.parent):
            try:
                there = _read(self._path)
            except (OSError, ValueError):
                there = known
            there = laid_over(there, known, held)
            write_whole(self._path, _encoded(there))
            return there, _signature(self._path)


def laid_over(there: Mapping[str, Json], known: Rules, held: Rules) -> Rules:
    """What somebody changed (from `known` to `held`) laid over what others left."""
    result = dict(there)
    for rule in known.keys() | held.keys():
        if known.get(rule) == held.get(rule):
            continue
        if rule in held:
            result[rule] = held[rule]
        else:
            result.pop(rule, None)
    return result


def _read(path: Path) -> Rules:
    """The file's rules, checked. OSError, or ValueError for what is no such file."""
    saved = msgspec.json.decode(path.read_bytes())
    if not isinstance(saved, dict) or saved.get("version") != VERSION:
        msg = f"expected a mapping with version {VERSION}"
        raise ValueError(msg)
    disarmed_in(saved.get("rules"))
    return cast("Rules", saved["rules"])


def _encoded(rules: Rules) -> bytes:
    """The file's content: for people too, who may have to look."""
    state = msgspec.json.encode({"version": VERSION, "rules": dict(sorted(rules.items()))})
    return msgspec.json.format(state, indent=2) + b"\n"


def _signature(path: Path) -> Signature:
    """What changes when the file is replaced; empty where there is none."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_ino, found.st_mtime_ns, found.st_size)
