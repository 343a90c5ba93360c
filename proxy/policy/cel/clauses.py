"""A checked condition to atoms: divided at its operators, each clause a table or compiled CEL."""

from collections.abc import Callable

from proxy.model.facts import Facts, FactType
from proxy.policy.cel.calls import calls, helper_edits
from proxy.policy.cel.functions import MACROS, Handles
from proxy.policy.cel.names import (
    FACTS,
    LIST,
    Lists,
    edited,
    facts_in,
    guard,
    guard_edits,
    guarded_in,
    lists_in,
    names_in,
)
from proxy.policy.cel.runtime import Runtime
from proxy.policy.cel.tables import either, negated, table
from proxy.policy.cel.text import CelError, CelFault, Tokens, shown, split, top, unwrapped
from proxy.policy.match import Atom, Condition, Expression, Failed, Keyed, Match, Missing, Truth

MAX_STEPS = 20_000  # about 1.5 ms for a condition
FACT_ELEMENTS = 32  # what a list among the facts is taken to hold


class Clauses:
    """Makes the atoms of one text."""

    def __init__(self, text: str, lists: Lists, handles: Handles, runtime: Runtime) -> None:
        self._text = text
        self._lists = lists
        self._handles = handles
        self._runtime = runtime
        self._steps = 0

    def atoms(self, tokens: Tokens) -> tuple[Atom, ...]:
        """An atom for each clause; CelError where to evaluate them could take long."""
        return tuple(self._atom(clause) for clause in _clauses(tokens))

    def _atom(self, tokens: Tokens) -> Atom:
        """One clause: clauses joined, a table, or CEL."""
        tokens = unwrapped(tokens)
        signs = {sign for _, sign in top(tokens)}
        if "?" in signs:
            return self.expression(tokens)
        if "||" in signs:
            return _either([self._atom(part) for part in split(tokens, "||")], tokens)
        if "&&" in signs:
            return _all([self._atom(part) for part in _clauses(tokens)], tokens)
        if not signs and tokens[0].text == "!":
            return self._negation(tokens)
        fact = guard(tokens)
        if fact:
            return _known(fact, tokens)
        return table(tokens, self._lists, shown(tokens)) or self.expression(tokens)

    def _negation(self, tokens: Tokens) -> Atom:
        inner = tokens
        while inner[0].text == "!":
            inner = inner[1:]
        atom = self._atom(inner)
        return _not(atom, tokens) if (len(tokens) - len(inner)) % 2 else atom

    def expression(self, tokens: Tokens) -> Expression:
        """A clause as CEL evaluates it."""
        source, lists = self._source(tokens)
        facts, guarded = facts_in(tokens), guarded_in(tokens)
        evaluate = self._runtime.evaluator(source, facts, guarded, lists)
        return Expression(shown(tokens), facts | guarded, evaluate, guarded)

    def subject(self, tokens: Tokens) -> Keyed:
        """A text, a whole number or a truth as CEL evaluates it, in a text that names a subject."""
        source, lists = self._source(tokens)
        facts, guarded = facts_in(tokens), guarded_in(tokens)
        evaluate = self._runtime.valuer(source, facts, guarded, lists)
        return Keyed(shown(tokens), facts | guarded, evaluate)

    def _source(self, tokens: Tokens) -> tuple[str, frozenset[str]]:
        """What CEL compiles of a clause, and the lists that are its constants."""
        helpers = helper_edits(tokens, self._lists, self._handles)
        spans = [(start, end) for start, end, _ in helpers]
        plain = tuple(t for t in tokens if not any(a <= t.start < b for a, b in spans))
        self._spend(plain)
        edits = [*guard_edits(self._text, tokens), *helpers]
        source = edited(self._text, edits, tokens[0].start, tokens[-1].end)
        return source, lists_in(plain)

    def _spend(self, tokens: Tokens) -> None:
        """Count a step for each token, and again for each element that a macro goes through."""
        self._steps += self._size(tokens)
        for call in calls(tokens):
            if call.name in MACROS and call.target:
                body = sum(self._size(part) for part in call.arguments)
                self._steps += body * self._size(call.target)
        if self._steps > MAX_STEPS:
            message = (
                f"this takes about {self._steps:,} steps for each request, more than "
                f"{MAX_STEPS:,}; FACT in lists.NAME, and glob and in_network over a list, take one"
            )
            raise CelError([CelFault(tokens[0].start, message)])

    def _size(self, tokens: Tokens) -> int:
        """The tokens, and the elements of each list that they name."""
        size = len(tokens)
        for _, name in names_in(tokens):
            if name.startswith(LIST):
                size += len(self._lists.get(name.removeprefix(LIST), ()))
            elif name in FACTS and FACTS[name].type is FactType.STRINGS:
                size += FACT_ELEMENTS
        return size


def _clauses(tokens: Tokens) -> tuple[Tokens, ...]:
    """The clauses that `&&` joins at the top, brackets around them aside."""
    tokens = unwrapped(tokens)
    signs = {sign for _, sign in top(tokens)}
    if "&&" not in signs or signs & {"?", "||"}:
        return (tokens,)
    return tuple(clause for part in split(tokens, "&&") for clause in _clauses(part))


def _known(fact: str, tokens: Tokens) -> Expression:
    def evaluate(facts: Facts) -> Truth:
        return facts.get(fact) is not None

    return Expression(shown(tokens), frozenset((fact,)), evaluate, frozenset((fact,)))


def _all(atoms: list[Atom], tokens: Tokens) -> Expression:
    return _joined(atoms, tokens, Match(tuple(atoms)).holds)


def _either(atoms: list[Atom], tokens: Tokens) -> Atom:
    conditions = [atom for atom in atoms if isinstance(atom, Condition)]
    one = either(conditions, shown(tokens)) if len(conditions) == len(atoms) else None
    if one:
        return one
    tests = tuple(atom.holds for atom in atoms)

    def evaluate(facts: Facts) -> Truth:
        unsure: Missing | Failed | None = None
        for test in tests:
            truth = test(facts)
            if truth is True:
                return True
            if truth is not False and (unsure is None or isinstance(truth, Failed)):
                unsure = truth
        return False if unsure is None else unsure

    return _joined(atoms, tokens, evaluate)


def _not(atom: Atom, tokens: Tokens) -> Atom:
    if isinstance(atom, Condition):
        return negated(atom, shown(tokens))
    holds = atom.holds

    def evaluate(facts: Facts) -> Truth:
        truth = holds(facts)
        return not truth if isinstance(truth, bool) else truth

    return _joined([atom], tokens, evaluate)


def _joined(atoms: list[Atom], tokens: Tokens, evaluate: Callable[[Facts], Truth]) -> Expression:
    facts = frozenset[str]().union(*(atom.facts for atom in atoms))
    guards = (atom.guarded for atom in atoms if isinstance(atom, Expression))
    return Expression(shown(tokens), facts, evaluate, frozenset[str]().union(*guards))
