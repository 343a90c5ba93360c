"""What was decided about an exchange, and why."""

from msgspec import Struct

from proxy.model.exchange import Headers
from proxy.model.verdict import Durability, Mode, RefusalKind, RuleKind, Unit, Verdict


class RuleOutcome(Struct, frozen=True, gc=False):
    """What one rule said. `why` is for the record and the operator, never for the caller."""

    rule: str
    kind: RuleKind
    mode: Mode
    verdict: Verdict
    why: str


class LimitState(Struct, frozen=True, gc=False):
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


class Refusal(Struct, frozen=True, gc=False):
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


class Decision(Struct, frozen=True, gc=False):
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


class Answer(Struct, frozen=True, gc=False):
    """A whole answer in the caller's dialect."""

    status: int
    headers: Headers
    body: bytes
