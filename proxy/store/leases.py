"""Exchanges under way, by counter: each holds a lease until it is given back."""

from proxy.model.plan import Charge, Reading

AGAIN_NS = 1_000_000_000  # when a slot may be free again nobody can tell: a client asks in a second


class Leases:
    """Leases by counter and reservation."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, int]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def read(self, charge: Charge, at_ns: int) -> Reading:
        """How many are held."""
        held = self._held.get(charge.counter)
        if held is None:
            before = max((self._of(parent) for parent in charge.inherits), default=0)
        else:
            before = sum(held.values())
        return Reading(before, at_ns + AGAIN_NS)

    def take(self, counter: str, reservation: str, amount: int) -> None:
        """Hold a lease."""
        self._held.setdefault(counter, {})[reservation] = amount

    def release(self, counter: str, reservation: str) -> None:
        """Give a lease back; one that is not held is left alone."""
        held = self._held.get(counter)
        if held is None:
            return
        held.pop(reservation, None)
        if not held:
            del self._held[counter]

    def _of(self, counter: str) -> int:
        return sum(self._held.get(counter, {}).values())
