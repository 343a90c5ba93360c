"""What was decided about an exchange, and why."""

from msgspec import Struct

from proxy.model.exchange import Headers
from proxy.model.verdict import Cause, Durability, Mode, RefusalKind, RuleKind, Unit, Verdict


class Modifiers(Struct, frozen=True, gc=False):
    """Changes to an exchange that is let through; several rules' changes combine as a set.

    `strip` names what the answer must not carry ("logprobs", "reasoning"), `reroute` the model that
    is asked instead, `max_tokens` a bound put on the request's own, `cut_after` the output
    tokens (as estimated on the way) after which a stream is ended.
    """

    strip: tuple[str, ...] = ()
    reroute: str | None = None
    max_tokens: int | None = None
    cut_after: int | None = None

    def __bool__(self) -> bool:
        return self != NOTHING_MODIFIED

    def words(self) -> list[str]:
        """Each modifier in a word, as records and decisions write it."""
        said = [f"strip:{name}" for name in self.strip]
        if self.reroute is not None:
            said.append(f"reroute:{self.reroute}")
        if self.max_tokens is not None:
            said.append(f"clamp:{self.max_tokens}")
        if self.cut_after is not None:
            said.append(f"cut:{self.cut_after}")
        return said


NOTHING_MODIFIED = Modifiers()


class RuleOutcome(Struct, frozen=True, gc=False):
    """What one rule said. `why` is for the record and the operator, never for the caller.

    `mode` is the mode in which it spoke: SHADOW where `lowered` says why a rule that would act did
    not. `recognizes` says that it rests on a fingerprint or cluster fact.
    """

    rule: str
    kind: RuleKind
    mode: Mode
    verdict: Verdict
    why: str
    lowered: Cause | None = None
    recognizes: bool = False
    delay_s: float = 0.0
    modifiers: Modifiers = NOTHING_MODIFIED


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
    is when waiting helps; `should_retry` False tells SDKs not to try again by themselves. `spent`
    says that a limit is used up which no waiting brings back.
    """

    kind: RefusalKind
    message: str
    limit: LimitState | None = None
    retry_at_ns: int | None = None
    should_retry: bool | None = None
    param: str | None = None
    status: int | None = None  # where it differs from the kind's own
    spent: bool = False


class Decision(Struct, frozen=True, gc=False):
    """The strongest enforced verdict, every rule that spoke, and what shadow rules would do.

    `spoke` are the rules in enforce and warn mode. `policy` names the policy set ("sha256:…"),
    `index` the version of the cluster index that the facts rested on. `by_cluster` says that the
    verdict, or a modifier, rested on a fingerprint or cluster. `warnings` is what the caller of
    an exchange that is let through is told: a line for each warning rule that would have acted.
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
    modifiers: Modifiers = NOTHING_MODIFIED
    warnings: tuple[str, ...] = ()


class Answer(Struct, frozen=True, gc=False):
    """A whole answer in the caller's dialect."""

    status: int
    headers: Headers
    body: bytes
