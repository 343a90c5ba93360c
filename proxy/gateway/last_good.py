"""The policy set that a process starts with: that of the files, or else the last good one.

A fault in the files must not keep a gateway from starting that served yesterday: an unplanned
restart would turn a typing error into an outage. What is served then is exactly what was in force
last, or nothing: an archived set whose digest is not its name is refused.
"""

from dataclasses import dataclass
from pathlib import Path

import structlog
from msgspec import structs

from proxy.gateway.policy_files import UNKNOWN, ChangingError, Named, Reading, read_whole
from proxy.policy.archive import Archive, Current
from proxy.policy.load import compile_texts
from proxy.policy.problem import Problem, ProblemsError
from proxy.policy.rules import PolicySet

STALE = ".committer was there before this change: a deployment writes it anew with the files"

log = structlog.get_logger("gauger.policies")


@dataclass(frozen=True, slots=True)
class Begun:
    """A set to start with, and the files as they are; `fault` is why the set is not theirs."""

    policy: PolicySet
    current: Current
    reading: Reading
    fault: str | None = None


def begin(directory: Path, archive: Archive, at_ns: int) -> Begun:
    """The set of the files, or else the last good one. Blocks meanwhile.

    ProblemsError where there is neither: it names the faults of the files, and of the archive.
    """
    try:
        reading = read_whole(directory)
    except ChangingError as error:
        return _last_good(archive, Reading([], [], Named(), ()), error)
    try:
        policy = reading.compiled()
    except ProblemsError as error:
        return _last_good(archive, reading, error)
    before = _noted(archive)
    if before is not None and before.digest == policy.digest:
        return Begun(policy, seen(before, reading), reading)
    known_mark = before.mark if before else ""
    return Begun(policy, current_of(directory, reading, policy, known_mark, at_ns), reading)


def current_of(
    directory: Path, reading: Reading, policy: PolicySet, known_mark: str, at_ns: int
) -> Current:
    """What is to be noted of a set that comes into force.

    A `.committer` that was there before the change, with the mark that is known, says nothing
    about who made it.
    """
    return Current(
        digest=policy.digest,
        committer=_whose(reading.named, known_mark),
        since_ns=at_ns,
        mark=reading.named.mark,
        directory=str(directory),
        files=tuple(Path(name).name for name, _ in reading.texts),
    )


def seen(current: Current, reading: Reading) -> Current:
    """The same, with the `.committer` that was read beside it: it names nobody's later change."""
    return structs.replace(current, mark=reading.named.mark or current.mark)


def _whose(named: Named, known_mark: str) -> str:
    if named.note:
        log.warning("the committer of the policies is not known", problem=named.note)
    if named.committer != UNKNOWN and named.mark == known_mark:
        log.warning("the committer of the policies is not known", problem=STALE)
        return UNKNOWN
    return named.committer


def _noted(archive: Archive) -> Current | None:
    """What the archive says was in force; damage is told, and does not matter to good files."""
    try:
        return archive.current()
    except (OSError, ValueError) as error:
        log.error("the note of the last good policies is not usable", problem=str(error))
        return None


def _last_good(archive: Archive, reading: Reading, faults: ProblemsError) -> Begun:
    try:
        current = archive.current()
        if current is None:
            raise faults
        policy = compile_texts(archive.read(current.digest))
    except (OSError, ValueError, ProblemsError) as error:
        if error is faults:
            raise
        message = f"the last good policies cannot be served instead: {error}"
        raise ProblemsError([*faults.problems, Problem("archive", 0, 0, message)]) from error
    return Begun(policy, seen(current, reading), reading, str(faults))
