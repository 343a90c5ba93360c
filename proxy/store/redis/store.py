"""The Redis store: the same answers as the memory store, for any number of replicas.

All charges of a slot are taken or none, atomically, by one script call. A standalone server takes
all slots of a plan in one call; on Redis Cluster they go out in one parallel wave, and if one
refuses, what the others took is released. A call may be repeated without counting twice, and what
a dead process held frees itself: see `scripts/common.lua`.

This class tells failures; what then counts is for the layer around it to say.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog

from proxy.model.plan import UNKNOWN, Correction, Plan, Reading, Readings
from proxy.store.errors import StoreUnavailable
from proxy.store.redis.lane import CONNECT_S
from proxy.store.redis.names import NS_PER_MS, Names
from proxy.store.redis.parents import seeds_of
from proxy.store.redis.route import Route, Word, now_s, raise_if_unavailable
from proxy.store.redis.scripts import HEARTBEAT, RENEW, SETTLE, TAKE
from proxy.store.redis.wire import (
    ASKS_PARENTS,
    TAKEN,
    Group,
    Seeds,
    groups_of,
    readings_of,
    take_args,
    used_args,
)

LEASE_S = 60.0
TIMEOUT_S = 0.015
LATE_MS = 600_000  # a take that reaches the server so late after its settlement does not count
CLOSE_S = 1.0
SWEEP_NS = 5_000_000  # so late at most are reservations ended that are over
SLOTS_HELD = 65_536

log = structlog.get_logger("gauger.store")

Undelivered = Callable[[Plan], None]


class Swept:
    """When what is over was last looked for in each slot, by the time of the plans taken."""

    def __init__(self) -> None:
        self._at_ns: dict[str, int] = {}

    def is_due(self, key: str, at_ns: int) -> bool:
        """Whether that is long enough ago, or not known; if so, it is done now."""
        before = self._at_ns.get(key)
        if before is not None and abs(at_ns - before) < SWEEP_NS:
            return False
        if len(self._at_ns) >= SLOTS_HELD:
            self._at_ns.clear()
        self._at_ns[key] = at_ns
        return True


class RedisStore:
    """Counters behind a route to servers.

    `key` makes the tokens in key names. `timeout_s` bounds each call, `lease_s` how long something
    stays reserved of which nothing more is heard. `now_ns` (Unix time) is the clock of settling and
    renewing; taking has the plan's time. `undelivered` is told a plan that could not be released
    (it was refused, given up or not answered): settle it later as one that was never forwarded.
    """

    def __init__(
        self,
        route: Route,
        key: bytes,
        *,
        prefix: str = "gauger",
        timeout_s: float = TIMEOUT_S,
        lease_s: float = LEASE_S,
        now_ns: Callable[[], int] = time.time_ns,
        undelivered: Undelivered | None = None,
    ) -> None:
        self._route = route
        self._names = Names(key, prefix)
        self._timeout_s = timeout_s
        self._lease_s = lease_s
        self._now_ns = now_ns
        self._undelivered = undelivered
        self._problem = ""
        self._swept = Swept()
        self._releases: set[asyncio.Task[None]] = set()

    async def take(self, plan: Plan) -> Readings:
        """Count all charges of the plan if every binding one fits, else none of them.

        Never raises `StoreUnavailable`: charges of a server that did not answer have readings that
        are not known. `taken` is True where all that answered took; then the caller settles the
        plan, as a whole. Otherwise what was taken, or may have been, is released here. `plan.id`
        must be the plan's own.
        """
        if not plan.charges:
            return Readings((), plan.take)
        groups = groups_of(plan, self._names, self._route.splits)
        try:
            replies = await self._take(plan, groups)
        except asyncio.CancelledError:
            self._release(plan, groups)
            raise
        return self._answer(plan, groups, replies)

    async def settle(
        self,
        plan: Plan,
        readings: Readings,
        corrections: tuple[Correction, ...],
        timeout_s: float | None = None,
    ) -> None:
        """End the reservation of a plan: apply corrections, give leases back.

        May be repeated. Raises StoreUnavailable where a server did not answer: settle again later.
        """
        if plan.take and plan.charges:
            groups = groups_of(plan, self._names, self._route.splits)
            used = [used_args(plan, readings, corrections, group) for group in groups]
            await self._settle(plan, groups, used, timeout_s or self._timeout_s)

    async def renew(self, plan: Plan, readings: Readings, floor: tuple[Correction, ...]) -> None:
        """Lease a plan that was taken anew; `floor` corrects it if nothing more is heard.

        May be repeated. Raises StoreUnavailable where a server did not answer.
        """
        if not plan.take or not plan.charges:
            return
        now_ms = self._now_ns() // NS_PER_MS
        ahead: list[Word] = [plan.id, now_ms, now_ms + int(self._lease_s * 1000)]
        groups = groups_of(plan, self._names, self._route.splits)
        deadline = now_s() + self._timeout_s
        calls = [
            self._route.script(
                RENEW, group.keys, [*ahead, *used_args(plan, readings, floor, group)], deadline
            )
            for group in groups
        ]
        for reply in await _wave(calls):
            raise_if_unavailable(reply)

    async def heartbeat(self, id_: str, now_ms: int, horizon_ms: int) -> int:
        """Write that a process lives; how many did within the horizon. Raises StoreUnavailable."""
        key, deadline = f"{self._names.everything}:replicas", now_s() + self._timeout_s
        alive = await self._route.script(HEARTBEAT, [key], [id_, now_ms, horizon_ms], deadline)
        raise_if_unavailable(alive)
        return int(alive)

    async def ping(self, timeout_s: float = CONNECT_S) -> None:
        """Raise StoreUnavailable unless all servers that hold keys answer."""
        await self._route.ping(now_s() + timeout_s)

    async def close(self) -> None:
        """Give what is being released a moment, and let go of all connections."""
        if self._releases:
            await asyncio.wait(self._releases, timeout=CLOSE_S)
        await self._route.close()
        await asyncio.gather(*self._releases, return_exceptions=True)

    async def _take(self, plan: Plan, groups: Sequence[Group]) -> list[Any]:
        deadline = now_s() + self._timeout_s
        replies = await _wave([self._ask(plan, group, None, deadline) for group in groups])
        asking = [i for i, reply in enumerate(replies) if reply == [ASKS_PARENTS]]
        if asking:
            again = await _wave([self._take_heir(plan, groups[i], deadline) for i in asking])
            for i, reply in zip(asking, again, strict=True):
                replies[i] = reply
        return replies

    def _ask(
        self, plan: Plan, group: Group, seeds: Seeds | None, deadline: float
    ) -> Coroutine[Any, Any, Any]:
        sweeps = not plan.take or self._swept.is_due(group.keys[0], plan.at_ns)
        args = take_args(plan, group, self._lease_s, sweeps, seeds)
        return self._route.script(TAKE, group.keys, args, deadline)

    async def _take_heir(self, plan: Plan, group: Group, deadline: float) -> Any:
        """Take a group with a count that is not there yet: it begins with its parents'."""
        seeds = await seeds_of(group.charges, self._names, self._route, plan.at_ns, deadline)
        if isinstance(seeds, StoreUnavailable):
            return StoreUnavailable(str(seeds))
        return await self._ask(plan, group, seeds, deadline)

    def _answer(self, plan: Plan, groups: Sequence[Group], replies: Sequence[Any]) -> Readings:
        readings: list[Reading] = [UNKNOWN] * len(plan.charges)
        taken, failures = True, []
        for group, reply in zip(groups, replies, strict=True):
            if isinstance(reply, StoreUnavailable):
                failures.append(reply)
                continue
            taken = taken and reply[0] == TAKEN
            read = readings_of(group, reply, plan.at_ns)
            for place, reading in zip(group.places, read, strict=True):
                readings[place] = reading
        self._tell(failures)
        taken = taken and len(failures) < len(groups)
        if plan.take and not taken:
            self._release(
                plan,
                [
                    group
                    for group, reply in zip(groups, replies, strict=True)
                    if _status(reply) == TAKEN or (_status(reply) is None and reply.sent)
                ],
            )
        return Readings(tuple(readings), taken, not failures)

    def _tell(self, failures: list[StoreUnavailable]) -> None:
        """Log why the store did not answer, once until it answers or there is another reason."""
        problem = str(failures[0]) if failures else ""
        if problem and problem != self._problem:
            log.warning("the shared store did not answer", problem=problem)
        self._problem = problem

    def _release(self, plan: Plan, groups: Sequence[Group]) -> None:
        """Give back beside the caller what was taken, or may have been."""
        if plan.take and groups:
            task = asyncio.get_running_loop().create_task(self._give_back(plan, groups))
            self._releases.add(task)
            task.add_done_callback(self._releases.discard)

    async def _give_back(self, plan: Plan, groups: Sequence[Group]) -> None:
        nothing = [[0] * len(group.charges) for group in groups]
        try:
            await self._settle(plan, groups, nothing, CONNECT_S)
        except StoreUnavailable:
            if self._undelivered is not None:
                self._undelivered(plan)

    async def _settle(
        self, plan: Plan, groups: Sequence[Group], used: Sequence[list[int]], timeout_s: float
    ) -> None:
        deadline = now_s() + timeout_s
        calls = [
            self._route.script(SETTLE, group.keys, [plan.id, LATE_MS, *amounts], deadline)
            for group, amounts in zip(groups, used, strict=True)
        ]
        for reply in await _wave(calls):
            raise_if_unavailable(reply)


async def _wave(calls: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """All of them at once; they answer failures as values."""
    if len(calls) == 1:
        return [await calls[0]]
    return list(await asyncio.gather(*calls))


def _status(reply: Any) -> int | None:
    """What a reply of `take` says; None where there is none."""
    return None if isinstance(reply, StoreUnavailable) else reply[0]
