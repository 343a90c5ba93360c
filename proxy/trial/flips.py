"""Exchanges that two policy sets decide differently: how, and whose doing it is."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from proxy.model.decision import Decision, RuleOutcome
from proxy.model.verdict import Mode
from proxy.replay.judged import Judged
from proxy.trial.decided import deciding_outcomes


class Direction(StrEnum):
    """Which way an exchange flips."""

    REFUSED = "newly_refused"
    LET_THROUGH = "newly_let_through"
    OTHERWISE = "changed_otherwise"

    @property
    def words(self) -> str:
        """As people read it."""
        return self.value.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Side:
    """What one of the sets did. `refusal` is the kind of the answer to a refused exchange."""

    verdict: str
    refusal: str | None
    modifiers: tuple[str, ...]
    delay_s: float
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        said = [self.verdict]
        if self.delay_s:
            said.append(f"{self.delay_s:g} s")
        said += self.modifiers
        said += ["warned"] if self.warnings else []
        return " ".join(said)


@dataclass(frozen=True, slots=True)
class Doing:
    """A rule whose doing a flip is: what it said under the old or the new set.

    `reset` says that its counts had begun from nothing in this window, because of the change.
    """

    rule: str
    side: str
    why: str
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Flip:
    """One exchange. `ts` is Unix seconds; tokens as recorded, None where they are not."""

    id: str
    ts: float
    account: str | None
    direction: Direction
    old: Side
    new: Side
    rules: tuple[Doing, ...]
    tokens: int | None


def flip_of(old: Judged, new: Judged) -> Flip | None:
    """How an exchange flips from the old set to the new one; None where it does not."""
    before, after = side_of(old.decision), side_of(new.decision)
    if before == after:
        return None
    direction = _direction(old.decision, new.decision)
    doings = tuple(_doings(direction, old.decision, new.decision))
    usage = old.recorded.response.read_usage() if old.recorded.response else None
    return Flip(
        old.recorded.id,
        old.recorded.ts,
        old.account,
        direction,
        before,
        after,
        doings or tuple(_reworded(new.decision)),
        usage.total_tokens if usage else None,
    )


def side_of(decision: Decision) -> Side:
    """What of a decision the caller notices."""
    return Side(
        decision.verdict.word,
        decision.refusal.kind.value if decision.refusal else None,
        tuple(decision.modifiers.words()),
        decision.delay_s,
        decision.warnings,
    )


def _direction(old: Decision, new: Decision) -> Direction:
    if old.verdict.refuses is new.verdict.refuses:
        return Direction.OTHERWISE
    return Direction.REFUSED if new.verdict.refuses else Direction.LET_THROUGH


def _doings(direction: Direction, old: Decision, new: Decision) -> Iterator[Doing]:
    """A refusal is the doing of the rules that refuse, its end that of those that did."""
    before, after = _acting(old), _acting(new)
    if direction is not Direction.LET_THROUGH:
        for outcome in after:
            if not _alike(outcome, before):
                yield Doing(outcome.rule, "new", outcome.why)
    if direction is not Direction.REFUSED:
        for outcome in before:
            if not _alike(outcome, after):
                yield Doing(outcome.rule, "old", outcome.why)


def _reworded(decision: Decision) -> Iterator[Doing]:
    """The rules act as before, and say it in other words."""
    for outcome in _acting(decision):
        yield Doing(outcome.rule, "new", outcome.why)


def _acting(decision: Decision) -> list[RuleOutcome]:
    """The rules whose doing the decision is, with those that only warn, each once."""
    acting = deciding_outcomes(decision)
    if not decision.verdict.refuses:
        acting += [o for o in decision.spoke if o.mode is Mode.WARN and (o.verdict or o.modifiers)]
    return list({outcome.rule: outcome for outcome in reversed(acting)}.values())[::-1]


def _alike(outcome: RuleOutcome, others: list[RuleOutcome]) -> bool:
    return any(
        (o.rule, o.mode, o.verdict, o.delay_s, o.modifiers)
        == (outcome.rule, outcome.mode, outcome.verdict, outcome.delay_s, outcome.modifiers)
        for o in others
    )
