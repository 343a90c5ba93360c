"""Exceptions that do nothing, say a thing twice, or are worth a second look."""

from collections.abc import Iterator
from itertools import chain

from proxy.model.verdict import Mode
from proxy.policy.lints.certain import Acting
from proxy.policy.lints.never import contradiction
from proxy.policy.lints.reach import Reach
from proxy.policy.problem import Problem
from proxy.policy.rules import ExceptionRule
from proxy.policy.schema import ExceptionSpec
from proxy.policy.written import Entry, Written


def exceptions(written: Written) -> Iterator[Problem]:
    """Everything about each exception but its end."""
    for exception in written.policy.exceptions:
        entry = written.entries[exception.id]
        if all(Reach(()).implies(atom) for atom in exception.match.conditions):
            message = "this exception is for every exchange: put its rules in shadow instead"
            yield entry.problem(message, "match")
        assert isinstance(entry.spec, ExceptionSpec)
        yield from chain(
            _named_twice(entry, entry.spec),
            _each_rule(written, exception, entry, entry.spec),
        )


def _named_twice(entry: Entry, spec: ExceptionSpec) -> Iterator[Problem]:
    for i, rule in enumerate(spec.rules):
        if rule in spec.rules[:i]:
            yield entry.problem(f'"{rule}" is named twice: remove one', "rules", i)


def _each_rule(
    written: Written, exception: ExceptionRule, entry: Entry, spec: ExceptionSpec
) -> Iterator[Problem]:
    """What the exception means for each rule that it names."""
    applies = not contradiction(exception.match.conditions)
    for id_ in dict.fromkeys(spec.rules):
        i, rule = spec.rules.index(id_), written.policy.by_id[id_]
        if rule.legal:
            message = f'"{id_}" is a legal duty: see that somebody may grant an exception from it'
            yield entry.problem(message, "rules", i)
        if rule.mode is Mode.SHADOW:
            message = f'"{id_}" is in shadow, so that there is nothing to lower'
            yield entry.problem(message, "rules", i)
        together = (*exception.match.conditions, *Acting(rule, 0).atoms)
        if applies and contradiction(together) and not Acting(rule, 0).idle:
            message = f'"{id_}" is about none of the exchanges for which the exception is'
            yield entry.problem(message, "rules", i)
