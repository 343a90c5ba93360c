"""One condition asked of one exchange's facts, also where some of these cannot be read any more."""

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.model.facts import CATALOGUE, Facts, FactType, FactValue
from proxy.policy.ending import utc_text
from proxy.policy.match import Atom, Condition, Failed, Match, Missing, Truth
from proxy.trial.explanation import Clause, Mark, Value

_WEIGHT = {Mark.FALSE: 4, Mark.WITHHELD: 3, Mark.FAILED: 2, Mark.MISSING: 1, Mark.TRUE: 0}


@dataclass(frozen=True, slots=True)
class Withheld:
    """A fact that was known then and cannot be read now, and why.

    `none_named` says that it is certainly none of the values that conditions list: their pseudonyms
    were compared, under the key of the record.
    """

    why: str
    none_named: bool = False


WithheldFacts = Mapping[str, Withheld]
NOTHING_WITHHELD: WithheldFacts = {}


def clause_of(atom: Atom, facts: Facts, withheld: WithheldFacts) -> Clause:
    """What a condition says of the facts, with their values."""
    values = tuple((fact, shown(fact, facts.get(fact))) for fact in sorted(atom.facts))
    truth = _told(atom, facts, withheld)
    if truth is None:
        hidden = sorted(atom.facts & withheld.keys())
        why = "; ".join(f"{fact}: {withheld[fact].why}" for fact in hidden)
        return Clause(atom.text, Mark.WITHHELD, values, why)
    mark, why = _marked(truth)
    return Clause(atom.text, mark, values, why)


def together(clauses: tuple[Clause, ...]) -> Mark:
    """What conditions that must all hold come to: one that is false settles it."""
    return max((clause.mark for clause in clauses), key=_WEIGHT.__getitem__, default=Mark.TRUE)


def open_conditions(
    match: Match, facts: Facts, withheld: WithheldFacts
) -> tuple[tuple[Atom, ...], bool]:
    """The conditions of a match that can be told, and whether there are others that settle it."""
    told = [(atom, _told(atom, facts, withheld)) for atom in match.conditions]
    known = tuple(atom for atom, truth in told if truth is not None)
    is_open = len(known) < len(told) and all(truth is not False for _, truth in told)
    return known, is_open


def shown(fact: str, value: FactValue | None) -> Value:
    """A fact's value for people: a time as text."""
    if isinstance(value, int) and CATALOGUE[fact].type is FactType.TIME:
        return utc_text(value)
    return value


def _told(atom: Atom, facts: Facts, withheld: WithheldFacts) -> Truth | None:
    """What a condition says; None where that hangs on a withheld fact.

    Where such a fact does not matter (another part is false) it can be told: the logic is
    three-valued. But has() would answer as if it had not been known.
    """
    hidden = atom.facts & withheld.keys()
    if not hidden:
        return atom.holds(facts)
    if isinstance(atom, Condition):
        named = atom.values is not None and withheld[atom.fact].none_named
        return False if named else None
    truth = atom.holds(facts) if atom.guarded.isdisjoint(hidden) else None
    return truth if isinstance(truth, bool) else None


def _marked(truth: Truth) -> tuple[Mark, str]:
    if isinstance(truth, Missing):
        return Mark.MISSING, f"{truth.fact} is not known"
    if isinstance(truth, Failed):
        return Mark.FAILED, truth.error
    return (Mark.TRUE if truth else Mark.FALSE), ""
