"""Verdicts, modes and durability classes: the ordered vocabularies of a decision."""

from enum import Enum, IntEnum, StrEnum


class Verdict(IntEnum):
    """What happens to an exchange; a larger value is stronger and wins."""

    ALLOW = 0
    DELAY = 1
    STEP_UP = 2
    THROTTLE = 3
    DENY = 4

    @property
    def word(self) -> str:
        """The verdict as YAML, records and metrics write it."""
        return self.name.lower()

    @property
    def refuses(self) -> bool:
        """Whether the exchange is answered here and never forwarded."""
        return self >= Verdict.STEP_UP


class Mode(StrEnum):
    """Whether a rule acts.

    WARN is enforced as allow, and the caller is told. SHADOW is evaluated and recorded, and changes
    nothing.
    """

    ENFORCE = "enforce"
    WARN = "warn"
    SHADOW = "shadow"


class OnMissing(StrEnum):
    """What a rule does when a fact that it needs is not known: act as if it matched, or not act."""

    APPLY = "apply"
    ABSTAIN = "abstain"


# What a rule does when its condition cannot be evaluated: a division by zero, say.
OnError = OnMissing


class OnUnavailable(StrEnum):
    """What a rule that needs the store does while the store cannot answer.

    LOCAL: each replica counts for itself, against its share of the limit.
    """

    DENY = "deny"
    ALLOW = "allow"
    LOCAL = "local"


class Severity(StrEnum):
    """How much it matters when a rule refuses. Source of the scale: OCSF 1.8, `severity_id`."""

    INFORMATIONAL = "informational"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Cause(StrEnum):
    """Why an enforced or warning rule was lowered to shadow for one exchange."""

    EXCEPTION = "exception"  # an exception names the rule and matches
    ROLLOUT = "rollout"  # the account is not yet among those the rule is rolled out to
    DISARMED = "disarmed"  # its fuse has blown, or an operator disarmed it


class Durability(IntEnum):
    """When a record must be on disk; a larger value is stricter and wins.

    BEFORE: before anything goes upstream, and before a refusal leaves. BEFORE_ANSWER: before the
    first byte of an answer leaves; the request is forwarded meanwhile. ASYNC: when it gets there.
    """

    ASYNC = 0
    BEFORE_ANSWER = 1
    BEFORE = 2

    @property
    def word(self) -> str:
        """The class as YAML and records write it."""
        return self.name.lower()


class RuleKind(StrEnum):
    """Kinds of rule; `builtin` are Gauger's own checks (identity, surfaces, readable bodies)."""

    BUILTIN = "builtin"
    EXCEPTION = "exception"
    GEOGRAPHY = "geography"
    ACCESS = "access"
    FINGERPRINT = "fingerprint"
    QUOTA = "quota"


class Unit(StrEnum):
    """What a quota counts. COST is in millionths of the currency that the prices are written in."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    INPUT_TOKENS = "input_tokens"
    OUTPUT_TOKENS = "output_tokens"
    CACHED_TOKENS = "cached_tokens"
    REASONING_TOKENS = "reasoning_tokens"
    COST = "cost"
    BYTES = "bytes"
    CONCURRENT = "concurrent"

    @property
    def word(self) -> str:
        """The unit as people are told it: output tokens."""
        return "concurrent requests" if self is Unit.CONCURRENT else self.value.replace("_", " ")


class Algorithm(StrEnum):
    """How a limit counts.

    FIXED: in windows that begin and end for everybody at once; of a fixed length, of the calendar,
    or one that never ends. ROLLING: never more than the limit in any span of the window's
    length. GCRA: a bucket of `burst` that fills at the rate of the limit (the generic cell rate
    algorithm, ITU-T I.371). CONCURRENT: leases that are held while an exchange is under way.
    """

    FIXED = "fixed"
    ROLLING = "rolling"
    GCRA = "gcra"
    CONCURRENT = "concurrent"


class RefusalKind(Enum):
    """Why an exchange is answered here: wire renders each in the caller's own dialect."""

    BAD_REQUEST = "bad_request"
    AUTHENTICATION = "authentication"
    PERMISSION = "permission"
    REGION = "region"
    STEP_UP = "step_up"  # the caller must verify himself first
    NOT_FOUND = "not_found"
    TOO_LARGE = "too_large"
    RATE_LIMIT = "rate_limit"
    OVERLOADED = "overloaded"
    UPSTREAM = "upstream"  # 502: unreachable, reset, malformed
    TIMEOUT = "timeout"  # 504
    INTERNAL = "internal"  # 500
