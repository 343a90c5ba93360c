"""The price table of a policy set: what a model's tokens cost at a time.

A model that no entry names, or whose name is not known, costs the most that any model does: a
budget must not be passed by a name that nobody thought of.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from proxy.model.plan import NEVER_NS
from proxy.model.price import Price

REMEMBERED = 1024  # models


@dataclass(frozen=True, slots=True)
class Entry:
    """Prices of the models that `names` accepts, in [from_ns, until_ns)."""

    names: Callable[[str], bool]
    price: Price
    from_ns: int = 0
    until_ns: int = NEVER_NS


@dataclass(frozen=True, slots=True)
class Prices:
    """All entries, in order: the first that names a model at a time counts."""

    entries: tuple[Entry, ...] = ()
    _found: dict[str | None, tuple[int, int, Price]] = field(
        default_factory=dict, init=False, repr=False, compare=False, hash=False
    )

    def named(self, model: str | None, at_ns: int) -> Price | None:
        """The price of a model that an entry names."""
        valid = (entry for entry in self.entries if entry.from_ns <= at_ns < entry.until_ns)
        return next((e.price for e in valid if model is not None and e.names(model)), None)

    def of(self, model: str | None, at_ns: int) -> Price:
        """The price of a model; of one that is not known the dearest there is."""
        found = self._found.get(model)
        if found is None or not found[0] <= at_ns < found[1]:
            found = (*self._span(at_ns), self._look_up(model, at_ns))
            if len(self._found) >= REMEMBERED:
                self._found.clear()  # names are the callers' own: they must not fill the memory
            self._found[model] = found
        return found[2]

    def _look_up(self, model: str | None, at_ns: int) -> Price:
        valid = [entry for entry in self.entries if entry.from_ns <= at_ns < entry.until_ns]
        named = self.named(model, at_ns)
        return named or _dearest([entry.price for entry in valid or self.entries])

    def _span(self, at_ns: int) -> tuple[int, int]:
        """The time around `at_ns` in which no entry begins or ends."""
        turns = [t for entry in self.entries for t in (entry.from_ns, entry.until_ns)]
        before = max((turn for turn in turns if turn <= at_ns), default=0)
        return before, min((turn for turn in turns if turn > at_ns), default=NEVER_NS)


def _dearest(prices: list[Price]) -> Price:
    if not prices:
        return Price()
    most = {name: max(getattr(price, name) for price in prices) for name in Price.__struct_fields__}
    return Price(**most)
