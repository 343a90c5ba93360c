"""Redis: checks per second against a script that does nothing, through the same client.

Both are asked in turn, in the same run, by as many callers at once. On a busy machine rates tell
little; processor time of both sides for each call still tells what a check costs.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha1
from itertools import count

from msgspec.structs import replace

from bench.overhead.machine import cpu_s
from bench.quota.plans import plan_of
from proxy.model.plan import Plan
from proxy.model.verdict import Algorithm
from proxy.store.redis.connect import Reach, route
from proxy.store.redis.names import Names
from proxy.store.redis.route import Route
from proxy.store.redis.scripts import Script
from proxy.store.redis.store import RedisStore

KEY = b"a key of the benchmark".ljust(32, b".")
CALLERS = (1, 50, 200)
ACCOUNTS = 1_000
PATIENCE_S = 10.0
NOTHING = Script("return 0", sha1(b"return 0", usedforsecurity=False).hexdigest())

Figures = dict[str, float]
Act = Callable[[Plan], Awaitable[object]]


async def measure(
    reach: Reach, pids: Sequence[int], callers: int, each_s: float, rounds: int
) -> Figures:
    """Medians over rounds, of `take` and of the empty script (`bare_…`).

    Calls per second, and µs of processor time for each: of the servers, which are the processes
    `pids`, and of this one. `share` is the first rate as a share of the second.
    """
    way = route(reach)
    store = RedisStore(way, KEY, timeout_s=PATIENCE_S)
    acts = {"": store.take, "bare_": _bare(way, Names(KEY, "gauger"))}
    found: dict[str, list[float]] = {}
    try:
        await store.ping()
        await _figures(store.take, pids, callers, each_s)
        for _ in range(rounds):
            for name, act in acts.items():
                for key, figure in (await _figures(act, pids, callers, each_s)).items():
                    found.setdefault(name + key, []).append(figure)
    finally:
        await store.close()
    shares = [a / b for a, b in zip(found["rate"], found["bare_rate"], strict=True)]
    return {key: statistics.median(list_) for key, list_ in (found | {"share": shares}).items()}


def _bare(way: Route, names: Names) -> Act:
    """A call of the empty script with one key of the account's slot."""

    async def act(plan: Plan) -> object:
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        reply = await way.script(NOTHING, [names.charge(plan.charges[0])], [], deadline)
        assert reply == 0, reply
        return reply

    return act


async def _figures(act: Act, pids: Sequence[int], callers: int, for_s: float) -> Figures:
    """What calls of so many callers at once cost; the plans are made before the clock runs."""
    at_ns, numbers = time.time_ns(), count()
    plans = [plan_of(number, Algorithm.FIXED, at_ns) for number in range(ACCOUNTS)]
    loop = asyncio.get_running_loop()
    servers_s, own_s, begun_s = sum(map(cpu_s, pids)), time.process_time(), loop.time()
    done = 0

    async def caller() -> None:
        nonlocal done
        while loop.time() < begun_s + for_s:
            number = next(numbers)
            await act(replace(plans[number % ACCOUNTS], id=f"{at_ns}-{number}"))
            done += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    return {
        "rate": done / (loop.time() - begun_s),
        "server_us": (sum(map(cpu_s, pids)) - servers_s) * 1e6 / done,
        "client_us": (time.process_time() - own_s) * 1e6 / done,
    }
