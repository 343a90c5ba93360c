"""What the audit log says of an exchange: pseudonyms for who, plain values for what and why."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from struct import pack, unpack

from proxy.model.batch import BatchUsage
from proxy.model.decision import Decision, RuleOutcome
from proxy.model.facts import CATALOGUE, NO_ANONYMIZER, Facts
from proxy.model.plan import Charge, Correction, Lowered, Plan, Readings
from proxy.model.record import Json, Record
from proxy.model.usage import Outcome, Usage
from proxy.model.verdict import Mode, RuleKind, Unit, Verdict
from proxy.pipeline.weigh import Weighed

# Facts that always stand in a record, as pseudonyms where they are personal; the facts of the
# request and the place stand there as they are.
WHO = (
    ("account", "account.id"),
    ("key", "account.key"),
    ("organization", "account.organization"),
    ("address", "client.address"),
)
# Facts that always stand in a record. Of the others only those that a rule of the set reads: a
# decision rests on no more. The time is the record's own.
ALWAYS = frozenset(
    {
        "request.surface",
        "request.dialect",
        "request.model",
        "request.stream",
        "request.max_tokens",
        "request.choices",
        "request.requests",
        "request.input_tokens",
        "account.tier",
        "account.labels",
        "account.honeypot",
        "client.country",
        "client.asn",
        "client.anonymizer",
        "client.ja4",
        "fingerprint.system",
        "fingerprint.template",
        "fingerprint.template_accounts",
    }
)
# Left out unless a rule reads it.
UNREMARKABLE = ("client.anonymizer", NO_ANONYMIZER)
DEFAULTS: Mapping[str, object] = {
    "request.choices": 1,
    "request.requests": 1,
    "request.stream": False,
    "account.honeypot": False,
    "account.labels": (),
}

MOST_TRAITS = 40  # fingerprints that a record keeps

Pseudonym = Callable[[str, str], str]
MarkOf = Callable[[Charge], str]


def decision_record(
    weighed: Weighed,
    readings: Readings,
    decision: Decision,
    pseudonym: Pseudonym,
    reads: frozenset[str],
    mark: MarkOf | None = None,
    traits: Sequence[int] | None = None,
) -> Record:
    """The record of a decision: who (pseudonyms), what was known, what was read, what was said.

    `reads` names the facts that the policy set reads. `mark` names the counters, so that the log
    can tell what a store forgot; `traits` are the fingerprints of an exchange that the detector is
    shown, so that the log can tell what it missed.
    """
    fields: dict[str, Json] = {
        name: pseudonym(name, str(weighed.facts[fact]))
        for name, fact in WHO
        if fact in weighed.facts
    }
    if "address" not in fields and weighed.arrival.client_ip is not None:
        fields["address"] = pseudonym("address", weighed.arrival.client_ip)
    fields["verdict"] = decision.verdict.word
    if decision.refusal is not None:
        fields["refusal"] = decision.refusal.kind.value
    _add_outcomes(fields, decision)
    if decision.by_cluster:
        fields["by_cluster"] = True
    if decision.delay_s:
        fields["delay_s"] = decision.delay_s
    if decision.modifiers:
        fields["modifiers"] = list(decision.modifiers.words())
    if weighed.plan.lowered:
        fields["lowered"] = [_lowered(lowered) for lowered in weighed.plan.lowered]
    if not readings.available:
        fields["store"] = "unavailable"
    if charges := _charges(weighed.plan, readings):
        fields["charges"] = charges
        # What was taken for an exchange that is refused after all was given back at once.
        fields["taken"] = taken = readings.taken and decision.refusal is None
        if taken and mark is not None:
            fields["counters"] = [mark(charge) for charge in weighed.plan.charges]
    if traits is not None:
        fields["traits"] = traits_text(traits)
        if weighed.asked is not None and weighed.asked.prompt.turns != 1:
            fields["turns"] = weighed.asked.prompt.turns
    fields["facts"] = _facts(weighed.facts, reads)
    fields["policy"] = decision.policy
    fields["index"] = decision.index
    fields["durability"] = decision.durability.word
    return Record("decision", weighed.arrival.id, weighed.arrival.at_ns, fields)


def traits_text(traits: Sequence[int]) -> str:
    """Fingerprints as a record keeps them: base64 of 64-bit numbers, big-endian."""
    kept = traits[:MOST_TRAITS]
    return b64encode(pack(f">{len(kept)}Q", *kept)).decode()


def traits_of(text: str) -> tuple[int, ...]:
    """The fingerprints that a record keeps. ValueError for what is none."""
    data = b64decode(text, validate=True)
    if len(data) % 8:
        raise ValueError(f"{len(data)} bytes are no fingerprints")
    return unpack(f">{len(data) // 8}Q", data)


def completion_record(
    weighed: Weighed, outcome: Outcome, corrections: tuple[Correction, ...], at_ns: int
) -> Record:
    """The record of how a forwarded exchange ended and what it was charged in the end."""
    fields: dict[str, Json] = {
        "status": outcome.status,
        "complete": outcome.complete,
        "duration_ms": max(0, (at_ns - weighed.arrival.at_ns) // 1_000_000),
    }
    if outcome.error is not None:
        fields["error"] = outcome.error
    if not outcome.forwarded:
        fields["forwarded"] = False
    if usage := outcome.usage:
        fields["usage"] = _usage(usage)
    elif outcome.delivered_output_tokens:
        fields["delivered_output"] = outcome.delivered_output_tokens
    if counted := [c for c in corrections if c.charge.unit is not Unit.CONCURRENT]:
        fields["corrections"] = [_correction(c, weighed.plan) for c in counted]
    return Record("completion", weighed.arrival.id, at_ns, fields)


def settlement_record(
    wanted: Plan, used: BatchUsage, corrections: tuple[Correction, ...], at_ns: int
) -> Record:
    """The record of what a batch turned out to use, under the id of its submission."""
    fields: dict[str, Json] = {
        "succeeded": used.succeeded,
        "failed": used.failed,
        "usage": _usage(used.usage),
        "corrections": [_correction(c, wanted) for c in corrections],
    }
    return Record("settlement", wanted.id, at_ns, fields)


def _usage(usage: Usage) -> Json:
    """Tokens by kind; images and seconds where there are any."""
    said: dict[str, Json] = {
        "input": usage.input_tokens,
        "cached": usage.cached_tokens,
        "cache_written": usage.cache_written_tokens,
        "output": usage.output_tokens,
        "reasoning": usage.reasoning_tokens,
    }
    if usage.images:
        said["images"] = usage.images
    if usage.seconds:
        said["seconds"] = usage.seconds
    return said


def _correction(correction: Correction, plan: Plan) -> Json:
    """[rule, unit, change]; with its number, where it is not the first charge of rule and unit."""
    charge = correction.charge
    said: list[Json] = [charge.rule, charge.unit.value, correction.delta]
    alike = [c.counter for c in plan.charges if c.rule == charge.rule and c.unit is charge.unit]
    number = alike.index(charge.counter) if len(alike) > 1 else 0
    return [*said, number] if number else said


def _add_outcomes(fields: dict[str, Json], decision: Decision) -> None:
    """What rules said, by the mode in which they spoke."""
    for name, outcomes in (
        ("rules", [o for o in decision.spoke if o.mode is Mode.ENFORCE]),
        ("warned", [o for o in decision.spoke if o.mode is Mode.WARN]),
        ("shadow", decision.shadow),
    ):
        if outcomes:
            fields[name] = [_outcome(outcome) for outcome in outcomes]


def _lowered(lowered: Lowered) -> Json:
    """[rule, why it is in shadow here], and the exception that says so."""
    said: list[Json] = [lowered.rule, lowered.cause.value]
    return [*said, lowered.exception] if lowered.exception else said


def _outcome(outcome: RuleOutcome) -> Json:
    said: list[Json] = [outcome.rule, outcome.kind.value, outcome.verdict.word]
    # A quota's reasons stand in the charges, number by number; they are not written twice.
    counted = outcome.kind is RuleKind.QUOTA and outcome.verdict is Verdict.THROTTLE
    return said if counted else [*said, outcome.why]


def _charges(plan: Plan, readings: Readings) -> list[Json]:
    """[rule, unit, amount, limit, window in seconds, count before, mode] for each charge.

    Where the store could not answer for one of several, the count before is null; where this
    replica counted for itself, the number of replicas that share the limit stands at the end.
    """
    return [
        [
            charge.rule,
            charge.unit.value,
            charge.amount,
            charge.limit,
            charge.window_s,
            reading.before if reading.known else None,
            charge.mode.value,
            *([reading.share] if reading.share > 1 else ()),
        ]
        for charge, reading in zip(plan.charges, readings.readings, strict=False)
    ]


def _facts(facts: Facts, reads: frozenset[str]) -> dict[str, Json]:
    written: dict[str, Json] = {}
    for name, value in facts.items():
        if name == "time.now" or (name not in ALWAYS and name not in reads):
            continue
        if CATALOGUE[name].personal or DEFAULTS.get(name) == value:
            continue
        if name not in reads and (name, value) == UNREMARKABLE:
            continue
        if isinstance(value, str | int | float):
            written[name] = value
        elif isinstance(value, tuple):
            written[name] = list(value)
        elif any(value.values()):  # a window that is not there counts nobody
            written[name] = {str(key): n for key, n in value.items() if n}
    return written
