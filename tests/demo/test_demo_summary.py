"""The summary tells who was refused, by which rule and why."""

from collections import Counter

from proxy.demo.summary import summary
from proxy.demo.watch import Shown


def decision(account: str, verdict: str = "allow", rule: str = "", why: str = "") -> Shown:
    return Shown("12:00:00", account, "DE", "chat.completions m-small", verdict, rule, why)


def test_each_part_is_told_with_its_refusals_and_what_the_sdks_raised():
    decisions = [
        decision("ada"),
        decision("hasty"),
        decision("hasty", "throttle", "trial-per-minute", "30 used"),
        decision("islander", "deny", "large-model-embargo", "country BV"),
        decision("hydra-01", "throttle", "shared-template", "8 accounts"),
        decision("hydra-20", "throttle", "shared-template", "20 accounts"),
        decision("(unknown)", "deny", "gauger.identity", "authentication"),
    ]
    raised = {
        "hydra-01": Counter({"openai.RateLimitError": 1}),
        "hydra-20": Counter({"anthropic.RateLimitError": 1}),
        "stranger": Counter({"openai.AuthenticationError": 1}),
    }
    lines = list(summary(decisions, raised))
    text = "\n".join(lines)
    assert "0 of 1 refused" in lines[1]
    assert "    1 of 2 refused\n    1 throttle by trial-per-minute: 30 used" in text
    assert "    1 deny by large-model-embargo: country BV" in lines
    assert "    2 throttle by shared-template: 20 accounts" in lines
    raised_line = "    their SDKs raised 1 anthropic.RateLimitError, 1 openai.RateLimitError"
    assert raised_line in lines
    assert lines[-1] == "    their SDKs raised 1 openai.AuthenticationError"


def test_a_line_shows_one_decision_without_trailing_blanks():
    assert decision("ada").line.endswith("allow")
    assert "shared" in decision("ada", "throttle", "shared").line
