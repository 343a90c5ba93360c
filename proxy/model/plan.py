"""What the rules want from the store for one exchange, and what the store answered."""

from msgspec import Struct

from proxy.model.decision import RuleOutcome
from proxy.model.verdict import Durability, Unit


class Charge(Struct, frozen=True, gc=False):
    """One amount to be counted against one limit.

    `counter` is the identity of the count: (rule id, subject, algorithm, window), so an edited
    limit keeps its count. A binding charge decides admission; a shadow charge only counts.
    """

    rule: str
    counter: str
    unit: Unit
    amount: int
    limit: int
    window_s: int
    binding: bool

    def fits(self, before: int) -> bool:
        """Whether the limit has room for this charge after `before`; the one rule of admission.

        What uses nothing always fits, also where streams have run past the limit.
        """
        return self.amount == 0 or before + self.amount <= self.limit


class Plan(Struct, frozen=True, gc=False):
    """What the rules want from the store for one exchange, and what static rules already said.

    `take` is False when a static rule refused: the store only looks and counts nothing.
    `durability` is the strictest class of the rules whose match holds. `input_tokens` is the
    estimate that the charges rest on.
    """

    at_ns: int
    charges: tuple[Charge, ...] = ()
    outcomes: tuple[RuleOutcome, ...] = ()
    take: bool = True
    input_tokens: int = 0
    durability: Durability = Durability.BEFORE_ANSWER


class Reading(Struct, frozen=True, gc=False):
    """The count before this exchange, and when its window ends (Unix ns)."""

    before: int
    resets_at_ns: int


class Readings(Struct, frozen=True, gc=False):
    """The store's answer, one reading for each charge of the plan, in its order.

    `taken` says whether the charges were counted.
    """

    readings: tuple[Reading, ...] = ()
    taken: bool = False


class Correction(Struct, frozen=True, gc=False):
    """A change of one count after the true usage is known; negative gives back."""

    counter: str
    window_s: int
    taken_at_ns: int  # the time of the reservation: it names the window to correct
    delta: int
