"""What the shared store could not answer for: decided here, and told to it when it is back.

Decisions are synchronous, hence atomic; whatever is to be sent goes into the outbox. An exchange
that the store did not answer for may have been counted nevertheless, at any later moment. So its
reservation is always given back, and what it holds is told under a name of its own.
"""

import asyncio
from collections.abc import Iterator

from msgspec.structs import replace

from proxy.model.plan import UNKNOWN, Charge, Plan, Reading, Readings
from proxy.model.verdict import OnUnavailable
from proxy.store.deferred import Deferred
from proxy.store.errors import StoreUnavailable
from proxy.store.held import Corrections, Held, held, released
from proxy.store.known import LastKnown
from proxy.store.local import LocalShare
from proxy.store.outbox import Outbox
from proxy.store.shared import Shared

AT_ONCE = 32  # exchanges that are adopted at once


class Outage:
    """Decisions without the shared store, and what follows from them."""

    def __init__(self, shared: Shared, outbox: Outbox, id_: str) -> None:
        self.local = 0  # exchanges let through of which something was counted here
        self.local_refused = 0  # exchanges that did not fit a share
        self.deferred = Deferred(id_)
        self.known = LastKnown()
        self.share = LocalShare(self.known)
        self._shared = shared
        self._outbox = outbox
        self._held: dict[str, Held] = {}
        self._telling = asyncio.Lock()

    def __len__(self) -> int:
        """How many exchanges are under way of which the shared store does not know everything."""
        return sum(one.adopted is None for one in self._held.values())

    def answered(self, plan: Plan, readings: Readings) -> None:
        """Remember an answer of the shared store."""
        self.known.read(plan, readings)
        if readings.taken:
            self.share.hold(plan)

    def take(self, plan: Plan, answer: Readings, share: int, *, asked: bool) -> Readings:
        """Decide what was not answered for: all charges or none, over everything."""
        if not self._held and not len(self.deferred):
            self.share.begin_anew()
        self.known.read(plan, answer)
        rest = tuple(charge for charge, reading in answer.of(plan) if not reading.known)
        mine = tuple(one for one in rest if one.on_unavailable is OnUnavailable.LOCAL)
        looked = self.share.look(plan, mine, share)
        decided = tuple(_decided(plan, answer, looked.readings))
        others_fit = len(rest) == len(plan.charges) or answer.taken
        taken = plan.take and others_fit and looked.fits and not any(map(_denies, rest))
        if taken:
            self.share.count(plan, mine, looked.readings)
            self.share.hold(plan)
            self._held[plan.id] = held(plan, answer, decided, share)
        if asked and plan.take:
            self._give_back(plan, answer, kept=taken)
        self.local += taken and bool(mine)
        self.local_refused += not looked.fits
        return Readings(decided, taken, available=False)

    def forget(self, plan: Plan) -> None:
        """Give back whatever the shared store took of a plan, or may yet take."""
        if plan.take:
            self._end(plan, Readings(), released(plan, Readings()))

    def adopt(self, id_: str, at_ns: int) -> None:
        """Tell the shared store what an exchange under way holds without its knowledge."""
        one = self._held.get(id_)
        if one is None or one.adopted is not None:
            return
        one.adopted = one.adoption(at_ns)
        if one.adopted.charges:
            self._outbox.put(_adoption(id_), lambda: self._adopt(one))

    def adopt_all(self, at_ns: int) -> list[Held]:
        """The same for all exchanges under way; those that were not adopted before."""
        found = [id_ for id_, one in self._held.items() if one.adopted is None]
        for id_ in found:
            self.adopt(id_, at_ns)
        return [self._held[id_] for id_ in found]

    async def tell(self, now_ns: int) -> bool:
        """Charge all that the shared store does not know of; whether all of it was heard.

        Exchanges under way are in the outbox as well, before whatever else is told of them; there
        the second time does nothing.
        """
        async with self._telling:
            while await self._tell_sums(now_ns):
                found = self.adopt_all(now_ns)
                if not found:
                    return True
                if not await self._tell_of(found):
                    break
        return False

    async def _tell_of(self, found: list[Held]) -> bool:
        for start in range(0, len(found), AT_ONCE):
            some = (self._adopt(one) for one in found[start : start + AT_ONCE])
            answers = await asyncio.gather(*some, return_exceptions=True)
            for answer in answers:
                if isinstance(answer, StoreUnavailable):
                    return False
                if isinstance(answer, BaseException):
                    raise answer
        return True

    async def _adopt(self, one: Held) -> None:
        """Once, although two may be at it: the outbox, and whoever tells everything."""
        async with one.sending:
            if one.adopted is None or one.read is not None or not one.adopted.charges:
                return
            one.attempts += 1
            attempt = replace(one.adopted, id=f"{one.id}+{one.attempts}")
            read = await self._tell(attempt)
            if read is None:
                raise StoreUnavailable("an exchange was not adopted", sent=True)
            one.adopted, one.read = attempt, read

    async def _tell_sums(self, now_ns: int) -> bool:
        while (batch := self.deferred.next_batch(now_ns)) is not None:
            read = await self._tell(batch.plan)
            if read is None:
                return False
            self.deferred.told(batch)
            self._end(batch.plan, read, batch.corrections(read))
        return True

    async def _tell(self, plan: Plan) -> Readings | None:
        """Take what binds nothing; None where that is not certain, and then it is given back."""
        heard = False
        try:
            read = await self._shared.take(plan)
            heard = read.available and read.taken
        finally:
            if not heard:
                self.forget(plan)
        return read if heard else None

    def settle(self, plan: Plan, readings: Readings, corrections: Corrections) -> None:
        """End a reservation, wherever its charges were counted."""
        self.share.release(plan)
        one = self._held.pop(plan.id, None)
        if one is None:
            self.known.correct(corrections)
            self._end(plan, readings, corrections)
            return
        theirs, own = one.split(corrections)
        if one.known[0].charges:
            self.known.correct(theirs)
            self._end(*one.known, theirs)
        self.share.correct(plan, own, one.share)
        if one.adopted is None:
            for charge, used in one.used(own):
                self.deferred.add(charge, used, plan.at_ns, self.known.full_ns(charge))
        elif one.adopted.charges:
            self._outbox.put(_adoption(plan.id), lambda: self._settle_adopted(one, own))

    def renew(self, plan: Plan, readings: Readings, floor: Corrections) -> None:
        """Say that an exchange goes on, as far as the shared store knows of it."""
        one = self._held.get(plan.id)
        if one is None:
            self._keep(plan, readings, floor)
            return
        theirs, own = one.split(floor)
        if one.known[0].charges:
            self._keep(*one.known, theirs)
        if one.adopted is not None and one.read is not None:
            self._keep(one.adopted, one.read, one.of_adopted(own))

    async def _settle_adopted(self, one: Held, own: Corrections) -> None:
        assert one.adopted is not None
        assert one.read is not None
        await self._shared.settle(one.adopted, one.read, one.of_adopted(own))

    def _give_back(self, plan: Plan, answer: Readings, *, kept: bool) -> None:
        """What may have been counted unheard; and unless it is kept, what was counted."""
        if not kept:
            self._end(plan, answer, released(plan, answer))
            return
        unheard = tuple(charge for charge, reading in answer.of(plan) if not reading.known)
        self.forget(_only(plan, unheard))

    def _end(self, plan: Plan, readings: Readings, corrections: Corrections) -> None:
        self._outbox.put(plan.id, lambda: self._shared.settle(plan, readings, corrections))

    def _keep(self, plan: Plan, readings: Readings, floor: Corrections) -> None:
        self._outbox.put(plan.id, lambda: self._shared.renew(plan, readings, floor), passing=True)


def _adoption(id_: str) -> str:
    """What the adoption of an exchange is called in the outbox."""
    return f"{id_}+"


def _decided(plan: Plan, answer: Readings, looked: tuple[Reading, ...]) -> Iterator[Reading]:
    """What the shared store read, else what was read here, else that it is not known."""
    own = iter(looked)
    for charge, reading in answer.of(plan):
        if reading.known:
            yield reading
        else:
            yield next(own) if charge.on_unavailable is OnUnavailable.LOCAL else UNKNOWN


def _denies(charge: Charge) -> bool:
    return charge.binding and charge.on_unavailable is OnUnavailable.DENY


def _only(plan: Plan, charges: tuple[Charge, ...]) -> Plan:
    return Plan(plan.at_ns, charges, id=plan.id)
