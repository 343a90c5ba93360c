"""Batches: charged by what their lines ask when they are submitted, settled by their results.

An upload is counted while it passes, and its count remembered by the file's id. A submission is
charged by the count of the file that it names; what it took is held, by the id of the batch, until
its results pass: then it is charged what it used. Whoever never fetches them is charged in full.
"""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from proxy.audit.errors import AuditUnavailable
from proxy.audit.log import AuditLog
from proxy.gateway.logs import told
from proxy.model.batch import BatchCount, BatchState, BatchUsage, Sampler, UsedPart
from proxy.model.decision import Refusal
from proxy.model.exchange import BadRequest, Surface
from proxy.model.plan import Plan, Readings
from proxy.model.usage import Usage
from proxy.model.verdict import RefusalKind
from proxy.pipeline.batched import readable, submits
from proxy.pipeline.pipeline import Pipeline
from proxy.pipeline.records import settlement_record
from proxy.store.counters import Counters
from proxy.store.errors import StoreUnavailable
from proxy.store.remembered import Remembered
from proxy.wire.batch_lines import count_requests
from proxy.wire.batch_objects import batch_order, uploaded_file

UNKNOWN_FILE = "The input file is not known here: upload it through this API again."
FORGETFUL = "The service is not available. Try again shortly."

log = structlog.get_logger("gauger.batches")


class Held(Struct, frozen=True, gc=False):
    """What a batch took when it was submitted, until its results are seen."""

    plan: Plan
    readings: Readings


class Batches:
    """The batches of one gateway. `refuse_unknown`: a file that nobody counted is not submitted."""

    def __init__(
        self,
        remembered: Remembered,
        store: Counters,
        pipeline: Pipeline,
        audit: AuditLog,
        *,
        refuse_unknown: bool,
    ) -> None:
        self._remembered = remembered
        self._store = store
        self._pipeline = pipeline
        self._audit = audit
        self._refuse_unknown = refuse_unknown
        self._tasks: set[asyncio.Task[None]] = set()

    async def ordered(
        self, method: str, path: str, surface: Surface, body: bytes
    ) -> BatchCount | Refusal | None:
        """What a submission asks for; None for whatever else it is."""
        if not submits(method, path):
            return None
        if surface.name == "messages.batches":
            return readable(count_requests(body, self.sampler()))
        order = batch_order(body)
        if not isinstance(order, BadRequest):
            return await self._of_file(order.input_file_id)
        kind = RefusalKind.BAD_REQUEST
        return Refusal(kind, order.message, param=order.param, should_retry=False)

    def sampler(self) -> Sampler:
        """What fingerprints the lines of one batch."""
        return self._pipeline.batch_sample()

    async def _of_file(self, file: str) -> BatchCount | Refusal | None:
        await self._remembering()
        try:
            known = await self._remembered.get(f"file:{file}")
        except StoreUnavailable:
            return Refusal(RefusalKind.OVERLOADED, FORGETFUL)
        if known is not None:
            return readable(msgspec.json.decode(known, type=BatchCount))
        if not self._refuse_unknown:
            return None
        kind = RefusalKind.BAD_REQUEST
        return Refusal(kind, UNKNOWN_FILE, param="input_file_id", should_retry=False)

    async def batch_of(self, file: str) -> str | None:
        """The batch that a file holds results of, or None."""
        await self._remembering()
        try:
            batch = await self._remembered.get(f"output:{file}")
        except StoreUnavailable:
            return None
        return None if batch is None else batch.decode()

    async def _remembering(self) -> None:
        """Wait while what was seen a moment ago is being remembered."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)

    # What was seen, once an exchange has ended

    async def uploaded(self, count: BatchCount, answer: bytes) -> None:
        """Remember what the lines of a file ask for."""
        file = uploaded_file(answer)
        if file is not None:
            await self._remembered.put(f"file:{file.id}", msgspec.json.encode(count))

    async def submitted(self, state: BatchState, wanted: Plan, readings: Readings) -> None:
        """Hold what a batch took until its results are seen."""
        bare = replace(wanted, outcomes=(), lowered=(), pending=())
        held = msgspec.json.encode(Held(bare, readings))
        await self._remembered.put(f"batch:{state.id}", held)
        await self.seen((state,))

    async def seen(self, states: tuple[BatchState, ...]) -> None:
        """Take in where batches stand; one that ended without results used nothing.

        A list names a hundred: of those that hold nothing here nothing is written.
        """
        for state in states:
            if await self._remembered.get(f"batch:{state.id}") is None:
                continue
            file = _told_by(state)
            if file is not None and await self._remembered.get(f"output:{file}") is None:
                await self._remembered.put(f"output:{file}", state.id.encode())
            if state.ended and state.usage is not None:
                await self.used(state.id, _as_told(state.usage, state.succeeded))
            elif state.ended and state.status == "failed" and state.output_file_id is None:
                await self.used(state.id, BatchUsage())

    async def used(self, batch: str, usage: BatchUsage) -> None:
        """Charge a batch what it used; the first time that it is known."""
        if not usage.whole:
            return
        found = await self._remembered.take(f"batch:{batch}")
        if found is None:
            return
        held = msgspec.json.decode(found, type=Held)
        corrections = self._pipeline.settle_batch(held.plan, held.readings, usage)
        self._store.settle(held.plan, held.readings, corrections)
        record = settlement_record(held.plan, usage, corrections, time.time_ns())
        with suppress(AuditUnavailable):  # told by readiness and the metrics
            self._audit.append(record)

    def later(self, what: Coroutine[Any, Any, Any]) -> None:
        """Do what an exchange that has ended need not wait for."""
        task = asyncio.get_running_loop().create_task(_told(what))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Finish what is under way, and let go."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2.0)
        await self._remembered.close()


def _told_by(state: BatchState) -> str | None:
    """The file that tells what a batch used. The one of errors does only where there is no other:
    whoever fetches it first must not have the answers for nothing."""
    return state.output_file_id or (state.error_file_id if state.ended else None)


def _as_told(usage: Usage, answers: int) -> BatchUsage:
    return BatchUsage((UsedPart(None, answers, usage),), succeeded=answers)


async def _told(what: Coroutine[Any, Any, Any]) -> None:
    try:
        await what
    except Exception as error:  # the boundary: the exchange has ended already
        log.error("a batch could not be remembered; it stays charged in full", **told(error))
