"""What a replay adds up to: summary.json."""

from collections import Counter, defaultdict
from typing import Any

from proxy.model.decision import Decision
from proxy.model.usage import Usage
from proxy.model.verdict import Unit
from proxy.pipeline.fuses import Blown
from proxy.pipeline.weigh import Weighed
from proxy.policy.rules import PolicySet

ESTIMATE = "request.input_tokens"
SHARED = "fingerprint.template_accounts"  # which fingerprint rules read, without naming it
COUNTED_BY_ESTIMATE = frozenset({Unit.TOKENS, Unit.INPUT_TOKENS, Unit.CACHED_TOKENS, Unit.COST})
NS_PER_S = 1_000_000_000


class Summary:
    """Counts of a replay, for summary.json."""

    def __init__(self) -> None:
        self.exchanges = 0
        self.imputed = 0
        self.imputed_tokens: Counter[str] = Counter()
        self.lacking: Counter[str] = Counter()  # by fact: exchanges that rules judged without it
        self.lacked_any = 0
        self.batches_unknown = 0  # of files that were uploaded before the recording began
        self.warnings = 0
        self.verdicts: Counter[str] = Counter()
        self.modifiers: Counter[str] = Counter()
        self.tiers: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.rules: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.tokens: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.fuses: list[dict[str, Any]] = []

    def add(self, weighed: Weighed, decision: Decision) -> None:
        """Count one exchange."""
        self.exchanges += 1
        self.warnings += len(decision.warnings)
        self.modifiers.update(decision.modifiers.words())
        verdict = decision.verdict.word
        self.verdicts[verdict] += 1
        self.tiers[str(weighed.facts.get("account.tier", "-"))][verdict] += 1
        for mode, outcomes in (("", decision.spoke), ("shadow:", decision.shadow)):
            for outcome in outcomes:
                self.rules[mode + outcome.rule][outcome.verdict.word] += 1
        if decision.refusal is not None and weighed.asked is not None:
            asked = weighed.asked
            self.tokens["refused"]["input"] += asked.input_tokens_estimate
            self.tokens["refused"]["exchanges"] += 1

    def admitted(self, usage: Usage | None, *, imputed: bool) -> None:
        """Add the usage of an exchange that was admitted; `imputed` ones are counted apart."""
        self.imputed += imputed
        counts = self.tokens["admitted"]
        counts["exchanges"] += 1
        if imputed and usage is not None:
            self.imputed_tokens["input"] += usage.input_tokens
            self.imputed_tokens["output"] += usage.output_tokens
        if usage is not None:
            counts["input"] += usage.input_tokens
            counts["output"] += usage.output_tokens

    def lacked(self, names: tuple[str, ...], weighed: Weighed, policy: PolicySet) -> None:
        """Count the facts that rules read, or charges rest on, and the recording lacks."""
        if not names or weighed.refusal is not None:
            return
        missed = [name for name in names if name in policy.reads]
        if SHARED in names and policy.template_windows_s:
            missed.append(SHARED)
        if ESTIMATE in names and ESTIMATE not in policy.reads and _counts_tokens(weighed):
            missed.append(ESTIMATE)
        self.lacking.update(missed)
        self.lacked_any += bool(missed)

    def blown(self, blown: Blown, exchange: str) -> None:
        """Note a fuse that blew, and by which exchange. A rule's fuse blows once."""
        said = {"rule": blown.rule, "accounts": blown.accounts, "within_s": blown.within_s}
        self.fuses.append(said | {"ts": blown.at_ns / NS_PER_S, "exchange": exchange})

    def as_dict(self) -> dict[str, Any]:
        """The counts as summary.json has them."""
        return {
            "exchanges": self.exchanges,
            "verdicts": dict(sorted(self.verdicts.items())),
            "rules": {rule: dict(sorted(c.items())) for rule, c in sorted(self.rules.items())},
            "modifiers": dict(sorted(self.modifiers.items())),
            "warnings": self.warnings,
            "fuses": self.fuses,
            "tiers": {tier: dict(sorted(c.items())) for tier, c in sorted(self.tiers.items())},
            "tokens": {kind: dict(sorted(c.items())) for kind, c in sorted(self.tokens.items())},
            "usage_imputed": self.imputed,
            "tokens_imputed": dict(sorted(self.imputed_tokens.items())),
            "batches_unknown": self.batches_unknown,
            "facts_lacking": dict(sorted(self.lacking.items())),
            "exchanges_lacking": self.lacked_any,
        }


def _counts_tokens(weighed: Weighed) -> bool:
    """Whether a charge rests on the estimate of the input."""
    return any(charge.unit in COUNTED_BY_ESTIMATE for charge in weighed.plan.charges)
