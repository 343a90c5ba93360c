"""A recorded decision judged again: is it the same, and what does it rest on?"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from proxy.engine.judge import judge
from proxy.engine.plan import plan
from proxy.model.decision import Decision, Refusal, RuleOutcome
from proxy.model.exchange import Arrival, BodyKind, Dialect, Surface
from proxy.model.plan import Charge, Plan, Reading, Readings
from proxy.model.verdict import Durability, Mode, RefusalKind, RuleKind, Verdict
from proxy.pipeline.enactable import enactable
from proxy.pipeline.records import decision_record
from proxy.pipeline.weigh import Weighed
from proxy.policy.candidates import every_rule
from proxy.policy.rules import PolicySet
from proxy.trial.explain import explain
from proxy.trial.explanation import Explanation
from proxy.trial.recorded import Recorded, settled

# What both records must say alike; the others are who and what was known, and the log's own.
COMPARED = (
    *("verdict", "refusal", "rules", "warned", "shadow", "by_cluster", "delay_s", "modifiers"),
    *("lowered", "store", "charges", "taken", "durability"),
)


@dataclass(frozen=True, slots=True)
class Again:
    """`differs`: (what, recorded, judged again) of whatever is not the same. `taken` names rules
    of which something was taken from the record because it cannot be judged again."""

    explanation: Explanation
    differs: tuple[tuple[str, Any, Any], ...]
    taken: tuple[str, ...]


def judge_again(policy: PolicySet, record: Recorded, default: Durability) -> Again:
    """Judge a recorded exchange again by the set that judged it.

    `default` is the durability class of rules that name none. What Gauger's own checks refused
    is not judged again: what they looked at is not in a record.
    """
    if record.own_check and record.own_check[0] != "gauger.modifiers":
        decision = _by_own_check(policy, record, *record.own_check)
        empty = Plan(record.at_ns, take=False)
        said = explain(policy, record.facts, empty, Readings(), decision, record.at_ns)
        return Again(said, (), ())
    asked, taken = settled(policy, record)
    wanted = plan(every_rule(asked), record.facts, record.at_ns, default, record.disarmed)
    readings = _readings(wanted, record)
    decision = judge(asked, wanted, readings, int(record.fields["index"]), record.facts)
    decision = _enactable(decision, record)
    said = explain(
        policy,
        record.facts,
        wanted,
        readings,
        decision,
        record.at_ns,
        withheld=record.withheld,
    )
    differs = _differences(record, wanted, readings, decision)
    # A rule that governed and said nothing leaves no trace but in the durability class.
    return Again(said, tuple(d for d in differs if d[0] != "durability" or not taken), taken)


def _by_own_check(policy: PolicySet, record: Recorded, check: str, why: str) -> Decision:
    """The decision as the record has it; its words are not recorded."""
    outcome = RuleOutcome(check, RuleKind.BUILTIN, Mode.ENFORCE, Verdict.DENY, why)
    refusal = Refusal(RefusalKind(record.fields.get("refusal", "internal")), "")
    durability = Durability[str(record.fields["durability"]).upper()]
    return Decision(Verdict.DENY, (outcome,), (), refusal, (), durability, policy.digest, 0)


def _readings(wanted: Plan, record: Recorded) -> Readings:
    """The counts that the record holds. A charge that it does not hold was not made then."""
    said: defaultdict[tuple[str, str], list[list[Any]]] = defaultdict(list)
    for one in record.fields.get("charges", ()):
        said[one[0], one[1]].append(one)
    available = record.fields.get("store") != "unavailable"
    if not available and not said:
        return Readings(available=False)
    readings = tuple(
        _reading(charge, said[charge.rule, charge.unit.value]) for charge in wanted.charges
    )
    fits = all(
        charge.fits(reading.before, reading.share)
        for charge, reading in zip(wanted.charges, readings, strict=True)
        if charge.binding and reading.known
    )
    return Readings(readings, wanted.take and fits, available)


def _reading(charge: Charge, said: list[list[Any]]) -> Reading:
    """What the record says of a charge: the next of those of the rule and unit, in order."""
    one = said.pop(0) if said else None
    if one is None:
        return Reading(0, charge.ends_ns)
    known, share = one[5] is not None, one[7] if len(one) > 7 else 1
    return Reading(one[5] or 0, charge.ends_ns, known=known, share=share)


def _enactable(decision: Decision, record: Recorded) -> Decision:
    """The form of the request (whether its body was read) is not recorded, and modifiers hang on
    it: one that explains what was recorded is taken."""
    forms = [enactable(surface, decision) for surface in _surfaces(record)]
    refused = record.own_check is not None
    return next((form for form in forms if (form.refusal is not None) == refused), forms[0])


def _surfaces(record: Recorded) -> Iterator[Surface]:
    name, dialect = (str(record.facts.get(f"request.{key}", "")) for key in ("surface", "dialect"))
    for body in (BodyKind.JSON, BodyKind.OPAQUE, BodyKind.NONE):
        for generates in (True, False):
            yield Surface(name, Dialect(dialect or "openai"), body, generates)


def _differences(
    record: Recorded, wanted: Plan, readings: Readings, decision: Decision
) -> Iterator[tuple[str, Any, Any]]:
    again = _written(record, wanted, readings, decision)
    for name in COMPARED:
        if record.fields.get(name) != again.get(name):
            yield name, record.fields.get(name), again.get(name)


def _written(
    record: Recorded, wanted: Plan, readings: Readings, decision: Decision
) -> Mapping[str, Any]:
    """What the record of this decision would say."""
    weighed = Weighed(
        arrival=Arrival(record.exchange, record.at_ns, "", "", "", (), None),
        surface=None,
        dialect=Dialect.OPENAI,
        asked=None,
        caller=None,
        facts=record.facts,
        tokens=(),
        plan=wanted,
        index=decision.index,
    )
    written = decision_record(weighed, readings, decision, lambda _, value: value, frozenset())
    fields: Mapping[str, Any] = msgspec.json.decode(msgspec.json.encode(written.fields))
    return fields
