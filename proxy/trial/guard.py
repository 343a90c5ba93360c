"""What the cases of a set guard: rules that none exercises, and changes that none notices."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from proxy.model.verdict import Cause
from proxy.policy.rules import PolicySet
from proxy.trial.compare_case import Result, acts, compared
from proxy.trial.mutate import Mutant, mutants
from proxy.trial.run_cases import Ran, Trial, Worlds
from proxy.trial.told import Said


def unexercised(policy: PolicySet, results: Sequence[Result]) -> tuple[str, ...]:
    """Rules that acted in no case, in whatever mode, and exceptions that lowered nothing."""
    acted = {rule for result in results for said in result.ran.every for rule in _acting(said)}
    every = (*policy.exceptions, *policy.rules)
    return tuple(rule.id for rule in every if rule.id not in acted)


def _acting(said: Said) -> Iterator[str]:
    """The rules that would have done something to the exchange, or did."""
    for outcome in (*said.decision.spoke, *said.decision.shadow):
        if acts(outcome):
            yield outcome.rule
    for lowered in said.weighed.plan.lowered:
        if lowered.cause is Cause.EXCEPTION:
            yield lowered.exception


@dataclass(frozen=True, slots=True)
class Attempt:
    """A mutant, and the results of the cases that could notice it."""

    mutant: Mutant
    results: tuple[Result, ...]


def attempts(policy: PolicySet, results: Sequence[Result]) -> tuple[Attempt, ...]:
    """Every mutant of the set with the cases that matter: those that its rule would govern."""
    passed = [result for result in results if result.passed]
    return tuple(
        Attempt(mutant, tuple(result for result in passed if _concerns(mutant, result.ran)))
        for mutant in mutants(policy)
    )


def _concerns(mutant: Mutant, ran: Ran) -> bool:
    return any(
        said.weighed.refusal is None and mutant.match.holds(said.weighed.facts) is not False
        for said in ran.every
    )


def noticed(attempt: Attempt, worlds: Worlds) -> bool:
    """Whether a case comes out otherwise than expected where the rule is changed."""
    if not attempt.results:
        return False
    trial = Trial(attempt.mutant.make(), worlds)
    return any(not compared(trial.run(result.case)).passed for result in attempt.results)


@dataclass(frozen=True, slots=True)
class Report:
    """What running the cases of a set comes to.

    `unexercised` and `survivors` are None where nobody looked. `tried` is how many mutants there
    were.
    """

    policy: PolicySet
    results: tuple[Result, ...]
    unexercised: tuple[str, ...] | None = None
    survivors: tuple[Mutant, ...] | None = None
    tried: int = 0

    @property
    def failed(self) -> tuple[Result, ...]:
        """The cases that did not come out as expected."""
        return tuple(result for result in self.results if not result.passed)

    def in_order(self, *, cover: bool) -> bool:
        """Whether all cases passed and, where `cover` is asked for, guard all rules."""
        guarded = not self.unexercised and not self.survivors
        return not self.failed and (guarded or not cover)
