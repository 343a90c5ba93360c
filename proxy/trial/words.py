"""What a change says about each rule, so that what comes of it can be laid at its door."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from proxy.policy.compare import Difference, compare
from proxy.policy.rules import PolicySet
from proxy.policy.windows import Window

EXCEPTIONS = "exceptions"


@dataclass(frozen=True, slots=True)
class Words:
    """A change in words. `named` gives a rule's present id by the one that it had before.

    `by_rule` has what was changed about a rule, by its present id (or the last that it had):
    itself, the lists that it reads, the exceptions that name it. `reset` says of quotas why
    they count from nothing when the change goes live.
    """

    difference: Difference
    by_rule: Mapping[str, tuple[str, ...]]
    named: Mapping[str, str]
    reset: Mapping[str, str]
    windows: Mapping[str, Window]


def words_of(old: PolicySet, new: PolicySet) -> Words:
    """The change from one set to another."""
    difference = compare(old, new)
    named = {change.was: change.id for change in difference.changed if change.was}
    said: defaultdict[str, list[str]] = defaultdict(list)
    for rule, text in _said(difference, old, new):
        said[named.get(rule, rule)].append(text)
    return Words(
        difference,
        {rule: tuple(dict.fromkeys(texts)) for rule, texts in said.items()},
        named,
        {reset.rule: reset.why for reset in difference.resets},
        {rule.id: rule.window for rule in new.quotas},
    )


def _said(difference: Difference, old: PolicySet, new: PolicySet) -> Iterator[tuple[str, str]]:
    """(rule, what was changed about it)."""
    exempt = {one.id: one.rules for policy in (old, new) for one in policy.exceptions}
    for verb, entries in (("added", difference.added), ("removed", difference.removed)):
        for section, id_ in entries:
            if section == EXCEPTIONS:
                for rule in exempt.get(id_, ()):
                    yield rule, f"{verb} exception {id_}"
            else:
                yield id_, verb
    for change in difference.changed:
        text = str(change)
        rules = exempt.get(change.id, ()) if change.section == EXCEPTIONS else (change.id,)
        for rule in rules:
            yield rule, text
    for held in difference.lists:
        for reader in held.readers:
            for rule in exempt.get(reader, (reader,)):
                yield rule, str(held)
