"""An explanation as data: of one exchange every rule, every clause with its values, what decided.

Everything in it is plain values, in the words of the policy language, so that it can be written as
JSON as it is.
"""

from dataclasses import dataclass
from enum import StrEnum

from proxy.model.facts import FactValue


class Mark(StrEnum):
    """What is to be said of a condition here.

    WITHHELD: it reads a fact that was known then and cannot be read now, so that nobody can tell.
    """

    TRUE = "true"
    FALSE = "false"
    MISSING = "missing"
    FAILED = "failed"
    WITHHELD = "withheld"


Value = FactValue | None


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition, the facts that it reads with their values (None: not known), and why not."""

    text: str
    mark: Mark
    facts: tuple[tuple[str, Value], ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Counted:
    """One limit of a quota: what was counted before, what this exchange adds.

    Amounts of cost are in millionths. `before` is None where the store did not answer, `resets_at`
    (UTC) there and where nothing comes back by itself. `fits` says whether there is room, `granted`
    how much of the amount was given: less than all of it where the answer was clamped. Of a
    `share` above 1 one replica counted for itself, against the limit divided by it. `within` is the
    time of the limit in words, `learned` says what a limit follows that is learned.
    """

    unit: str
    before: int | None
    amount: int
    limit: int
    window_s: int
    resets_at: str | None
    fits: bool | None
    granted: int | None = None
    share: int = 1
    within: str = ""
    learned: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What a rule said, and in which mode. `delay_s` and `modifiers` as it wants them."""

    mode: str
    verdict: str
    why: str
    delay_s: float = 0.0
    modifiers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explained:
    """One rule. `place` is file:line; `rests` says why it does not work now, "" where it does.

    `lowered` says what lowers it to shadow here. `matches` is what the clauses come to,
    `own` its kind's own condition (a place, a count of accounts), `counted` the limits of a quota.
    `decided` says that the verdict, or a change of the exchange, is its doing.
    """

    id: str
    kind: str
    place: str
    description: str
    mode: str
    rests: str
    lowered: str
    clauses: tuple[Clause, ...]
    matches: Mark
    own: tuple[Clause, ...] = ()
    counted: tuple[Counted, ...] = ()
    said: tuple[Said, ...] = ()
    decided: bool = False

    @property
    def relevant(self) -> bool:
        """Whether it governs the exchange, or nobody can tell that it does not."""
        return self.matches is not Mark.FALSE or bool(self.said)


@dataclass(frozen=True, slots=True)
class ExplainedException:
    """One exception; `lowers` names the rules that are in shadow here because of it."""

    id: str
    place: str
    rules: tuple[str, ...]
    granted_by: str
    reason: str
    until: str
    rests: str
    clauses: tuple[Clause, ...]
    matches: Mark
    lowers: tuple[str, ...]
    said: str = ""

    @property
    def relevant(self) -> bool:
        """Whether it applies to the exchange, or nobody can tell that it does not."""
        return self.matches is not Mark.FALSE


@dataclass(frozen=True, slots=True)
class Told:
    """What a refused caller was told; `retry_at` (UTC) is when waiting helps."""

    status: int
    kind: str
    message: str
    retry_at: str | None
    should_retry: bool | None


@dataclass(frozen=True, slots=True)
class Decided:
    """What came of it. `by` names the rules whose doing it is, `why` is one sentence.

    `own_check` names the check of Gauger's own that refused, whatever rules said.
    """

    verdict: str
    by: tuple[str, ...]
    why: str
    told: Told | None = None
    by_cluster: bool = False
    delay_s: float = 0.0
    modifiers: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    own_check: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Of one exchange: what decided, every rule by kind and in the order in which it is heard.

    `asked` is False where one of Gauger's own checks refused before any rule was asked: there are
    no rules then. `at` is the time of the exchange (UTC), `facts` is all that is known of it.
    """

    at: str
    policy: str
    decided: Decided
    exceptions: tuple[ExplainedException, ...] = ()
    rules: tuple[Explained, ...] = ()
    asked: bool = True
    facts: tuple[tuple[str, Value], ...] = ()
