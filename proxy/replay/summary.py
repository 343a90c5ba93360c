"""What a replay adds up to: summary.json."""

from collections import Counter, defaultdict
from typing import Any

from proxy.model.decision import Decision
from proxy.model.usage import Usage
from proxy.pipeline.fuses import Blown
from proxy.pipeline.weigh import Weighed

NS_PER_S = 1_000_000_000


class Summary:
    """Counts of a replay, for summary.json."""

    def __init__(self) -> None:
        self.exchanges = 0
        self.imputed = 0
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

    def count_tokens(self, kind: str, usage: Usage | None) -> None:
        """Add the usage of an exchange that was admitted."""
        counts = self.tokens[kind]
        counts["exchanges"] += 1
        if usage is not None:
            counts["input"] += usage.input_tokens
            counts["output"] += usage.output_tokens

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
        }
