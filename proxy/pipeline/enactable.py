"""Whether what was decided can be done; what cannot is refused, and never passes unchanged."""

from msgspec.structs import replace

from proxy.model.decision import NOTHING_MODIFIED, Decision, Refusal, RuleOutcome
from proxy.model.exchange import Surface
from proxy.model.verdict import Mode, RefusalKind, RuleKind, Verdict
from proxy.wire.modify import unenactable

MODIFIERS = "gauger.modifiers"  # the check's name in records and metrics
NOT_IN_THIS_FORM = "This request is not permitted in this form."


def enactable(surface: Surface | None, decision: Decision) -> Decision:
    """The decision, or the refusal of an exchange whose modifiers cannot be enacted.

    The charges that the store has taken are to be given back then, as for any refusal.
    """
    if not decision.modifiers or surface is None or decision.refusal is not None:
        return decision
    why = unenactable(surface, decision.modifiers)
    if why is None:
        return decision
    outcome = RuleOutcome(MODIFIERS, RuleKind.BUILTIN, Mode.ENFORCE, Verdict.DENY, why)
    return replace(
        decision,
        verdict=Verdict.DENY,
        spoke=(*decision.spoke, outcome),
        refusal=Refusal(RefusalKind.PERMISSION, NOT_IN_THIS_FORM, should_retry=False),
        limits=(),
        delay_s=0.0,
        modifiers=NOTHING_MODIFIED,
        warnings=(),
    )
