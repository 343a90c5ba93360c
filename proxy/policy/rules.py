"""Compiled rules and the policy set: frozen, ready to be asked about facts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from proxy.model.decision import NOTHING_MODIFIED, Modifiers
from proxy.model.verdict import (
    Durability,
    Mode,
    OnError,
    OnMissing,
    OnUnavailable,
    RuleKind,
    Severity,
    Unit,
    Verdict,
)
from proxy.policy.match import Match
from proxy.policy.schema import PolicyFile
from proxy.policy.yamlfile import Document

NEVER_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Fuse:
    """A rule that refuses more than `accounts` accounts within the window falls to shadow."""

    accounts: int
    within_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What every compiled rule has.

    It works in [not_before_ns, expires_ns) (Unix ns) and, where `rollout` is given, acts for that
    share (0 to 1) of accounts. `durability` None: the deployment's default. `recognizes` says that
    it rests on a fingerprint or cluster fact; what it does must then not tell the caller, unless it
    `reveals`. A `pending` rule reads facts that are known only after the store was asked.
    """

    id: str
    match: Match
    mode: Mode
    on_missing: OnMissing
    on_error: OnError
    on_unavailable: OnUnavailable = OnUnavailable.ALLOW
    message: str | None = None
    reason: str | None = None
    durability: Durability | None = None
    description: str = ""
    rollout: float | None = None
    not_before_ns: int = 0
    expires_ns: int = NEVER_NS
    severity: Severity = Severity.INFORMATIONAL
    labels: tuple[str, ...] = ()
    fuse: Fuse | None = None
    legal: bool = False
    reveals: bool = False
    recognizes: bool = False
    pending: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    """One amount for each window."""

    unit: Unit
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaRule(Rule):
    """Limits for each subject (the value of fact `subject`) and window."""

    kind = RuleKind.QUOTA
    subject: str = "account.id"
    limits: tuple[Limit, ...] = ()
    window_s: int = 60
    assume_output_tokens: int = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class GeographyRule(Rule):
    """Refuses from the countries, or from all others where `inverted`."""

    kind = RuleKind.GEOGRAPHY
    countries: frozenset[str] = frozenset()
    inverted: bool = False

    def refuses(self, country: str) -> bool:
        """Whether an exchange from this country is refused."""
        return (country in self.countries) is not self.inverted


@dataclass(frozen=True, slots=True, kw_only=True)
class ActingRule(Rule):
    """A rule that names what it does: a verdict, and changes to what is let through."""

    verdict: Verdict = Verdict.ALLOW
    delay_s: float = 0.0
    modifiers: Modifiers = NOTHING_MODIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRule(ActingRule):
    """Acts on every exchange that matches."""

    kind = RuleKind.ACCESS
    retry_after_s: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class FingerprintRule(ActingRule):
    """Acts when `accounts` or more accounts shared the template within the window."""

    kind = RuleKind.FINGERPRINT
    accounts: int = 2
    within_s: int = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionRule:
    """Lowers the named rules to shadow for the exchanges that match, before `expires_ns`."""

    kind = RuleKind.EXCEPTION
    id: str
    rules: frozenset[str]
    match: Match
    granted_by: str
    reason: str
    expires_ns: int
    description: str = ""


AnyRule = GeographyRule | AccessRule | FingerprintRule | QuotaRule


@dataclass(frozen=True)
class PolicySet:
    """All policy files of one load. `digest` names their content ("sha256:" and 64 hex digits).

    `places` says where each rule stands: (file, line, column), by id. `sources` are the files as
    they are written, for what tells people about them; rules are judged without.
    """

    digest: str
    exceptions: tuple[ExceptionRule, ...] = ()
    geography: tuple[GeographyRule, ...] = ()
    access: tuple[AccessRule, ...] = ()
    fingerprints: tuple[FingerprintRule, ...] = ()
    quotas: tuple[QuotaRule, ...] = ()
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    places: Mapping[str, tuple[str, int, int]] = field(default_factory=dict)
    sources: tuple[tuple[Document, PolicyFile], ...] = field(default=(), repr=False, compare=False)

    @cached_property
    def rules(self) -> tuple[AnyRule, ...]:
        """Every rule but exceptions, in the order in which they are heard."""
        return (*self.geography, *self.access, *self.fingerprints, *self.quotas)

    @cached_property
    def by_id(self) -> dict[str, AnyRule]:
        """Rules by id."""
        return {rule.id: rule for rule in self.rules}

    @cached_property
    def reads(self) -> frozenset[str]:
        """Names of the facts that any rule or exception reads: a record must hold these."""
        read = [rule.match.facts for rule in (*self.rules, *self.exceptions)]
        own = [{"client.country"}] if self.geography else []
        return frozenset().union(*read, *own)

    @property
    def template_windows_s(self) -> frozenset[int]:
        """Windows over which the detector must count accounts that share a template."""
        return frozenset(rule.within_s for rule in self.fingerprints)
