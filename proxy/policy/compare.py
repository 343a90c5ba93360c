"""Two policy sets compared, in the words of their files: what a change changes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from proxy.policy.resets import Reset, resets
from proxy.policy.rules import PolicySet
from proxy.policy.schema_quota import WINDOWS
from proxy.policy.schema_texts import duration_s, instant_ns
from proxy.policy.written import SECTIONS, Entry, Written

DURATIONS = frozenset(("window", "within", "delay", "retry_after"))
INSTANTS = frozenset(("not_before", "expires", "until"))
SHOWN = 6  # values of a list that are shown

Row = tuple[str, object, object]  # key, before, after; None where it is not given


@dataclass(frozen=True, slots=True)
class RuleChange:
    """A rule or exception that is on both sides. `was` is its old id where it was renamed.

    `rows` are the keys that differ, dotted, with what they were and are.
    """

    section: str
    id: str
    rows: tuple[Row, ...]
    was: str = ""

    def __str__(self) -> str:
        name = f"{self.section} {self.was} → {self.id}" if self.was else f"{self.section} {self.id}"
        said = "; ".join(f"{key} {_between(before, after)}" for key, before, after in self.rows)
        return f"{name}: {said or 'renamed'}"


@dataclass(frozen=True, slots=True)
class ListChange:
    """A list whose values differ, and the rules that read it. A list that was not, or is no more,
    has all its values added or removed."""

    name: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    readers: tuple[str, ...]
    section: str = "lists"

    def __str__(self) -> str:
        said = []
        if self.added:
            said.append(f"added {_some(self.added)}")
        if self.removed:
            said.append(f"removed {_some(self.removed)}")
        text = f"{self.section} {self.name}: {'; '.join(said)}"
        if self.section != "lists":
            return text
        return f"{text} (read by {', '.join(self.readers) or 'nothing'})"


@dataclass(frozen=True, slots=True)
class Difference:
    """What a change changes. `added` and `removed` are (section, id), `reordered` sections in
    which rules are heard in another order, `resets` the quotas that then count from nothing."""

    added: tuple[tuple[str, str], ...]
    removed: tuple[tuple[str, str], ...]
    changed: tuple[RuleChange, ...]
    lists: tuple[ListChange, ...]
    groups: tuple[ListChange, ...]
    prices: tuple[str, ...]
    reordered: tuple[str, ...]
    resets: tuple[Reset, ...]

    def __bool__(self) -> bool:
        rules = self.added or self.removed or self.changed or self.reordered
        return bool(rules or self.lists or self.groups or self.prices)

    def lines(self) -> tuple[str, ...]:
        """The change in words, a line for each part of it; none where nothing changes."""
        return (
            *(f"{section} {id_}: added" for section, id_ in self.added),
            *(f"{section} {id_}: removed" for section, id_ in self.removed),
            *map(str, self.changed),
            *map(str, self.lists),
            *map(str, self.groups),
            *(f"prices: {text}" for text in self.prices),
            *(f"{section}: heard in another order" for section in self.reordered),
            *(f"quotas {reset.rule}: counts from nothing, {reset.why}" for reset in self.resets),
        )


def compare(old: PolicySet, new: PolicySet) -> Difference:
    """What is different in `new`, both of which came from files."""
    before, after = Written(old), Written(new)
    counters = resets(old, new)
    renamed = _renamed(before, after)
    for reset in counters:
        if reset.was:
            renamed.setdefault(reset.was, reset.rule)
    gone = [e for i, e in before.entries.items() if not _still(e, i, after)]
    come = [e for i, e in after.entries.items() if not _still(e, i, before)]
    was = {new_id: old_id for old_id, new_id in renamed.items()}
    return Difference(
        added=tuple((e.section, e.spec.id) for e in come if e.spec.id not in was),
        removed=tuple((e.section, e.spec.id) for e in gone if e.spec.id not in renamed),
        changed=tuple(_changes(before, after, was)),
        lists=tuple(_lists(before, after)),
        groups=tuple(_groups(old, new)),
        prices=tuple(_prices(old, new)),
        reordered=tuple(_reordered(before, after)),
        resets=counters,
    )


def _still(entry: Entry, id_: str, other: Written) -> bool:
    """Whether the other set has a rule of that id in the same section."""
    found = other.entries.get(id_)
    return found is not None and found.section == entry.section


def _renamed(before: Written, after: Written) -> dict[str, str]:
    """Old id to new: of a rule that is gone, and one that is new and says the same."""
    found: dict[str, str] = {}
    gone = [(i, e) for i, e in before.entries.items() if not _still(e, i, after)]
    for id_, entry in after.entries.items():
        if _still(entry, id_, before):
            continue
        alike = (
            old
            for old, e in gone
            if old not in found and e.section == entry.section and _same(e, entry)
        )
        old = next(alike, None)
        if old is not None:
            found[old] = id_
    return found


def _same(one: Entry, other: Entry) -> bool:
    return not [key for key, _, _ in _rows(one, other) if key != "id"]


def _changes(before: Written, after: Written, was: Mapping[str, str]) -> Iterator[RuleChange]:
    for id_, entry in after.entries.items():
        old_id = was.get(id_, id_)
        old = before.entries.get(old_id)
        if old is None or old.section != entry.section:
            continue
        rows = tuple(row for row in _rows(old, entry) if row[0] != "id")
        if rows or old_id != id_:
            yield RuleChange(entry.section, id_, rows, was="" if old_id == id_ else old_id)


def _rows(old: Entry, new: Entry) -> Iterator[Row]:
    """The keys that differ in what they mean, in the order of the schema."""
    before, after = _flat(old), _flat(new)
    for key in dict.fromkeys((*after, *before)):
        given, now = before.get(key), after.get(key)
        if _meant(key, given) != _meant(key, now):
            yield key, given, now


def _flat(entry: Entry) -> dict[str, object]:
    """What an entry says, defaults too, by dotted key."""
    return dict(_leaves(entry.spec.model_dump(), ""))


def _leaves(value: Mapping[str, Any], above: str) -> Iterator[tuple[str, object]]:
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from _leaves(inner, f"{above}{key}.")
        elif key == "per" and isinstance(inner, list) and len(inner) == 1:
            yield f"{above}{key}", inner[0]
        elif inner is not None:
            yield f"{above}{key}", inner


def _meant(key: str, value: object) -> object:
    """A value as it counts: an hour is sixty minutes, and all accounts are all."""
    last = key.rpartition(".")[2]
    if isinstance(value, str) and last in DURATIONS and value not in WINDOWS:
        return duration_s(value)
    if isinstance(value, str) and last in INSTANTS:
        return instant_ns(value)
    if last == "rollout" and value == 100:
        return None
    return value or None


def _lists(before: Written, after: Written) -> Iterator[ListChange]:
    old, new = before.policy.lists, after.policy.lists
    for name in dict.fromkeys((*new, *old)):
        had, has = old.get(name, ()), new.get(name, ())
        added = tuple(value for value in has if value not in had)
        removed = tuple(value for value in had if value not in has)
        if added or removed:
            readers = after.readers(name) if name in new else before.readers(name)
            yield ListChange(name, added, removed, readers)


def _groups(before: PolicySet, after: PolicySet) -> Iterator[ListChange]:
    old, new = before.model_groups, after.model_groups
    for name in dict.fromkeys((*new, *old)):
        had, has = old.get(name, ()), new.get(name, ())
        added = tuple(value for value in has if value not in had)
        removed = tuple(value for value in had if value not in has)
        if added or removed:
            yield ListChange(name, added, removed, (), "model_groups")


def _prices(before: PolicySet, after: PolicySet) -> Iterator[str]:
    """The entries of the price table that are gone, and those that are new, in words."""
    old, new = _price_texts(before), _price_texts(after)
    yield from (f"removed {text}" for text in old if text not in new)
    yield from (f"added {text}" for text in new if text not in old)
    if sorted(old) == sorted(new) and old != new:
        yield "in another order"


def _price_texts(policy: PolicySet) -> list[str]:
    return [
        ", ".join(f"{key} {_shown(value)}" for key, value in _leaves(price.model_dump(), ""))
        for _, spec in policy.sources
        for price in spec.prices
    ]


def _reordered(before: Written, after: Written) -> Iterator[str]:
    for section in SECTIONS:
        old = [i for i, e in before.entries.items() if e.section == section]
        new = [i for i, e in after.entries.items() if e.section == section]
        if [i for i in old if i in new] != [i for i in new if i in old]:
            yield section


def _between(before: object, after: object) -> str:
    if isinstance(before, list) and isinstance(after, list):
        added = [value for value in after if value not in before]
        removed = [value for value in before if value not in after]
        said = [
            f"{verb} {_some(values)}"
            for verb, values in (("added", added), ("removed", removed))
            if values
        ]
        return "; ".join(said) or "in another order"
    return f"{_shown(before)} → {_shown(after)}"


def _some(values: list[Any] | tuple[str, ...]) -> str:
    shown = ", ".join(map(str, values[:SHOWN]))
    return f"{shown} and {len(values) - SHOWN} more" if len(values) > SHOWN else shown


def _shown(value: object) -> str:
    match value:
        case None:
            return "(none)"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case list():
            return f"[{_some(value)}]"
        case str() if " " in value:
            return f'"{value}"'
        case _:
            return str(value)
