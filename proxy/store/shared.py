"""What is asked of a store that several processes share, before anything guards it."""

from typing import Protocol

from proxy.model.plan import Correction, Plan, Readings


class Shared(Protocol):
    """Counters behind a network, which may be slow, gone, or may answer without our hearing it."""

    async def take(self, plan: Plan) -> Readings:
        """Count all charges of the plan if every binding one fits, else none of them.

        Charges that were not answered for in time have a reading that is not `known`: they may
        have been counted nevertheless, at any later moment. `taken` is about the others. What is
        not taken is given back as far as the store can; so no id may be asked for twice. Raises
        nothing but CancelledError.
        """
        ...

    async def settle(
        self, plan: Plan, readings: Readings, corrections: tuple[Correction, ...]
    ) -> None:
        """End a reservation, with corrections. A second time it changes nothing.

        What counts is what the reservation holds, not what the readings say: where there is none,
        nothing is given back, and a `take` of this id that comes later takes nothing.
        StoreUnavailable where that is not certain to be done.
        """
        ...

    async def renew(self, plan: Plan, readings: Readings, floor: tuple[Correction, ...]) -> None:
        """Keep a reservation; `floor` corrects it if nothing more is heard. StoreUnavailable."""
        ...

    async def heartbeat(self, id_: str, now_ms: int, horizon_ms: int) -> int:
        """Write that a process lives; how many did within the horizon. StoreUnavailable."""
        ...

    async def ping(self) -> None:
        """Connect where that is needed, and hear an answer. StoreUnavailable."""
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...
