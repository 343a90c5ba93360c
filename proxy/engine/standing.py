"""How a rule stands to an exchange: what lowers it to shadow, and what it does if unsure."""

from collections.abc import Mapping
from hashlib import blake2b

from proxy.model.facts import Facts
from proxy.model.verdict import Cause, Mode, OnMissing
from proxy.policy.match import Failed, Missing, Truth
from proxy.policy.rules import AnyRule

# An attribute of an enum is looked up slowly, and these are looked up for every rule.
SHADOW = Mode.SHADOW

_SHARES = 2**64


def lowered(
    rule: AnyRule, facts: Facts, exempt: Mapping[str, str], disarmed: frozenset[str]
) -> Cause | None:
    """What lowers a rule to shadow for an exchange; None where it speaks in its own mode.

    `exempt` names the exception that each rule is exempt by.
    """
    if rule.mode is SHADOW:
        return None
    if rule.id in disarmed:
        return Cause.DISARMED
    if rule.id in exempt:
        return Cause.EXCEPTION
    if rule.rollout is not None and not rolled_out(rule.id, rule.rollout, facts):
        return Cause.ROLLOUT
    return None


def rolled_out(rule: str, share: float, facts: Facts) -> bool:
    """Whether an account is among the share of accounts for which a rule acts.

    Stable by rule and account: raising the share keeps those who were in.
    """
    text = f"{rule}\0{facts.get('account.id', '')}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest()) < share * _SHARES


def unsure(rule: AnyRule, truth: Truth) -> tuple[bool, str]:
    """What a rule does where its match is Missing or Failed: whether it acts, and why."""
    if isinstance(truth, Missing):
        acts = rule.on_missing is OnMissing.APPLY
        return acts, f"{truth.fact} is not known; on_missing: {rule.on_missing.value}"
    assert isinstance(truth, Failed)
    acts = rule.on_error is OnMissing.APPLY
    return acts, f"the condition failed ({truth.error}); on_error: {rule.on_error.value}"
