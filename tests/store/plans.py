"""Plans and stores for the tests of both stores."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from proxy.model.plan import NEVER_NS, Charge, Correction, Plan, Readings
from proxy.model.verdict import Algorithm, Mode, Unit
from proxy.store.memory import MemoryStore
from proxy.store.redis.connect import Reach, route
from proxy.store.redis.store import RedisStore

S = 1_000_000_000
KEY = b"a key of the tests".ljust(32, b".")
T0_S = 1_800_000_000  # on the minute


def charge(counter: str = "c", amount: int = 1, limit: int = 3, **more: Any) -> Charge:
    """A charge of one minute from T0_S, unless it is told otherwise."""
    fields: dict[str, Any] = {
        "window_s": 60,
        "mode": Mode.ENFORCE,
        "binding": True,
        "slot": "account.id=a",
        "starts_ns": T0_S * S,
        "ends_ns": (T0_S + 60) * S,
    }
    return Charge("r", counter, Unit.TOKENS, amount, limit, **(fields | more))


def lifetime(counter: str = "c", amount: int = 1, limit: int = 3, **more: Any) -> Charge:
    return charge(counter, amount, limit, starts_ns=0, ends_ns=NEVER_NS, **more)


def rolling(counter: str = "c", amount: int = 1, limit: int = 3, **more: Any) -> Charge:
    return charge(
        counter, amount, limit, algorithm=Algorithm.ROLLING, starts_ns=0, ends_ns=0, **more
    )


def bucket(counter: str = "c", amount: int = 1, limit: int = 3, **more: Any) -> Charge:
    return charge(
        counter,
        amount,
        limit,
        **({"algorithm": Algorithm.GCRA, "starts_ns": 0, "ends_ns": 0, "rate": 6} | more),
    )


def lease(counter: str = "c", limit: int = 3, **more: Any) -> Charge:
    return charge(
        counter,
        1,
        limit,
        algorithm=Algorithm.CONCURRENT,
        starts_ns=0,
        ends_ns=0,
        window_s=0,
        **more,
    )


_ids = iter(range(10**9))


def plan(*charges: Charge, at_s: float = 0, **more: Any) -> Plan:
    """A plan of its own id, so many seconds after T0_S."""
    fields = {"id": f"x{next(_ids)}"} | more
    return Plan(at_ns=T0_S * S + int(at_s * S), charges=charges, **fields)


class Memory:
    """The memory store, asked as the Redis store is."""

    def __init__(self) -> None:
        self._memory = MemoryStore()

    async def take(self, wanted: Plan) -> Readings:
        return self._memory.take(wanted)

    async def settle(
        self, wanted: Plan, readings: Readings, corrections: tuple[Correction, ...]
    ) -> None:
        self._memory.correct(wanted, corrections)


@asynccontextmanager
async def redis_store(reach: Reach, **more: Any):
    """A Redis store that is connected; patient, because the machines of tests are busy."""
    settings = {"timeout_s": 5.0, "now_ns": lambda: T0_S * S} | more
    store = RedisStore(route(reach), KEY, **settings)
    try:
        await store.ping()
        yield store
    finally:
        await store.close()


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds that is done beside the caller; fail after ten seconds."""
    for _ in range(500):
        if await holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never came to hold")
