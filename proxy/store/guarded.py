"""A shared store, guarded: what happens to exchanges while it does not answer, and afterwards.

- Nobody waits longer than the store's time-out, and once the breaker is open nobody waits at all.
- What could not be read is decided as each charge's `on_unavailable` says, all or none: unknown
  (the judge acts by the rule), or counted here against the share of the limit.
- Whatever the store may have counted without our hearing it is given back by its reservation; what
  was used meanwhile is charged when it is back: exchanges that have ended by sums, those under way
  one by one, before anybody asks the store again. So nothing is charged twice, and nothing is lost
  but what the bounds (100,000 counters, as many reservations) or an end of the process take.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from proxy.model.plan import Correction, Plan, Readings
from proxy.store.breaker import Breaker, Tolerance
from proxy.store.counters import Status
from proxy.store.outage import Outage
from proxy.store.outbox import AGAIN_S, Outbox
from proxy.store.replicas import Replicas
from proxy.store.shared import Shared
from proxy.store.watch import Watch

CLOSES_WITHIN_S = 1.5
LATE_S = 0.005  # a time-out that comes so much too late says that our own loop was late

log = structlog.get_logger("gauger.store")


class GuardedStore:
    """Counters over a shared store. `start` once, in the loop that it is used in.

    `timeout_s` is the time-out of the shared store itself; `again_s` how long after a failure it is
    told the same again. `clock_s` is a monotonic clock, `wall_ns` Unix time.
    """

    def __init__(
        self,
        shared: Shared,
        *,
        state_dir: Path | None,
        max_replicas: int,
        timeout_s: float = 0.015,
        tolerance: Tolerance | None = None,
        again_s: float = AGAIN_S,
        clock_s: Callable[[], float] = time.monotonic,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.breaker = Breaker(tolerance, clock_s())
        self.replicas = Replicas(state_dir, max_replicas)
        self.outbox = Outbox(again_s=again_s)
        self._id = secrets.token_hex(8)
        self.outage = Outage(shared, self.outbox, self._id)
        self.unanswered = 0  # takes that the store did not answer in full
        self.not_asked = 0  # takes while the breaker was open
        self.late = 0  # time-outs that were our own loop's
        self._shared = shared
        self._timeout_s = timeout_s
        self._clock_s = clock_s
        self._wall_ns = wall_ns
        self.watch = Watch(
            shared,
            self._id,
            self.breaker,
            self.replicas,
            timeout_s=timeout_s,
            clock_s=clock_s,
            wall_ns=wall_ns,
            tell=self.outage.tell,
            lost=self._opened,
            found=self._closed,
        )
        self._started = False

    async def start(self) -> None:
        """Find out how many processes there are, and begin to watch the store."""
        self._started = True
        self.outbox.start()
        await self.watch.start()

    async def take(self, plan: Plan) -> Readings:
        """Count all charges of the plan if every binding one fits, else none of them."""
        assert self._started
        if not plan.charges:
            return Readings((), plan.take)
        if self.breaker.open:
            self.not_asked += 1
            return self.outage.take(plan, Readings(), self.replicas.known, asked=False)
        began_s = self._clock_s()
        try:
            readings = await self._shared.take(plan)
        except asyncio.CancelledError:
            self.outage.forget(plan)
            raise
        if readings.available:
            self.breaker.succeeded(self._clock_s())
            self.outage.answered(plan, readings)
            return readings
        self.unanswered += 1
        self._weigh(readings, began_s)
        readings = self.outage.take(plan, readings, self.replicas.known, asked=True)
        if readings.taken:
            self.watch.tell_soon()
        return readings

    def settle(self, plan: Plan, readings: Readings, corrections: tuple[Correction, ...]) -> None:
        """End the reservation of a plan that was taken: apply corrections, give leases back."""
        if readings.taken and plan.charges:
            self.outage.settle(plan, readings, corrections)
            if len(self.outage.deferred) and not self.breaker.open:
                self.watch.tell_soon()

    def renew(self, plan: Plan, readings: Readings, floor: tuple[Correction, ...]) -> None:
        """Say that an exchange goes on; `floor` corrects its charges if nothing more is heard."""
        if readings.taken and plan.charges:
            self.outage.renew(plan, readings, floor)

    def hold(self, plan: Plan, readings: Readings) -> None:
        """Leave all of it counted once its lease, and those of its slots, are over."""
        self.renew(plan, readings, ())

    def counters(self) -> int:
        """How many counts are held here."""
        return self.outage.share.counters()

    async def close(self) -> None:
        """Tell what can still be told, say how much could not, and let go."""
        await self.watch.stop()
        untold = await self.outbox.close(CLOSES_WITHIN_S) + len(self.outage.deferred)
        if untold:
            log.warning(
                "the shared store was not told everything", reservations_and_counters=untold
            )
        await self._shared.close()

    @property
    def problem(self) -> str | None:
        """What readiness tells while the store does not answer, or None."""
        return "the shared store does not answer" if self.breaker.open else None

    async def keep(self) -> None:
        """Nothing: `start` began all that goes on."""

    def status(self) -> Status:
        """The state in figures, for readiness and metrics."""
        return {
            "state": "unavailable" if self.breaker.open else "answering",
            "for_s": round(self._clock_s() - self.breaker.since_s, 3),
            "opened": self.breaker.opened,
            "replicas": self.replicas.known,
            "unanswered": self.unanswered,
            "not_asked": self.not_asked,
            "late": self.late,
            "local": self.outage.local,
            "local_refused": self.outage.local_refused,
            "untold_reservations": len(self.outbox),
            "untold_exchanges": len(self.outage),
            "untold_counters": len(self.outage.deferred),
            "dropped": self.outbox.dropped + self.outage.deferred.dropped,
        }

    def _weigh(self, readings: Readings, began_s: float) -> None:
        """A part that did not answer is no reason to ask nobody; nor is a late loop of our own."""
        now_s = self._clock_s()
        if any(reading.known for reading in readings.readings):
            self.breaker.succeeded(now_s)
        elif now_s - began_s > self._timeout_s + LATE_S:
            self.late += 1
            self.watch.suspect()
        elif self.breaker.failed(now_s):
            self._opened()

    def _opened(self) -> None:
        self.outbox.hold()
        self.watch.wake()
        log.warning(
            "the shared store does not answer; rules act by on_unavailable",
            replicas=self.replicas.known,
        )

    def _closed(self, lasted_s: float) -> None:
        self.outbox.flow()
        self.outage.adopt_all(self._wall_ns())
        log.info("the shared store answers again", after_s=round(lasted_s, 3))
