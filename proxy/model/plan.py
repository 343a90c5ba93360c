"""What the rules want from the store for one exchange, and what the store answered."""

from collections.abc import Iterator

from msgspec import Struct

from proxy.model.decision import RuleOutcome
from proxy.model.price import Price
from proxy.model.verdict import Algorithm, Cause, Durability, Mode, OnUnavailable, Unit

NEVER_NS = 2**63 - 1
PER_MILLION = 1_000_000


class Charge(Struct, frozen=True, gc=False):
    """One amount to be counted against one limit.

    `counter` is the identity of the count: (rule id, unit, subject, algorithm and window), so an
    edited limit keeps its count. Charges of one `slot` are counted all or none, atomically. A
    binding charge decides admission; any other only counts, in the rule's `mode`. A `hidden` one
    rests on a fingerprint or cluster fact and shows in no answer.

    `amount` is what is reserved, `limit` what may be used: with GCRA the burst, and `rate` is what
    comes back in `window_s`. A fixed window lasts from `starts_ns` to before `ends_ns`. A count
    that is not there yet begins at the largest of those it `inherits`. A charge that takes less
    where less is left has a `least` below its amount. `base` is what it uses before any output,
    and `per_output` what a million output tokens (of each choice together) use besides.
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
    slot: str = ""
    algorithm: Algorithm = Algorithm.FIXED
    starts_ns: int = 0
    ends_ns: int = NEVER_NS
    rate: int = 0
    least: int = -1  # the amount, where it is negative
    inherits: tuple[str, ...] = ()
    on_unavailable: OnUnavailable = OnUnavailable.ALLOW
    base: int = 0
    per_output: int = 0
    price: Price | None = None
    hard: bool = False  # a stream that would pass the limit is ended

    def granted(self, before: int, share: int = 1) -> int | None:
        """How much of the amount there is room for after `before`; None where it is refused.

        The one rule of admission. What uses nothing always fits, also where streams have run past
        the limit. `share` divides the limit among replicas that count for themselves.
        """
        amount = self.amount
        if amount == 0:
            return 0
        left = (self.limit if share == 1 else self.limit // share) - before
        if amount <= left:
            return amount
        return left if 0 <= self.least <= left else None

    def fits(self, before: int, share: int = 1) -> bool:
        """Whether the limit has room for this charge after `before`."""
        return self.granted(before, share) is not None

    def taken(self, before: int, share: int = 1) -> int:
        """How much is counted once the charges are taken: one that does not bind counts in full."""
        return (self.granted(before, share) or 0) if self.binding else self.amount

    def output_for(self, granted: int) -> int:
        """The output tokens of each choice together that a granted amount has room for."""
        return max(0, granted - self.base) * PER_MILLION // self.per_output


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

    `id` names the reservation: the exchange, or one of its top-ups. `take` is False when a static
    rule refused: the store only looks and counts nothing. `durability` is the strictest class of
    the rules whose match holds. `input_tokens` is the estimate that the charges rest on,
    `output_tokens` the output that they reserve, `choices` how many answers share it, `requests`
    how many a batch holds. `pending` are rules over readings, which the judge asks.
    """

    at_ns: int
    charges: tuple[Charge, ...] = ()
    outcomes: tuple[RuleOutcome, ...] = ()
    take: bool = True
    input_tokens: int = 0
    durability: Durability = Durability.BEFORE_ANSWER
    lowered: tuple[Lowered, ...] = ()
    pending: tuple[Pending, ...] = ()
    id: str = ""
    output_tokens: int = 0
    choices: int = 1
    requests: int = 1


class Reading(Struct, frozen=True, gc=False):
    """The count before this exchange.

    `resets_at_ns` is when the whole limit is there again if nobody uses any more of it, and
    `fits_at_ns` when this charge would fit then (0: at the reset). A reading that is not `known`
    says that the store could not answer for this charge. With a `share` above 1 this process
    counted for itself, against the limit divided by it.
    """

    before: int
    resets_at_ns: int
    fits_at_ns: int = 0
    known: bool = True
    share: int = 1


UNKNOWN = Reading(0, 0, known=False)


class Readings(Struct, frozen=True, gc=False):
    """The store's answer, one reading for each charge of the plan, in its order.

    `taken` says whether the charges were counted. `available` is False where the store could not
    answer for all of them; where it could answer for none there may be no readings at all.
    """

    readings: tuple[Reading, ...] = ()
    taken: bool = False
    available: bool = True

    def of(self, plan: Plan) -> Iterator[tuple[Charge, Reading]]:
        """Each charge of the plan with its reading."""
        if self.readings:
            return zip(plan.charges, self.readings, strict=True)
        return ((charge, UNKNOWN) for charge in plan.charges)


class Correction(Struct, frozen=True, gc=False):
    """A change of one count after the true usage is known; negative gives back."""

    charge: Charge
    delta: int
