"""The counts of one process: opened from the state directory, and made good from the audit log."""

from pathlib import Path

import structlog

from proxy.audit.errors import AuditDamaged
from proxy.audit.format import first_seq_of, segments
from proxy.audit.log import AuditLog
from proxy.audit.read import entries
from proxy.engine.settle import so_far
from proxy.model.usage import Outcome
from proxy.pipeline.recount import TYPES, recount
from proxy.settings.secrets import Keys
from proxy.store.embedded import EmbeddedStore
from proxy.store.journal import Left
from proxy.store.tokens import Tokens

DIRECTORY = "counts"  # in the state directory
JUST_SENT = Outcome(0, complete=False, usage=None)

log = structlog.get_logger("gauger.store")


def open_counts(state: Path, keys: Keys, audit: AuditLog, directory: Path) -> EmbeddedStore:
    """The embedded store with what it held when the process before ended. Blocks.

    `directory` is that of the audit log.
    """
    log_id = next((entry.id for entry in entries(directory, types={"log"})), "")

    def refill(left: Left) -> None:
        _refill(left, directory, log_id)

    return EmbeddedStore.open(
        state / DIRECTORY,
        Tokens(keys.fingerprint),
        log_id=log_id,
        position=lambda: audit.position,
        refill=refill,
        floor=lambda plan, readings: so_far(plan, readings, JUST_SENT),
    )


def _refill(left: Left, directory: Path, log_id: str) -> None:
    """Add what the audit log tells of the time after the counts were last written."""
    after = left.position
    if left.damage and not left.log:
        after = _latest(directory)
        log.warning("all counts were damaged; reading the end of the audit log", after=after)
    elif left.log != log_id:
        if left.log:
            log.warning("the audit log cannot tell what was counted last: it is another log")
        return
    told = 0
    try:
        told = recount(left.restored, entries(directory, types=TYPES, after=after))
    except (AuditDamaged, ValueError, KeyError, IndexError, TypeError, OSError) as error:
        log.error("counts could not all be read from the audit log", problem=str(error))
    if told or len(left.restored):
        log.info("counts restored", counters=len(left.restored), from_audit_records=told)


def _latest(directory: Path) -> int:
    """The position before the last two segments.

    A decision says what was counted before it, so that fixed windows are right again for
    everybody who is in them, however much there is before.
    """
    latest = segments(directory)[-2:]
    return first_seq_of(latest[0]) - 1 if latest else 0
