"""A policy set as it is written: each entry's specification, and where each part of it stands.

Compiled rules say what is decided; this says what somebody typed, for what tells people about it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from proxy.policy.cel.names import lists_in, names_in
from proxy.policy.cel.text import CelError, scan
from proxy.policy.compile_match import TABLES
from proxy.policy.match import Atom
from proxy.policy.problem import Problem
from proxy.policy.rules import DIMENSION_FACTS, PolicySet
from proxy.policy.schema import ExceptionSpec
from proxy.policy.schema_rule import MatchSpec, RuleSpec
from proxy.policy.yamlfile import Document, Path

SECTIONS = ("exceptions", "geography", "access", "fingerprints", "quotas")
# The keys that take values or "$name" of a list, beside those of a match.
LISTING = ("accounts", "deny_countries", "allow_countries")

AnySpec = RuleSpec | ExceptionSpec


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule or exception as it is written; `path` is where it stands in its document."""

    section: str
    document: Document
    path: Path
    spec: AnySpec

    def problem(self, message: str, *path: str | int, at_key: bool = False) -> Problem:
        """A problem at a path below the entry."""
        return self.document.problem((*self.path, *path), message, at_key=at_key)

    def says(self, key: str) -> bool:
        """Whether the file gives this key."""
        return key in self.spec.model_fields_set

    def about(self, atom: Atom, message: str) -> Problem:
        """A problem with one condition of the match."""
        key, _, rest = atom.text.partition(": ")
        if rest and (key in TABLES or key == "asns"):
            below = (key,) if (*self.path, key) in self.document.keys else ("match", key)
            return self.problem(message, *below, at_key=True)
        return self.in_cel(_offset(self.spec.match.cel or "", atom.text), message)

    def at_fact(self, fact: str, message: str) -> Problem:
        """A problem with what the entry reads of a fact, where that stands first."""
        tokens = scan(self.spec.match.cel or "")
        at = next((tokens[i].start for i, name in names_in(tokens) if name == fact), None)
        if at is not None:
            return self.in_cel(at, message)
        paths = (path for key in _keys_over(fact) for path in (("match", key), (key,)))
        here = (path for path in paths if (*self.path, *path) in self.document.keys)
        return self.problem(message, *next(here, ()), at_key=True)

    def in_cel(self, offset: int, message: str) -> Problem:
        """A problem at a character of the condition in CEL."""
        return self.document.problem_in((*self.path, "match", "cel"), offset, message)


def _keys_over(fact: str) -> Iterator[str]:
    """The keys of a file that read a fact."""
    yield from (key for key, (_, of) in TABLES.items() if of == fact)
    yield from {"client.asn": ("asns",), "client.country": LISTING[1:]}.get(fact, ())
    if fact in DIMENSION_FACTS.values():
        yield "per"


def _offset(condition: str, clause: str) -> int:
    """Where a clause stands in a condition; its beginning where that cannot be told."""
    try:
        tokens, wanted = scan(condition), [token.text for token in scan(clause)]
    except CelError:
        return 0
    texts = [token.text for token in tokens]
    ends = range(len(texts) - len(wanted) + 1)
    return next((tokens[i].start for i in ends if texts[i : i + len(wanted)] == wanted), 0)


class Written:
    """The entries of a set by id, and its lists by name, in the order of the files."""

    def __init__(self, policy: PolicySet) -> None:
        self.policy = policy
        self.entries: dict[str, Entry] = {entry.spec.id: entry for entry in _entries(policy)}

    def list_problem(self, name: str, message: str, *path: int) -> Problem:
        """A problem with an entry under lists."""
        for document, spec in self.policy.sources:
            if name in spec.lists:
                return document.problem(("lists", name, *path), message, at_key=not path)
        return Problem("", 0, 0, message)

    def readers(self, name: str) -> tuple[str, ...]:
        """Ids of the rules and exceptions that read a list, and names of other sections that do."""
        rules = (id_ for id_, entry in self.entries.items() if name in lists_of(entry.spec))
        return (*rules, *dict.fromkeys(_sections_that_read(self.policy, f"${name}")))


def _entries(policy: PolicySet) -> Iterator[Entry]:
    for document, spec in policy.sources:
        for section in SECTIONS:
            for i, written in enumerate(getattr(spec, section)):
                yield Entry(section, document, (section, i), written)


def _sections_that_read(policy: PolicySet, written: str) -> Iterator[str]:
    for _, spec in policy.sources:
        if any(price.models == written for price in spec.prices):
            yield "prices"
        if written in spec.model_groups.values():
            yield "model_groups"


def lists_of(spec: AnySpec) -> frozenset[str]:
    """Names of the lists that a rule or an exception reads."""
    named = [*_listed(spec.match, TABLES), *_listed(spec, LISTING)]
    if spec.match.cel:
        try:
            named += lists_in(scan(spec.match.cel))
        except CelError:  # no condition; whoever compiles it says so
            return frozenset(named)
    return frozenset(named)


def _listed(spec: AnySpec | MatchSpec, keys: Iterable[str]) -> Iterator[str]:
    for key in keys:
        given = getattr(spec, key, None)
        if isinstance(given, str) and given.startswith("$"):
            yield given[1:]
