"""The policy files as they stood at one moment, and who says to have changed them.

Files are edited one after another and swapped as a whole (a Kubernetes ConfigMap swaps the link
`..data`). A reading counts only if nothing changed while it was taken, so that no set is half of
one state and half of another.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from proxy.policy.load import compile_texts, is_policy_file, read
from proxy.policy.problem import Problem, ProblemsError
from proxy.policy.rules import PolicySet

UNKNOWN = "unknown"
COMMITTER = ".committer"
COMMITTER_CHARACTERS = 200
TRIES = 5
PAUSE_S = 0.05

Read = Callable[[Path], tuple[list[tuple[str, bytes]], list[Problem]]]
Signature = tuple[tuple[str, int, int, int, int], ...]


class ChangingError(ProblemsError):
    """The files would not hold still: another reading will find them whole."""


@dataclass(frozen=True, slots=True)
class Named:
    """Who `.committer` says to have changed the files; `note` says why it is not taken, or "".

    `mark` tells one writing of the file from another: one that was there before a change was
    made says nothing about who made it.
    """

    committer: str = UNKNOWN
    note: str = ""
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """Files and faults of a directory at one moment."""

    texts: list[tuple[str, bytes]]
    problems: list[Problem]
    named: Named
    signature: Signature

    def compiled(self) -> PolicySet:
        """The set; ProblemsError names all faults of all files."""
        if not self.texts:
            raise ProblemsError(self.problems)
        return compile_texts(self.texts, self.problems)


def read_whole(
    directory: Path, read: Read = read, pause: Callable[[float], None] = time.sleep
) -> Reading:
    """Read the files when they hold still; ChangingError where they do not. Blocks meanwhile."""
    for _ in range(TRIES):
        before = signature(directory)
        found = _read(directory, read, before)
        if signature(directory) == before:
            return found
        pause(PAUSE_S)
    message = "the files change while they are read; they are read again when they hold still"
    raise ChangingError([Problem(str(directory), 0, 0, message)])


def signature(directory: Path) -> Signature:
    """What changes when a file does: also where a link, or the whole directory, is swapped."""
    return tuple(sorted(_stats(directory)))


def named_in(path: Path) -> Named:
    """What a `.committer` says: its first line, if it is printable and short."""
    try:
        if not path.is_file():
            return Named(note=f"{path}: not a regular file" if path.exists() else "")
        written_ns = path.stat().st_mtime_ns
        with path.open("rb") as file:
            raw = file.readline(4 * COMMITTER_CHARACTERS + 2)
        mark = hashlib.sha256(b"%d:%b" % (written_ns, raw)).hexdigest()
        line = raw.decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        return Named(note=f"{path}: cannot be read ({error})")
    if not line or not line.isprintable() or len(line) > COMMITTER_CHARACTERS:
        note = f"its first line must be 1 to {COMMITTER_CHARACTERS} printable characters"
        return Named(note=f"{path}: {note}", mark=mark)
    return Named(line, mark=mark)


def _read(directory: Path, read: Read, stats: Signature) -> Reading:
    named = named_in(directory / COMMITTER)
    try:
        texts, problems = read(directory)
    except ProblemsError as error:
        return Reading([], list(error.problems), named, stats)
    return Reading(texts, problems, named, stats)


def _stats(directory: Path) -> Iterator[tuple[str, int, int, int, int]]:
    """(name, device, inode, time of change, bytes) of each file that counts."""
    try:
        for path in directory.iterdir():
            if path.name == COMMITTER or is_policy_file(path):
                yield _stat(path)
    except OSError:  # it is being replaced, or gone: reading it will say
        yield "", 0, 0, 0, 0


def _stat(path: Path) -> tuple[str, int, int, int, int]:
    try:
        found = path.stat()
    except OSError:  # a link to nothing
        return path.name, 0, 0, 0, 0
    return path.name, found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
