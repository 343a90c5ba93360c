"""What the gateway asks of a store, whichever it is."""

from typing import Protocol

from proxy.model.plan import Correction, Plan, Readings

Status = dict[str, str | int | float | bool]


class Counters(Protocol):
    """Counters that a gateway shares with itself (embedded) or with others (Redis)."""

    @property
    def problem(self) -> str | None:
        """Why counts are not kept as they should be, for readiness; None where all is well."""
        ...

    async def take(self, plan: Plan) -> Readings:
        """Count all charges of the plan if every binding one fits, else none of them.

        Never raises, and waits no longer than the store's time-out: what could not be read is said
        to be unknown, or was counted locally, as each charge's `on_unavailable` says. Where
        the call is cancelled, what it may have taken is given back.
        """
        ...

    def settle(self, plan: Plan, readings: Readings, corrections: tuple[Correction, ...]) -> None:
        """End the reservation of a plan that was taken: apply corrections, give leases back.

        Never waits and never fails: what cannot be told now is told once the store is back.
        """
        ...

    def hold(self, plan: Plan, readings: Readings) -> None:
        """Keep what a plan took beyond its exchange, until it is settled; leases are given back.

        Like `settle`, and of a plan that was taken; it may be settled for a month afterwards.
        """
        ...

    def renew(self, plan: Plan, readings: Readings, floor: tuple[Correction, ...]) -> None:
        """Say that an exchange goes on; `floor` corrects its charges if nothing more is heard."""
        ...

    def counters(self) -> int:
        """How many counts are held here."""
        ...

    def status(self) -> Status:
        """The state in figures, for readiness and metrics."""
        ...

    async def keep(self) -> None:
        """Do what goes on beside exchanges, until cancelled."""
        ...

    async def close(self) -> None:
        """Tell what is still to be told, and let go."""
        ...
