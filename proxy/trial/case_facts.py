"""Facts as a case gives them, to facts as rules read them: each of its type, and possible."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from ipaddress import ip_address
from typing import Any

import msgspec

from proxy.facts.account_lines import check_limits
from proxy.facts.address import canonical
from proxy.facts.owners import ways_to
from proxy.model.account import Owner
from proxy.model.exchange import BodyKind, Dialect, Surface
from proxy.model.facts import CATALOGUE, Fact, Facts, FactType, FactValue
from proxy.pipeline.weigh import WRITES, own_limits
from proxy.policy.ownership import OwnersError, owned_share
from proxy.policy.schema_texts import duration_s
from proxy.trial.case_clusters import LINEAGE, lineage_of, with_clusters
from proxy.trial.facts_schema import GIVEN_OTHERWISE, SETTABLE, VALUES
from proxy.trial.parts import span
from proxy.trial.spot import Spot
from proxy.wire.surfaces import SURFACES

MAX_INT = 10**15
SHARES = frozenset(("cluster.score", "cluster.account_weight"))
TEMPLATE_ACCOUNTS = "fingerprint.template_accounts"

# What is known of every exchange, where a case does not say otherwise.
ORDINARY: Facts = {
    "request.surface": "chat.completions",
    "request.stream": False,
    "request.choices": 1,
    "request.input_tokens": 0,
    "request.body_bytes": 0,
    "account.id": "acc-1",
    "account.labels": (),
    TEMPLATE_ACCOUNTS: {},
}
Given = dict[str, FactValue | None]


def near(word: str, known: Iterable[str]) -> str:
    """The likely fix of a name that is not known."""
    names = list(known)
    found = get_close_matches(word, names, n=1) or get_close_matches(word.upper(), names, n=1)
    return f' (did you mean "{found[0]}"?)' if found else ""


def read_facts(
    given: Mapping[str, Any], windows_s: frozenset[int], spot: Spot, prefix: str = ""
) -> Given:
    """The facts of their types; None for one that is not known.

    `windows_s` are the windows in which the set's rules ask for shared templates: a number for
    another one would do nothing. `prefix` is what the names of the facts begin with.
    """
    facts: Given = {}
    for written, value in given.items():
        name, here = prefix + written, spot.at(written)
        if unnamed := _no_such(name):
            here.key_fault(unnamed)
            continue
        try:
            facts[name] = read_fact(name, value, windows_s)
        except ValueError as error:
            here.fault(str(error))
    return facts


def read_each(
    given: Mapping[str, list[Any]], windows_s: frozenset[int], spot: Spot
) -> dict[str, list[tuple[FactValue | None, Any]]]:
    """The values of each fact, read and as they are written."""
    columns: dict[str, list[tuple[FactValue | None, Any]]] = {}
    for name, values in given.items():
        here = spot.at(name)
        if unnamed := _no_such(name):
            here.key_fault(unnamed)
            continue
        if not values:
            here.fault("an empty list: the case would never be run")
        columns[name] = []
        for i, value in enumerate(values):
            try:
                columns[name].append((read_fact(name, value, windows_s), value))
            except ValueError as error:
                here.at(i).fault(str(error))
    return columns


def _no_such(name: str) -> str:
    if name in GIVEN_OTHERWISE:
        return f"{name} is not given as a fact: {GIVEN_OTHERWISE[name]}"
    return "" if name in CATALOGUE else f'there is no fact "{name}"{near(name, SETTABLE)}'


def read_fact(name: str, value: Any, windows_s: frozenset[int]) -> FactValue | None:
    """One fact of the catalogue; ValueError says what is wrong with it."""
    fact = CATALOGUE[name]
    if value is None:
        if not fact.optional:
            msg = f"{name} is always known: give a value, or leave it out"
            raise ValueError(msg)
        return None
    if fact.type is FactType.COUNTS and isinstance(value, dict):
        return read_windows(value, windows_s)
    return _typed(fact, value)


def _typed(fact: Fact, value: Any) -> FactValue:  # noqa: PLR0911 (a table)
    match fact.type, value:
        case FactType.STRING, str():
            return _text(fact.name, value)
        case FactType.BOOL, bool():
            return value
        case FactType.INT, int() if not isinstance(value, bool):
            return _number(fact.name, value)
        case FactType.DOUBLE, int() | float() if not isinstance(value, bool):
            return float(_number(fact.name, value))
        case FactType.STRINGS, list() if fact.name == "account.owners":
            return _owners(value)
        case FactType.STRINGS, list() if all(isinstance(text, str) for text in value):
            return tuple(value) if fact.name != LINEAGE else lineage_of(value)
        case FactType.LIMITS, dict():
            return _limits(value)
    msg = f"{fact.name} is {_WORDS[fact.type]}"
    raise ValueError(msg)


def _limits(value: dict[str, Any]) -> FactValue:
    """Limits of an account's own, as its line of the directory would have them."""
    for rule, amounts in value.items():
        if not isinstance(amounts, dict) or not all(map(_is_number, amounts.values())):
            msg = f"account.limits is {_WORDS[FactType.LIMITS]}"
            raise ValueError(msg)
        check_limits(rule[:60], amounts)
    return own_limits(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_WORDS = {
    FactType.STRING: "a text (put it in quotes if it looks like a number)",
    FactType.BOOL: "true or false",
    FactType.INT: "a whole number",
    FactType.DOUBLE: "a number",
    FactType.STRINGS: "a list of texts",
    FactType.COUNTS: "a number of accounts by window: {10m: 8}",
    FactType.LIMITS: "amounts by rule and unit: {free-day: {requests: 500}}",
}


def _text(name: str, value: str) -> str:
    if name in VALUES:
        what, known = VALUES[name]
        if value not in known:
            msg = f'"{value[:40]}" is not a {what}{near(value, known)}'
            raise ValueError(msg)
    if name == "client.address":
        try:
            ip_address(value)
        except ValueError:
            msg = f'"{value[:60]}" is not an address (write 203.0.113.7)'
            raise ValueError(msg) from None
        return canonical(value)
    return value


def _number(name: str, value: float) -> float:
    least = 1 if name == "request.choices" else 0
    most = 1 if name in SHARES else MAX_INT
    if not least <= value <= most:
        msg = f"{name} is a number from {least} to {most:,}"
        raise ValueError(msg)
    return value


def read_windows(value: Mapping[str, Any], windows_s: frozenset[int]) -> dict[int, int]:
    """Numbers of accounts by window in seconds; ValueError."""
    counts: dict[int, int] = {}
    for window, accounts in value.items():
        length_s = duration_s(window)
        if length_s not in windows_s:
            asked = ", ".join(map(span, sorted(windows_s))) or "none"
            msg = f"no fingerprint rule asks for {window} (windows that rules ask for: {asked})"
            raise ValueError(msg)
        if not isinstance(accounts, int) or isinstance(accounts, bool) or accounts < 0:
            msg = f"{window}: a number of accounts is a whole number from 0"
            raise ValueError(msg)
        counts[length_s] = accounts
    return counts


class _NamelessOwner(msgspec.Struct, frozen=True):
    """An owner as the directory has it; cases need not name it."""

    share: float
    country: str | None = None
    name: str = ""
    owners: list["_NamelessOwner"] = []

    def named(self) -> Owner:
        return Owner(self.name, self.share, self.country, tuple(o.named() for o in self.owners))


def _owners(value: list[Any]) -> tuple[str, ...]:
    """Ways to owners, or owners as the account directory has them."""
    if value and all(isinstance(text, str) for text in value):
        ways: tuple[str, ...] | None = tuple(value)
    else:
        try:
            held = msgspec.convert(value, list[_NamelessOwner])
        except msgspec.ValidationError as error:
            msg = f"account.owners: {error} (write [{{share: 0.6, country: SG, owners: […]}}])"
            raise ValueError(msg) from None
        ways = ways_to(tuple(owner.named() for owner in held))
    if ways is None:
        msg = "account.owners: more owners than can be followed"
        raise ValueError(msg)
    try:
        owned_share(ways, ())
    except OwnersError as error:
        msg = f"account.owners: {error}"
        raise ValueError(msg) from None
    return ways


def completed(given: Given, at_ns: int) -> Facts:
    """All facts of an exchange of which a case gives some; what is None is not known.

    Where a surface leaves no choice, the rest follows from it as it does for a live request.
    """
    known = {**ORDINARY, **with_clusters(given)}
    surface = surface_of(str(known["request.surface"]), given.get("request.dialect"))
    known.setdefault("request.dialect", surface.dialect.value)
    if not surface.generates and surface.body is not BodyKind.JSON:
        known.setdefault("request.model", "")
    if not surface.generates or surface.name not in WRITES:
        known.setdefault("request.max_tokens", 0)
    known["time.now"] = at_ns
    return {name: value for name, value in known.items() if value is not None}


def surface_of(name: str, dialect: object = None) -> Surface:
    """The surface of this name: in the dialect, where it is in both; else one that is opened."""
    found = [c.surface for claims in SURFACES.values() for c in claims if c.surface.name == name]
    if not found:
        spoken = Dialect(dialect) if isinstance(dialect, str) else Dialect.OPENAI
        return Surface(name, spoken, BodyKind.OPAQUE, generates=False)
    return next((surface for surface in found if surface.dialect == dialect), found[0])
