"""How long and how large the whole of a campaign is, of which a run may show the beginning."""

from bench.campaigns.scenarios import SCENARIOS, batch_bypass

# Shares of scenarios that are harvest, where much of them is something else.
HARVEST = {"warm-up": 0.5, "base-rate-flood": 0.6, "framing": 0.8, "shared-keys": 0.8}
# Its share of extraction hangs on what it finds out; all of it counts.
WHOLE = frozenset({"threshold-prober"})


def full(scenario: str, scale: float, marked_share: float) -> float:
    """How many exchanges the whole campaign has at a scale; of those that count, where a share is
    marked as extraction."""
    if scenario == batch_bypass.NAME:
        accounts = max(batch_bypass.AT_LEAST, batch_bypass.ACCOUNTS * scale)
        return accounts * batch_bypass.PROMPTS_A_DAY * batch_bypass.DAYS
    whole = SCENARIOS[scenario].exchanges(scale, None)
    return whole * (1.0 if scenario in WHOLE else marked_share)


def rest_days(scenario: str, days: float | None) -> float:
    """How many days of harvest a cut run leaves out; what comes before the harvest is cut alike."""
    whole = SCENARIOS[scenario]
    harvest = HARVEST.get(scenario, 1.0)
    return (whole.days - whole.lasts(days)) * harvest
