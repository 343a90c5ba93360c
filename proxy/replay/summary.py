"""What a replay adds up to: summary.json."""

from collections import Counter, defaultdict
from typing import Any

from proxy.model.decision import Decision
from proxy.model.usage import Usage
from proxy.pipeline.weigh import Weighed


class Summary:
    """Counts of a replay, for summary.json."""

    def __init__(self) -> None:
        self.exchanges = 0
        self.imputed = 0
        self.verdicts: Counter[str] = Counter()
        self.tiers: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.rules: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.tokens: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, weighed: Weighed, decision: Decision, decided: dict[str, Any]) -> None:
        """Count one exchange."""
        self.exchanges += 1
        verdict = decided["verdict"]
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

    def as_dict(self) -> dict[str, Any]:
        """The counts as summary.json has them."""
        return {
            "exchanges": self.exchanges,
            "verdicts": dict(sorted(self.verdicts.items())),
            "rules": {rule: dict(sorted(c.items())) for rule, c in sorted(self.rules.items())},
            "tiers": {tier: dict(sorted(c.items())) for tier, c in sorted(self.tiers.items())},
            "tokens": {kind: dict(sorted(c.items())) for kind, c in sorted(self.tokens.items())},
            "usage_imputed": self.imputed,
        }
