"""What the rules want from the store for one exchange, and what the store answered."""

from msgspec import Struct

from proxy.model.decision import RuleOutcome
from proxy.model.verdict import Cause, Durability, Mode, Unit


class Charge(Struct, frozen=True, gc=False):
    """One amount to be counted against one limit.

    `counter` is the identity of the count: (rule id, subject, algorithm, window), so an edited
    limit keeps its count. A binding charge decides admission; any other only counts, in the
    rule's `mode`. A `hidden` one rests on a fingerprint or cluster fact and shows in no answer.
    """

    rule: str
    counter: str
    unit: Unit
    amount: int
    limit: int
    window_s: int
    mode: Mode
    binding: bool  # mode is ENFORCE
    hidden: bool = False
    lowered: Cause | None = None

    def fits(self, before: int) -> bool:
        """Whether the limit has room for this charge after `before`; the one rule of admission.

        What uses nothing always fits, also where streams have run past the limit.
        """
        return self.amount == 0 or before + self.amount <= self.limit


class Lowered(Struct, frozen=True, gc=False):
    """A rule that governs an exchange and is in shadow for it, by what; `exception` is its id."""

    rule: str
    cause: Cause
    exception: str = ""


class Pending(Struct, frozen=True, gc=False):
    """A rule over readings that governs an exchange, and what lowers it to shadow."""

    rule: str
    lowered: Cause | None = None


class Plan(Struct, frozen=True, gc=False):
    """What the rules want from the store for one exchange, and what static rules already said.

    `take` is False when a static rule refused: the store only looks and counts nothing.
    `durability` is the strictest class of the rules whose match holds. `input_tokens` is the
    estimate that the charges rest on. `pending` are rules over readings, which the judge asks.
    """

    at_ns: int
    charges: tuple[Charge, ...] = ()
    outcomes: tuple[RuleOutcome, ...] = ()
    take: bool = True
    input_tokens: int = 0
    durability: Durability = Durability.BEFORE_ANSWER
    lowered: tuple[Lowered, ...] = ()
    pending: tuple[Pending, ...] = ()


class Reading(Struct, frozen=True, gc=False):
    """The count before this exchange, and when its window ends (Unix ns)."""

    before: int
    resets_at_ns: int


class Readings(Struct, frozen=True, gc=False):
    """The store's answer, one reading for each charge of the plan, in its order.

    `taken` says whether the charges were counted. A store that could not answer is not `available`,
    and gives no readings.
    """

    readings: tuple[Reading, ...] = ()
    taken: bool = False
    available: bool = True


class Correction(Struct, frozen=True, gc=False):
    """A change of one count after the true usage is known; negative gives back."""

    counter: str
    window_s: int
    taken_at_ns: int  # the time of the reservation: it names the window to correct
    delta: int
