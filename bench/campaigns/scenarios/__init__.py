"""One file for each scenario; `SCENARIOS` names them all, in the order of the report."""

from bench.campaigns.scenario import Scenario
from bench.campaigns.scenarios import corporate_nat, fixed_prompt, low_and_slow, popular_client

SCENARIOS: dict[str, Scenario] = {
    "fixed-prompt": fixed_prompt.SCENARIO,
    "low-and-slow": low_and_slow.SCENARIO,
    "popular-client": popular_client.SCENARIO,
    "corporate-nat": corporate_nat.SCENARIO,
}
# The unrelated accounts together send as much as the largest campaign does.
LARGEST = fixed_prompt.SCENARIO
