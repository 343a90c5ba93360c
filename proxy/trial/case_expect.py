"""What a case expects, held against the set: names that nothing has could never come true."""

from collections.abc import Collection

from proxy.model.verdict import Cause
from proxy.pipeline.enactable import MODIFIERS
from proxy.pipeline.pipeline import CHECKS
from proxy.policy.rules import PolicySet
from proxy.trial.case_facts import near
from proxy.trial.expect_schema import ExpectSpec
from proxy.trial.spot import Spot

OWN_CHECKS = frozenset((*CHECKS.values(), MODIFIERS))
CAUSES = tuple(cause.value for cause in Cause)


def check_expectation(policy: PolicySet, expect: ExpectSpec, spot: Spot) -> None:
    """Tell what can never be so, and an expectation that expects nothing."""
    if not any(getattr(expect, name) is not None for name in ExpectSpec.model_fields):
        spot.fault("an expectation that expects nothing: say verdict: allow, for example")
    if expect.rules is not None and expect.only_rules is not None:
        spot.at("rules").key_fault("only_rules says it all: remove rules")
    exceptions = {rule.id for rule in policy.exceptions}
    speaking = {*policy.by_id, *exceptions, *OWN_CHECKS}
    for key in ("rules", "only_rules", "warned", "shadow", "reasons"):
        for id_ in getattr(expect, key) or {}:
            _known(id_, speaking, spot.at(key, id_), at_key=True)
    for i, id_ in enumerate(expect.no_rules or ()):
        _known(id_, speaking, spot.at("no_rules", i))
    for i, id_ in enumerate(expect.counted or ()):
        _known(id_, [rule.id for rule in policy.quotas], spot.at("counted", i), what="quota")
    for id_, cause in (expect.lowered or {}).items():
        here = spot.at("lowered", id_)
        _known(id_, policy.by_id, here, at_key=True)
        if cause not in CAUSES and cause not in exceptions:
            known = (*CAUSES, *exceptions)
            here.fault(f'"{cause}" lowers nothing{near(cause, known)}: say {", ".join(CAUSES)}')
    _check_texts(expect, spot)


def _known(
    id_: str, known: Collection[str], spot: Spot, *, at_key: bool = False, what: str = "rule"
) -> None:
    if id_ not in known:
        wrong = f'there is no {what} "{id_}" in this set{near(id_, known)}'
        (spot.key_fault if at_key else spot.fault)(wrong)


def _check_texts(expect: ExpectSpec, spot: Spot) -> None:
    for name, value in (expect.headers or {}).items():
        if isinstance(value, list | dict):
            spot.at("headers", name).fault("a header field is a text, a number, or null")
