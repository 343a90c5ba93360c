"""`gauger audit verify`: one log, or those of all workers of a gateway."""

from collections.abc import Callable
from pathlib import Path

from proxy.audit.errors import AuditError
from proxy.audit.verify import verify
from proxy.audit.workers import logs_in, missing_from

Advance = Callable[..., None]


def verified(directory: Path, advance: Advance) -> tuple[bool, list[str]]:
    """Whether every log in a directory is as it was written, and what to print about each.

    Raises AuditError where there is no log at all, and OSError where one cannot be read.
    """
    logs = logs_in(directory)
    lines: list[str] = []
    bad = 0
    for log in logs:
        well, told = _one(log, advance, alone=len(logs) == 1)
        bad += not well
        lines += told
    gone = missing_from(directory, logs)
    said = "NOT VERIFIED, it is missing: workers of higher numbers have logs"
    lines += [f"{log}: {said}" for log in gone]
    bad += len(gone)
    if len(logs) + len(gone) > 1:
        state = "verified" if not bad else "NOT VERIFIED"
        lines.append(f"{directory}: {state}, {len(logs) + len(gone)} logs, {bad} with faults")
    return not bad, lines


def _one(log: Path, advance: Advance, *, alone: bool) -> tuple[bool, list[str]]:
    try:
        result = verify(log, lambda done, total: advance(done, "" if alone else log.name, total))
    except AuditError as error:
        if alone:
            raise
        return False, [f"{log}: NOT VERIFIED, {error}"]
    state = "verified" if result.ok else "NOT VERIFIED"
    place = "" if alone else f"{log.name}/"
    return result.ok, [
        *(f"{place}{fault}" for fault in result.faults),
        *(f"warning: {place}{warning}" for warning in result.warnings),
        f"{log}: {state}, {result.entries:,} entries, {result.fault_count} faults",
        f"last seq {result.last_seq}, hash {result.last_hash}",
    ]
