"""How verdicts and modifiers combine: the one place that says it.

Every rule is heard; those in enforce mode decide. The strongest verdict wins: allow < delay <
step_up < throttle < deny. Delays do not add up, the longest counts. An exchange that is let
through is changed as all of its modifiers say: what any of them strips is stripped, the tightest
bound counts, and where two reroute, the first rule in the set's order does. A refused exchange is
changed in nothing.
"""

from collections.abc import Iterable

from msgspec import Struct

from proxy.model.decision import NOTHING_MODIFIED, Modifiers, RuleOutcome
from proxy.model.verdict import Mode, Verdict

# An attribute of an enum is looked up slowly, and these are looked up for every outcome.
ENFORCE = Mode.ENFORCE
ALLOW = Verdict.ALLOW


class Combined(Struct, frozen=True, gc=False):
    """What outcomes come to. `by_cluster`: the verdict, or a modifier, rests on recognition."""

    verdict: Verdict
    delay_s: float
    modifiers: Modifiers
    by_cluster: bool


NOTHING_SAID = Combined(ALLOW, 0.0, NOTHING_MODIFIED, False)


def combine(outcomes: Iterable[RuleOutcome]) -> Combined:
    """The combined verdict, delay and modifiers of all outcomes, whatever their mode."""
    enforced = [outcome for outcome in outcomes if outcome.mode is ENFORCE]
    if not enforced:
        return NOTHING_SAID
    verdict = max(outcome.verdict for outcome in enforced)
    deciding = [outcome for outcome in enforced if outcome.verdict is verdict]
    recognized = verdict > ALLOW and all(outcome.recognizes for outcome in deciding)
    if verdict.refuses:
        return Combined(verdict, 0.0, NOTHING_MODIFIED, recognized)
    modifying = [o for o in enforced if o.modifiers is not NOTHING_MODIFIED]
    return Combined(
        verdict,
        max(outcome.delay_s for outcome in enforced),
        _together([outcome.modifiers for outcome in modifying]),
        recognized or any(outcome.recognizes for outcome in modifying),
    )


def _together(changes: list[Modifiers]) -> Modifiers:
    if not changes:
        return NOTHING_MODIFIED
    return Modifiers(
        strip=tuple(sorted({name for change in changes for name in change.strip})),
        reroute=next((c.reroute for c in changes if c.reroute is not None), None),
        max_tokens=_tightest(change.max_tokens for change in changes),
        cut_after=_tightest(change.cut_after for change in changes),
    )


def _tightest(bounds: Iterable[int | None]) -> int | None:
    return min((bound for bound in bounds if bound is not None), default=None)
