"""The audit log of a deployment or a replay to exposures, and the rows that they rest on."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from proxy.facts.pseudonyms import Pseudonyms
from proxy.investigate.exposure import Cost, Reckoning, Row
from proxy.investigate.found import Found
from proxy.investigate.log_lines import LogRead, Logs, Progress
from proxy.investigate.people import everybody
from proxy.model.usage import Usage
from proxy.policy.load import load as load_policy
from proxy.policy.prices import Prices
from proxy.policy.rules import PolicySet

Sink = Callable[[Row, LogRead], None]


@dataclass(frozen=True, slots=True)
class Pricing:
    """The price list of a policy set; `unnamed` are models that no entry names, priced highest."""

    prices: Prices
    unnamed: set[str]

    @classmethod
    def of_policies(cls, directory: Path) -> "Pricing | None":
        """The prices of the policies; None where they have none. Raises ProblemsError."""
        prices = _prices(load_policy(directory))
        return cls(prices, set()) if prices is not None else None

    def cost(self, model: str, at_ns: int, usage: Usage, requests: int) -> int:
        """What a usage costs, in millionths of the currency."""
        if self.prices.named(model, at_ns) is None:
            self.unnamed.add(model)
        return self.prices.of(model, at_ns).of(usage, requests)


def reckon(
    found: Iterable[Found],
    audit: Path,
    pseudonyms: Pseudonyms,
    *,
    accounts: Path | None,
    pricing: Pricing | None,
    least_weight: float,
    sink: Sink,
    progress: Progress,
) -> tuple[Reckoning, list[LogRead]]:
    """Read the logs once; each row is handed to `sink` as soon as its exchange has ended.

    Raises AuditError for a log that cannot be read, DirectoryError for the accounts.
    """
    logs = Logs(audit)
    cost: Cost | None = pricing.cost if pricing is not None else None
    known = everybody(accounts, pseudonyms)
    reckoning = Reckoning(found, pseudonyms.of, known, cost, least_weight)
    for line in logs.lines(progress):
        for row in reckoning.add(line):
            sink(row, row.decision.log)
    for row in reckoning.rest():
        sink(row, row.decision.log)
    return reckoning, logs.read


def _prices(policy: PolicySet) -> Prices | None:
    """All quotas of a set hold the same list."""
    return next((quota.prices for quota in policy.quotas if quota.prices.entries), None)
