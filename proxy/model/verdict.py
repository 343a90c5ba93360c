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
    """Whether a rule acts. Shadow rules are evaluated and recorded, and change nothing."""

    ENFORCE = "enforce"
    SHADOW = "shadow"


class OnMissing(StrEnum):
    """What a rule does when a fact that it needs is not known: act as if it matched, or not act."""

    APPLY = "apply"
    ABSTAIN = "abstain"


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
    QUOTA = "quota"
    GEOGRAPHY = "geography"
    FINGERPRINT = "fingerprint"


class Unit(StrEnum):
    """What a quota counts."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    INPUT_TOKENS = "input_tokens"
    OUTPUT_TOKENS = "output_tokens"


class RefusalKind(Enum):
    """Why an exchange is answered here: wire renders each in the caller's own dialect."""

    BAD_REQUEST = "bad_request"
    AUTHENTICATION = "authentication"
    PERMISSION = "permission"
    REGION = "region"
    NOT_FOUND = "not_found"
    TOO_LARGE = "too_large"
    RATE_LIMIT = "rate_limit"
    OVERLOADED = "overloaded"
    UPSTREAM = "upstream"  # 502: unreachable, reset, malformed
    TIMEOUT = "timeout"  # 504
    INTERNAL = "internal"  # 500
