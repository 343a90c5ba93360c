"""What came of a case, held against what it expects."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from proxy.model.decision import RuleOutcome
from proxy.model.record import Json
from proxy.model.verdict import Mode, Verdict
from proxy.trial.case import Case
from proxy.trial.expect_schema import ExpectSpec
from proxy.trial.parts import NOTHING, Triple, fits, within, word
from proxy.trial.run_cases import Ran
from proxy.trial.told import Said


@dataclass(frozen=True, slots=True)
class Difference:
    """One expectation that did not come true; `what` names it, as the file does.

    `step` is which of the case's exchanges it is about, from 0.
    """

    what: str
    wanted: str
    came: str
    step: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """A case that was run, and how it differs from what was expected."""

    ran: Ran
    differences: tuple[Difference, ...]

    @property
    def case(self) -> Case:
        """The case."""
        return self.ran.case

    @property
    def passed(self) -> bool:
        """Whether all came true."""
        return not self.differences


def compared(ran: Ran) -> Result:
    """The result of a case that was run."""
    found: list[Difference] = []
    for number, (step, said) in enumerate(zip(ran.case.steps, ran.said, strict=True)):
        if step.expect is not None:
            pairs = differences(step.expect, said)
            found.extend(Difference(what, wanted, came, number) for what, wanted, came in pairs)
    for rule, unit in ran.uncounted:
        what, wanted = f"counters.{rule}.{unit.value}", "a count that the rule comes upon"
        found.append(Difference(what, wanted, "the rule counts nothing here", len(ran.said) - 1))
    return Result(ran, tuple(found))


def differences(expect: ExpectSpec, said: Said) -> Iterator[Triple]:
    """Each expectation that did not come true."""
    for name in ExpectSpec.model_fields:
        wanted = getattr(expect, name)
        if wanted is not None:
            yield from _COMPARE[name](name, wanted, said)


# Plain values


def _plain(came: Callable[[Said], object]) -> Callable[[str, Any, Said], Iterator[Triple]]:
    def compare(name: str, wanted: Any, said: Said) -> Iterator[Triple]:
        found = came(said)
        if found != wanted:
            yield name, word(wanted), word(found)

    return compare


# Rules


def acts(outcome: RuleOutcome) -> bool:
    """Whether a rule does something to the exchange, or would; one that abstains does not."""
    return outcome.verdict > Verdict.ALLOW or bool(outcome.modifiers)


def strongest(outcomes: Iterable[RuleOutcome]) -> dict[str, Verdict]:
    """What each rule says; of a quota with several limits the strongest."""
    said: dict[str, Verdict] = {}
    for outcome in outcomes:
        said[outcome.rule] = max(outcome.verdict, said.get(outcome.rule, Verdict.ALLOW))
    return said


def spoken_in(mode: Mode, said: Said) -> tuple[RuleOutcome, ...]:
    """What rules said in a mode."""
    if mode is Mode.SHADOW:
        return said.decision.shadow
    return tuple(outcome for outcome in said.decision.spoke if outcome.mode is mode)


def _in_mode(mode: Mode) -> Callable[[str, Mapping[str, str], Said], Iterator[Triple]]:
    def compare(name: str, wanted: Mapping[str, str], said: Said) -> Iterator[Triple]:
        came = strongest(spoken_in(mode, said))
        for rule, verdict in wanted.items():
            if rule not in came or came[rule].word != verdict:
                yield f"{name}.{rule}", verdict, _elsewhere(rule, said)

    return compare


def _elsewhere(rule: str, said: Said) -> str:
    """What a rule said, with its mode where that is not enforce."""
    for mode in (Mode.ENFORCE, Mode.WARN, Mode.SHADOW):
        verdict = strongest(spoken_in(mode, said)).get(rule)
        if verdict is not None:
            return verdict.word if mode is Mode.ENFORCE else f"{verdict.word}, in {mode.value} mode"
    return NOTHING


def _only_rules(name: str, wanted: Mapping[str, str], said: Said) -> Iterator[Triple]:
    yield from _in_mode(Mode.ENFORCE)(name, wanted, said)
    acting = filter(acts, spoken_in(Mode.ENFORCE, said))
    for rule, verdict in strongest(acting).items():
        if rule not in wanted:
            yield f"{name}.{rule}", NOTHING, verdict.word


def _no_rules(name: str, wanted: list[str], said: Said) -> Iterator[Triple]:
    acting = {o.rule for o in (*said.decision.spoke, *said.decision.shadow) if acts(o)}
    for rule in wanted:
        if rule in acting:
            yield f"{name}.{rule}", NOTHING, _elsewhere(rule, said)


def _counted(name: str, wanted: list[str], said: Said) -> Iterator[Triple]:
    came = list(dict.fromkeys(charge.rule for charge in said.weighed.plan.charges))
    if sorted(came) != sorted(wanted):
        yield name, word(wanted), word(came)


def _lowered(name: str, wanted: Mapping[str, str], said: Said) -> Iterator[Triple]:
    causes = {low.rule: (low.cause.value, low.exception) for low in said.weighed.plan.lowered}
    for rule, cause in wanted.items():
        came = causes.get(rule, ())
        if cause not in came:
            yield f"{name}.{rule}", cause, " ".join(filter(None, came)) or NOTHING


def _reasons(name: str, wanted: Mapping[str, str], said: Said) -> Iterator[Triple]:
    for rule, pattern in wanted.items():
        every = (*said.decision.spoke, *said.decision.shadow)
        came = [outcome.why for outcome in every if outcome.rule == rule]
        if not any(fits(pattern, why) for why in came):
            yield f"{name}.{rule}", pattern, " | ".join(came) or NOTHING


def _warnings(name: str, wanted: list[str], said: Said) -> Iterator[Triple]:
    came = said.decision.warnings
    alike = len(came) == len(wanted) and all(map(fits, wanted, came))
    if not alike:
        yield name, word(wanted), word(came)


def _modifiers(name: str, wanted: list[str], said: Said) -> Iterator[Triple]:
    came = said.decision.modifiers.words()
    if sorted(came) != sorted(wanted):
        yield name, word(wanted), word(came)


# What the caller gets, and the record


def _message(name: str, wanted: str, said: Said) -> Iterator[Triple]:
    refusal = said.decision.refusal
    if refusal is None:
        yield name, wanted, "nothing: it was let through"
    elif not fits(wanted, refusal.message):
        yield name, wanted, refusal.message


def _headers(name: str, wanted: Mapping[str, Any], said: Said) -> Iterator[Triple]:
    for header, value in wanted.items():
        came = [text for field, text in said.headers if field.lower() == header.lower()]
        alike = any(fits(word(value), text) for text in came) if value is not None else not came
        if not alike:
            yield f"{name}.{header}", word(value), ", ".join(came) or NOTHING


def _part(came: Callable[[Said], Json]) -> Callable[[str, Any, Said], Iterator[Triple]]:
    def compare(name: str, wanted: Any, said: Said) -> Iterator[Triple]:
        yield from within(name, wanted, came(said))

    return compare


def _entry(said: Said) -> Json:
    """The audit entry of the decision, as a reader of the log finds it."""
    return {"type": said.record.type, "exchange": said.record.exchange, **said.record.fields}


_COMPARE: Mapping[str, Callable[[str, Any, Said], Iterator[Triple]]] = {
    "verdict": _plain(lambda said: said.decision.verdict.word),
    "status": _plain(lambda said: said.status),
    "rules": _in_mode(Mode.ENFORCE),
    "only_rules": _only_rules,
    "no_rules": _no_rules,
    "counted": _counted,
    "warned": _in_mode(Mode.WARN),
    "shadow": _in_mode(Mode.SHADOW),
    "lowered": _lowered,
    "reasons": _reasons,
    "message": _message,
    "headers": _headers,
    "body": _part(lambda said: said.body),
    "sent": _part(lambda said: said.sent),
    "delay_s": _plain(lambda said: said.decision.delay_s),
    "modifiers": _modifiers,
    "warnings": _warnings,
    "by_cluster": _plain(lambda said: said.decision.by_cluster),
    "durability": _plain(lambda said: said.decision.durability.word),
    "record": _part(_entry),
}
