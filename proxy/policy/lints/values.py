"""Values that do nothing: written twice, covered by another, or matching nothing."""

from collections.abc import Iterator

from proxy.policy.lints.globs import covers, meet
from proxy.policy.lints.reach import network_within
from proxy.policy.problem import Problem
from proxy.policy.schema import ExceptionSpec
from proxy.policy.written import Entry, Written

# Keys whose values are compared whole, and what to write where wildcards are meant.
WHOLE = {
    "tiers": "account.tier",
    "accounts": "account.id",
    "keys": "account.key",
    "organizations": "account.organization",
    "labels": None,
}
PATTERNS = ("models", "ja4")
JA4 = "??????????_????????????_????????????"  # 10 characters, 12, 12


def lists(written: Written) -> Iterator[Problem]:
    """Lists that nobody uses, and values that a list has twice."""
    for name, values in written.policy.lists.items():
        if not written.readers(name):
            message = f'nothing uses the list "{name}": remove it, or write ${name} in a rule'
            yield written.list_problem(name, message)
        for i, value in enumerate(values):
            if value in values[:i]:
                yield written.list_problem(name, f'"{value}" stands here twice', i)
            elif value != value.strip():
                yield written.list_problem(name, _blanks(value), i)


def tables(written: Written) -> Iterator[Problem]:
    """The values that stand in rules themselves, and lists used for what they cannot match."""
    for entry in written.entries.values():
        for key, values, path in _tables(entry):
            resolved = values if isinstance(values, list) else written.policy.lists[values[1:]]
            yield from _matching_nothing(entry, key, resolved, path, isinstance(values, list))
            if isinstance(values, list):
                yield from _idle(entry, key, values, path)


Table = tuple[str, list[str] | str, tuple[str, ...]]  # key, values, path


def _tables(entry: Entry) -> Iterator[Table]:
    match = entry.spec.match
    for key in (*WHOLE, *PATTERNS, "networks", "countries", "surfaces", "dialects", "anonymizers"):
        given = getattr(match, key)
        if given is not None:
            yield key, given, ("match", key)
    if isinstance(entry.spec, ExceptionSpec):
        if entry.spec.accounts is not None:
            yield "accounts", entry.spec.accounts, ("accounts",)
        return
    for key in ("deny_countries", "allow_countries"):
        given = getattr(entry.spec, key, None)
        if given is not None:
            yield "countries", given, (key,)


def _matching_nothing(
    entry: Entry, key: str, values: list[str] | tuple[str, ...], path: tuple[str, ...], own: bool
) -> Iterator[Problem]:
    """Values that match another text than they look as if they did; `own` where they stand here."""
    for i, value in enumerate(values):
        at: tuple[str | int, ...] = (*path, i) if own else path
        if key in WHOLE and ("*" in value or "?" in value):
            yield entry.problem(f"{key} takes no wildcards: {_globbed(key, value)}", *at)
        elif key == "ja4" and not meet(value, JA4):
            yield entry.problem(f'"{value}" matches no JA4 (such as {_EXAMPLE})', *at)
        elif own and value != value.strip():
            yield entry.problem(_blanks(value), *at)


_EXAMPLE = "t13d1516h2_8daaf6152771_e5627efa2ab1"


def _globbed(key: str, value: str) -> str:
    fact = WHOLE[key]
    if fact is None:
        instead = f'account.labels.exists(label, glob(label, "{value}"))'
    else:
        instead = f'glob({fact}, "{value}")'
    return f'"{value}" is this very text; in cel, {instead} is the pattern'


def _blanks(value: str) -> str:
    return f'"{value}" begins or ends with a blank: only a text with that blank is matched'


def _idle(entry: Entry, key: str, values: list[str], path: tuple[str, ...]) -> Iterator[Problem]:
    """Values that add nothing to those beside them."""
    for i, value in enumerate(values):
        if value in values[:i]:
            yield entry.problem(f'"{value}" stands here twice', *path, i)
            continue
        others = [other for other in values if other != value]
        wider = next((other for other in others if _wider(key, other, value)), None)
        if wider is not None:
            yield entry.problem(f'"{wider}" has all that "{value}" has: remove one', *path, i)


def _wider(key: str, wide: str, narrow: str) -> bool:
    """Whether a value matches all that another does, which does not match all of its own."""
    if key in PATTERNS:
        return covers(wide, narrow) and not covers(narrow, wide)
    if key == "networks":
        return network_within(narrow, wide) and not network_within(wide, narrow)
    return False


def asns(written: Written) -> Iterator[Problem]:
    """Numbers that a table has twice."""
    for entry in written.entries.values():
        numbers = entry.spec.match.asns or []
        for i, number in enumerate(numbers):
            if number in numbers[:i]:
                yield entry.problem(f"{number} stands here twice", "match", "asns", i)


VALUES = (lists, tables, asns)
