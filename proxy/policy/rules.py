"""Compiled rules and the policy set: frozen, ready to be asked about facts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from proxy.model.decision import NOTHING_MODIFIED, Modifiers
from proxy.model.facts import ORDINARY_FACTS
from proxy.model.plan import NEVER_NS
from proxy.model.verdict import (
    Algorithm,
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
from proxy.policy.match import Keyed, Match, wildcards
from proxy.policy.prices import Prices
from proxy.policy.schema import PolicyFile
from proxy.policy.windows import Window
from proxy.policy.yamlfile import Document

UNNAMED_OUTPUT = 1024  # reserved where neither the request, the rule nor experience says how much


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
    """One amount for each window: with GCRA `burst` of it at once.

    With an `ordinary` share the limit is learned: so many millionths of what an ordinary account
    uses in a day, and `amount` only while that is not known.
    """

    unit: Unit
    amount: int
    algorithm: Algorithm = Algorithm.FIXED
    burst: int = 0
    ordinary: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaRule(Rule):
    """Limits for each subject and window.

    The subject is the values of the dimensions `per` (of DIMENSIONS) together, or what the
    expression `by` gives. `clamp` is the least output that a request is given where less is left
    than it asks for, None where it is refused then. With `hard` a stream ends at the limit.
    `assume_output_tokens` None: as much as the model is expected to answer. `prices` count costs.
    """

    kind = RuleKind.QUOTA
    per: tuple[str, ...] = ("account",)
    by: Keyed | None = None
    limits: tuple[Limit, ...] = ()
    window: Window = field(default_factory=lambda: Window(length_s=60))
    clamp: int | None = None
    hard: bool = False
    assume_output_tokens: int | None = None
    prices: Prices = field(default_factory=Prices)
    # What does not depend on the exchange: of each limit what its counters' names begin and end
    # with, around the subject; whether any of them is counted in windows that follow each other.
    counters: tuple[tuple[str, str], ...] = field(init=False, repr=False, compare=False)
    window_counts: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        counters = tuple((f"{self.id}|{one.unit.value}|", self._suffix(one)) for one in self.limits)
        object.__setattr__(self, "counters", counters)
        windows = any(one.algorithm is Algorithm.FIXED for one in self.limits)
        object.__setattr__(self, "window_counts", windows)

    def _suffix(self, limit: Limit) -> str:
        """The algorithm and the window, as a counter's name has them."""
        if limit.algorithm is Algorithm.CONCURRENT:
            return f"|{limit.algorithm.value}"
        return f"|{limit.algorithm.value}:{self.window.word}"

    @property
    def names_subjects(self) -> bool:
        """Whether facts that may be unknown name its subjects."""
        return self.by is not None or self.per != ("account",)

    @property
    def subject(self) -> str:
        """What it counts by, in words."""
        return self.by.text if self.by else ", ".join(self.per)


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


# The facts that name a subject, by dimension. An account without an organization, or a key, stands
# for itself; `everybody` is one subject, whatever the facts.
DIMENSION_FACTS: Mapping[str, str] = {
    "account": "account.id",
    "key": "account.key",
    "organization": "account.organization",
    "model": "request.model",
    "model_group": "request.model_group",
    "surface": "request.surface",
    "tier": "account.tier",
    "country": "client.country",
    "network": "client.network",
    "cluster": "cluster.ids",
}


def charged_by(rule: QuotaRule) -> frozenset[str]:
    """The facts that decide what a quota charges, besides those of its match."""
    facts = {DIMENSION_FACTS[name] for name in rule.per if name in DIMENSION_FACTS}
    if "cluster" in rule.per:
        facts.add("cluster.lineage")
    if rule.by is not None:
        facts |= rule.by.facts
    units = {limit.unit for limit in rule.limits}
    if not units.isdisjoint(WRITTEN):
        facts.add("request.expected_output_tokens")
    if Unit.BYTES in units:
        facts.add("request.body_bytes")
    facts.update(ORDINARY_FACTS[limit.unit] for limit in rule.limits if limit.ordinary)
    return frozenset({*facts, "account.limits", "request.requests"})


# Units of which output is a part: a request reserves what it may be answered.
WRITTEN = frozenset((Unit.TOKENS, Unit.OUTPUT_TOKENS, Unit.REASONING_TOKENS, Unit.COST))

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
    model_groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
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
        counted = [charged_by(rule) for rule in self.quotas]
        return frozenset().union(*read, *own, *counted)

    def model_group(self, model: str) -> str:
        """The group of a model, by the first that names it; its own name where none does."""
        return next((name for name, names in self._groups if names(model)), model)

    @cached_property
    def _groups(self) -> tuple[tuple[str, Callable[[str], bool]], ...]:
        return tuple((name, wildcards(names)) for name, names in self.model_groups.items())

    @property
    def template_windows_s(self) -> frozenset[int]:
        """Windows over which the detector must count accounts that share a template."""
        return frozenset(rule.within_s for rule in self.fingerprints)
