"""What a rule's `match` says, to conditions: tables where they are simple, CEL otherwise."""

from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from functools import partial
from ipaddress import ip_network

from proxy.model.exchange import SURFACE_NAMES, Dialect
from proxy.model.facts import ANONYMIZER_KINDS, CATALOGUE, NO_ANONYMIZER
from proxy.policy.cel import CelError, Environment
from proxy.policy.countries import COUNTRIES, OFTEN_MEANT
from proxy.policy.match import Atom, Condition, Keyed, Match, any_of, globbed, in_networks, one_of
from proxy.policy.problem import Problem
from proxy.policy.schema_rule import MatchSpec
from proxy.policy.schema_texts import ValuesOrList
from proxy.policy.yamlfile import Document, Path

ANONYMIZERS = (*ANONYMIZER_KINDS, NO_ANONYMIZER)
COUNTRY_CODE = "country code (ISO 3166, two capitals)"

Maker = Callable[[str, list[str], str], Condition]

# The keys of a match that take texts: how they become a condition, and over which fact.
TABLES: Mapping[str, tuple[Maker, str]] = {
    "surfaces": (one_of, "request.surface"),
    "dialects": (one_of, "request.dialect"),
    "tiers": (one_of, "account.tier"),
    "accounts": (one_of, "account.id"),
    "keys": (one_of, "account.key"),
    "organizations": (one_of, "account.organization"),
    "labels": (any_of, "account.labels"),
    "countries": (one_of, "client.country"),
    "networks": (in_networks, "client.address"),
    "anonymizers": (one_of, "client.anonymizer"),
    "models": (globbed, "request.model"),
    "ja4": (globbed, "client.ja4"),
}
PERSONAL = frozenset(key for key, (_, fact) in TABLES.items() if CATALOGUE[fact].personal)
# Those whose values are known beforehand: what a value is called, and which there are.
KNOWN: Mapping[str, tuple[str, Collection[str]]] = {
    "surfaces": ("surface", SURFACE_NAMES),
    "dialects": ("dialect", [dialect.value for dialect in Dialect]),
    "countries": (COUNTRY_CODE, COUNTRIES),
    "anonymizers": ("kind of anonymizer", ANONYMIZERS),
}


class MatchCompiler:
    """Compiles the matches of one load; faults are added to `problems`.

    Unless the lists are `complete` (a file cannot be read), a list may be in a file not seen.
    """

    def __init__(
        self,
        lists: Mapping[str, tuple[str, ...]],
        problems: list[Problem],
        *,
        complete: bool = True,
    ) -> None:
        self.lists = lists
        self.problems = problems
        self.complete = complete
        self._cel = Environment(lists)

    def match(self, document: Document, path: Path, spec: MatchSpec) -> Match:
        """The conditions of a match that stands at `path`."""
        conditions: list[Atom] = []
        for key in TABLES:
            given: ValuesOrList | None = getattr(spec, key)
            if given is not None:
                conditions.append(self.table(document, (*path, key), key, given))
        if spec.asns is not None:
            self._filled(document, (*path, "asns"), spec.asns)
            conditions.append(one_of("client.asn", spec.asns, f"asns: {_shown(spec.asns)}"))
        if spec.cel is not None:
            conditions.extend(self._condition(document, (*path, "cel"), spec.cel))
        return Match(tuple(conditions))

    def subject(self, document: Document, path: Path, text: str) -> Keyed | None:
        """The expression whose value names a quota's subject; None where it has a fault."""
        try:
            return self._cel.subject(text)
        except CelError as error:
            place = partial(document.problem_in, path)
            self.problems.extend(place(fault.offset, fault.message) for fault in error.faults)
            return None

    def table(self, document: Document, path: Path, key: str, given: ValuesOrList) -> Condition:
        """The condition of one key of a match."""
        values = self.values(document, path, given)
        if key in KNOWN:
            what, known = KNOWN[key]
            self.known(document, path, given, values, known, what)
        if key == "networks":
            values = self._networks(document, path, values)
        make, fact = TABLES[key]
        return make(fact, values, f"{key}: {_shown(given)}")

    def values(self, document: Document, path: Path, given: ValuesOrList) -> list[str]:
        """The strings meant by a list or by "$name" of one."""
        if isinstance(given, list):
            self._filled(document, path, given)
            return given
        name = given[1:]
        if not given.startswith("$"):
            shown = "…" if path[-1] in PERSONAL else given  # faults are logged, and identities not
            message = f'write a list ([{shown}]), or "$name" of an entry under lists'
            self.problems.append(document.problem(path, message))
        elif name not in self.lists and self.complete:
            near = get_close_matches(name, self.lists, n=1)
            hint = f' (did you mean "${near[0]}"?)' if near else ""
            message = f'there is no list "{name}"{hint}'
            self.problems.append(document.problem(path, message))
        return list(self.lists.get(name, ()))

    def known(
        self,
        document: Document,
        path: Path,
        given: ValuesOrList,
        values: list[str],
        known: Collection[str],
        what: str,
    ) -> None:
        """A fault for each value that is none of the known ones; `given` is how they are named."""
        for i, value in enumerate(values):
            if value not in known:
                near = _nearest(value, known, country=what == COUNTRY_CODE)
                hint = f' (did you mean "{near}"?)' if near else ""
                of = f", in {given}" if isinstance(given, str) else ""
                message = f'"{value}" is not a {what}{of}{hint}'
                self.problems.append(document.problem((*path, i), message))

    def _filled(self, document: Document, path: Path, values: list[str] | list[int]) -> None:
        """A list, or a value in it, that nothing can ever match would silence its rule."""
        if not values:
            message = "an empty list matches nothing: name values, or remove the key"
            self.problems.append(document.problem(path, message))
        for i, value in enumerate(values):
            if isinstance(value, str) and not value.strip():
                message = "an empty text matches nothing: name a value, or remove it"
                self.problems.append(document.problem((*path, i), message))

    def lists_filled(self, document: Document, name: str, values: list[str]) -> None:
        """The same of an entry under lists."""
        self._filled(document, ("lists", name), values)

    def _networks(self, document: Document, path: Path, values: list[str]) -> list[str]:
        """The values that are networks; a fault for each other."""
        good: list[str] = []
        for i, value in enumerate(values):
            try:
                ip_network(value)
            except ValueError as error:
                bits = " (host bits are set)" if "host bits" in str(error) else ""
                message = f'"{value}" is not a network{bits} (write 10.0.0.0/8 or 2001:db8::/32)'
                self.problems.append(document.problem((*path, i), message))
            else:
                good.append(value)
        return good

    def _condition(self, document: Document, path: Path, text: str) -> tuple[Atom, ...]:
        """The atoms of a condition in CEL."""
        place = partial(document.problem_in, path)
        if not text.strip():
            self.problems.append(document.problem(path, "an empty condition: write one in CEL"))
            return ()
        try:
            atoms = self._cel.compile(text)
        except CelError as error:
            self.problems.extend(place(fault.offset, fault.message) for fault in error.faults)
            return ()
        return atoms


def _nearest(value: str, known: Collection[str], *, country: bool) -> str | None:
    """The known value that is likely meant; of countries only the same code, written otherwise."""
    if country:
        code = OFTEN_MEANT.get(value.upper(), value.upper())
        return code if code in known else None
    return next(iter(get_close_matches(value, known, n=1)), None)


def _shown(values: list[str] | list[int] | str) -> str:
    """Values as the file has them, shortened."""
    if isinstance(values, str):
        return values
    shown = ", ".join(map(str, values[:6]))
    return f"[{shown}, …]" if len(values) > 6 else f"[{shown}]"
