"""Compiled rules and the policy set: frozen, ready to be asked about facts."""

from dataclasses import dataclass, field

from proxy.model.verdict import Durability, Mode, OnMissing, RuleKind, Unit, Verdict
from proxy.policy.match import Match


@dataclass(frozen=True, slots=True)
class Rule:
    """What every compiled rule has. `durability` None: the deployment's default."""

    id: str
    match: Match
    mode: Mode
    on_missing: OnMissing
    message: str | None
    durability: Durability | None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """One amount for each window."""

    unit: Unit
    amount: int


@dataclass(frozen=True, slots=True)
class QuotaRule(Rule):
    """Limits for each subject (the value of fact `subject`) and window."""

    kind = RuleKind.QUOTA
    subject: str = "account.id"
    limits: tuple[Limit, ...] = ()
    window_s: int = 60
    assume_output_tokens: int = 1024


@dataclass(frozen=True, slots=True)
class GeographyRule(Rule):
    """Refuses from the countries, or from all others where `inverted`."""

    kind = RuleKind.GEOGRAPHY
    countries: frozenset[str] = frozenset()
    inverted: bool = False
    legal: bool = False

    def refuses(self, country: str) -> bool:
        """Whether an exchange from this country is refused."""
        return (country in self.countries) is not self.inverted


@dataclass(frozen=True, slots=True)
class FingerprintRule(Rule):
    """Speaks when `accounts` or more accounts shared the template within the window."""

    kind = RuleKind.FINGERPRINT
    accounts: int = 2
    within_s: int = 3600
    verdict: Verdict = Verdict.THROTTLE


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All policy files of one load. `digest` names their content ("sha256:" and 64 hex digits)."""

    digest: str
    geography: tuple[GeographyRule, ...] = ()
    fingerprints: tuple[FingerprintRule, ...] = ()
    quotas: tuple[QuotaRule, ...] = ()
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule, in the order in which records number them."""
        return (*self.geography, *self.fingerprints, *self.quotas)

    @property
    def template_windows_s(self) -> frozenset[int]:
        """Windows over which the detector must count accounts that share a template."""
        return frozenset(rule.within_s for rule in self.fingerprints)
