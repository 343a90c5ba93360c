"""Load on two guarded stores whose true counts are known, for all ways of `on_unavailable` at once.

Each subject may have LIMIT requests in each second of the clock, and twice as many come, to either
process at random. An exchange was wrongly admitted where the true count had reached the limit, and
wrongly refused where it had not. A charge beside it, which binds nothing, counts all that was
admitted: after the run it must be what is true.
"""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from proxy.model.plan import NEVER_NS, Charge, Plan, Readings
from proxy.model.verdict import Mode, OnUnavailable, Unit
from proxy.store.guarded import GuardedStore

SUBJECTS = 5
LIMIT = 10  # requests in a second
OFFERED = 20
TICK_S = 0.005
LASTS_S = 0.02  # from the taking to the settlement of an exchange
NS_PER_S = 1_000_000_000


@dataclass(slots=True)
class Tally:
    """What became of the exchanges of one mode in one part of a run."""

    exchanges: int = 0
    admitted: int = 0
    wrongly_admitted: int = 0
    wrongly_refused: int = 0
    errors: int = 0
    waited_s: list[float] = field(default_factory=list)
    loop_late_s: float = 0.0  # the load's own timer, at worst

    def waited_ms(self, share: float) -> float:
        """A quantile of the time that asking the store took."""
        waited = sorted(self.waited_s)
        return 1000 * waited[min(len(waited) - 1, int(share * len(waited)))] if waited else 0.0


class Load:
    """Exchanges at a steady rate, whether or not earlier ones were answered."""

    def __init__(self, stores: list[GuardedStore], seed: int) -> None:
        self.part = "before"
        self.tallies: dict[tuple[str, OnUnavailable], Tally] = defaultdict(Tally)
        self._stores = stores
        self._draw = random.Random(seed)
        self._true: Counter[str] = Counter()
        self._ids = count()
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self, goes_on: Callable[[], bool]) -> None:
        """Send until told to stop, then wait for what is under way."""
        due_s = began_s = time.perf_counter()
        sent = 0
        while goes_on():
            due = int((due_s - began_s) * SUBJECTS * OFFERED)
            for _ in range(due - sent):
                for act in OnUnavailable:
                    task = asyncio.create_task(self._exchange(act))
                    self._under_way.add(task)
                    task.add_done_callback(self._under_way.discard)
            sent = due
            due_s += TICK_S
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            self._note_late(time.perf_counter() - due_s)
        await asyncio.gather(*self._under_way)

    def _note_late(self, late_s: float) -> None:
        for act in OnUnavailable:
            tally = self.tallies[self.part, act]
            tally.loop_late_s = max(tally.loop_late_s, late_s)

    def admitted(self, act: OnUnavailable) -> int:
        """How many were admitted in all parts."""
        return sum(tally.admitted for (_, one), tally in self.tallies.items() if one is act)

    async def _exchange(self, act: OnUnavailable) -> None:
        store = self._draw.choice(self._stores)
        limited = limit(act, self._draw.randrange(SUBJECTS), time.time_ns())
        plan = Plan(time.time_ns(), (limited, everything(act)), id=f"bench-{next(self._ids)}")
        tally = self.tallies[self.part, act]
        began_s = time.perf_counter()
        try:
            readings = await store.take(plan)
        except Exception:
            tally.errors += 1
            raise
        tally.waited_s.append(time.perf_counter() - began_s)
        self._judge(tally, limited, readings)
        if readings.taken:
            await asyncio.sleep(LASTS_S)
            store.settle(plan, readings, ())

    def _judge(self, tally: Tally, charge: Charge, readings: Readings) -> None:
        window = f"{charge.counter}@{charge.ends_ns}"
        room = self._true[window] < LIMIT
        tally.exchanges += 1
        tally.admitted += readings.taken
        tally.wrongly_admitted += readings.taken and not room
        tally.wrongly_refused += room and not readings.taken
        self._true[window] += readings.taken


def limit(act: OnUnavailable, subject: int, at_ns: int) -> Charge:
    """The limit of a subject in this second."""
    starts_ns = at_ns // NS_PER_S * NS_PER_S
    return Charge(
        rule="bench",
        counter=f"bench|requests|{act.value}-{subject}|1",
        unit=Unit.REQUESTS,
        amount=1,
        limit=LIMIT,
        window_s=1,
        mode=Mode.ENFORCE,
        binding=True,
        slot=f"{act.value}-{subject}",
        starts_ns=starts_ns,
        ends_ns=starts_ns + NS_PER_S,
        on_unavailable=act,
    )


def everything(act: OnUnavailable) -> Charge:
    """What counts all that was admitted in a mode, and refuses nothing."""
    return Charge(
        rule="bench",
        counter=f"bench|requests|{act.value}|0",
        unit=Unit.REQUESTS,
        amount=1,
        limit=10**12,
        window_s=0,
        mode=Mode.SHADOW,
        binding=False,
        slot=act.value,
        ends_ns=NEVER_NS,
        on_unavailable=act,
    )
