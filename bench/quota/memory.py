"""The memory store: checks per second, bytes for each account, and the longest pause."""

import asyncio
import gc
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bench.quota.plans import AT_NS, S, plan_of
from proxy.model.plan import Correction, Plan, Readings
from proxy.model.verdict import Algorithm
from proxy.store.embedded import EmbeddedStore
from proxy.store.memory import MemoryStore
from proxy.store.tokens import Tokens

Figures = dict[str, float]
BATCH = 2_000
DAY_NS = 86_400 * S


def speed(algorithm: Algorithm, tries: int) -> Figures:
    """The best of many tries, in processor time: µs of a check, and of a settling."""
    store = MemoryStore()
    plans = [plan_of(number, algorithm) for number in range(BATCH)]
    corrections = [tuple(Correction(c, -1) for c in plan.charges) for plan in plans]
    taken, settled = [], []
    gc.collect()
    for _ in range(tries):
        taken.append(_each_us(store.take, plans))
        began_s = time.thread_time()
        for plan, changes in zip(plans, corrections, strict=True):
            store.correct(plan, changes)
        settled.append((time.thread_time() - began_s) / BATCH * 1e6)
    return {"take_us": min(taken), "settle_us": min(settled)}


def _each_us(act: Callable[[Plan], Readings], plans: Iterable[Plan]) -> float:
    began_s = time.thread_time()
    for plan in plans:
        act(plan)
    return (time.thread_time() - began_s) / BATCH * 1e6


async def written_behind(tries: int) -> Figures:
    """Processor time of an exchange (taken and settled) with and without a journal, in the loop.

    That of the journal has all that it does on the loop's thread and beside it.
    """
    with tempfile.TemporaryDirectory() as directory:
        kept = EmbeddedStore.open(Path(directory), Tokens(b"k" * 32))
        task = asyncio.create_task(kept.keep())
        with_us = [await _exchanges(kept) for _ in range(tries)]
        task.cancel()
        await kept.close()
    forgetful = EmbeddedStore()
    without_us = [await _exchanges(forgetful) for _ in range(tries)]
    return {"with_us": min(with_us), "without_us": min(without_us)}


async def _exchanges(store: EmbeddedStore) -> float:
    """µs of processor time for each of as many exchanges as a busy core serves in two seconds."""
    plans = [plan_of(number, Algorithm.FIXED) for number in range(BATCH)]
    gc.collect()
    began_s = time.process_time()
    for number, plan in enumerate(plans):
        readings = await store.take(plan)
        store.settle(plan, readings, tuple([Correction(c, -1) for c in plan.charges]))
        if number % 100 == 0:
            await asyncio.sleep(0.1)
    await asyncio.sleep(1)
    return (time.process_time() - began_s) / BATCH * 1e6


def filled(algorithm: Algorithm, accounts: int) -> Figures:
    """A store of so many accounts: bytes of each, and the longest single call.

    Calls are timed in processor time of the thread while the store fills, and while all its
    windows end, once by one, and the counts of days past are let go.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)  # as the gateway has it
    store, before = MemoryStore(), _resident_bytes()
    filling = _longest_ms(store, (plan_of(n, algorithm) for n in range(accounts)))
    size = (_resident_bytes() - before) / accounts
    later = (
        plan_of(number, algorithm, AT_NS + day * DAY_NS)
        for day in (2, 4, 6)
        for number in range(accounts // 50)
    )
    turning = _longest_ms(store, later)
    return {"bytes": size, "filling_ms": filling, "turning_ms": turning}


def _longest_ms(store: MemoryStore, plans: Iterable[Plan]) -> float:
    longest_s = 0.0
    for plan in plans:
        began_s = time.thread_time()
        store.take(plan)
        longest_s = max(longest_s, time.thread_time() - began_s)
    return longest_s * 1e3


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
