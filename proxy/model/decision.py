"""What was decided about an exchange, and why."""

from dataclasses import dataclass

from proxy.model.exchange import Headers
from proxy.model.verdict import Durability, Mode, RefusalKind, RuleKind, Unit, Verdict


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """What one rule said. `why` is for the record and the operator, never for the caller."""

    rule: str
    kind: RuleKind
    mode: Mode
    verdict: Verdict
    why: str


@dataclass(frozen=True, slots=True)
class LimitState:
    """One published limit of the account after this exchange, as answers may show it.

    `resets_at_ns` is Unix nanoseconds. Only the account's own enforced quotas appear here:
    limits by cluster or fingerprint show in no answer.
    """

    rule: str
    unit: Unit
    limit: int
    remaining: int
    window_s: int
    resets_at_ns: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that Gauger gives itself, before it is put in a dialect.

    `limit` is the limit that binds (or that the answer imitates) for RATE_LIMIT; `retry_at_ns`
    is when waiting helps; `should_retry` False tells SDKs not to try again by themselves.
    """

    kind: RefusalKind
    message: str
    limit: LimitState | None = None
    retry_at_ns: int | None = None
    should_retry: bool | None = None
    param: str | None = None
    status: int | None = None  # where it differs from the kind's own


@dataclass(frozen=True, slots=True)
class Decision:
    """The strongest enforced verdict, every rule that spoke, and what shadow rules would do.

    `policy` names the policy set ("sha256:…"), `index` the version of the cluster index that
    the facts rested on. `by_cluster` says that the verdict rested on a fingerprint or cluster.
    """

    verdict: Verdict
    spoke: tuple[RuleOutcome, ...]
    shadow: tuple[RuleOutcome, ...]
    refusal: Refusal | None
    limits: tuple[LimitState, ...]
    durability: Durability
    policy: str
    index: int
    by_cluster: bool = False
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer in the caller's dialect."""

    status: int
    headers: Headers
    body: bytes
