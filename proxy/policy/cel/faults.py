"""What the CEL compiler says, in words for people who edit policies, at its place in the text.

The compiler's own words are kept (without its talk of parsers) where there are none better.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cel_expr_python import cel

from proxy.policy.cel.functions import MACROS
from proxy.policy.cel.names import Lists
from proxy.policy.cel.syntax import cleaned, syntax
from proxy.policy.cel.text import CelFault, Kind, Token, Tokens, chain, closing, is_binary
from proxy.policy.cel.words import FUNCTIONS, type_words, unknown_function, unknown_name

_ERROR = re.compile(r"ERROR: <input>:(-?[0-9]+):(-?[0-9]+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_OVERLOAD = re.compile(r"found no matching overload for '([^']+)' applied to '\((.*)\)'")
_SELECTED = re.compile(r"expression of type '(.*)' cannot be the operand of a select operation")
_RANGE = re.compile(r"expression of type '(.*)' cannot be the range of a comprehension")

_NUMBERS = " (1.0 is a double, 1 an int; double(…) and int(…) convert)"
_QUOTES = " (a text stands in quotes)"
_HINTS = {
    frozenset(("double", "int")): _NUMBERS,
    frozenset(("double", "string")): _QUOTES,
    frozenset(("int", "string")): _QUOTES,
    frozenset(("google.protobuf.Timestamp", "string")): ' (timestamp("2027-01-01T00:00:00Z"))',
    frozenset(("google.protobuf.Duration", "string")): ' (duration("36h"))',
}


def is_readable(said: str) -> bool:
    """Whether a compilation that failed did so over names and types, not over syntax."""
    return "Syntax error" not in said and "recursion" not in said


def explained(
    said: str, text: str, tokens: Tokens, names: Mapping[str, cel.Type], lists: Lists
) -> list[CelFault]:
    """The faults of a compilation that failed with this text; of several in syntax, the first."""
    if "recursion" in said:
        return [CelFault(0, "the condition is nested too deeply: at most 32 levels")]
    starts = [0, *(found.end() for found in re.finditer("\n", text))]
    found = [
        (starts[int(line) - 1] + int(column) - 1, message)
        for line, column, message in _ERROR.findall(said)
        if int(line) > 0 and "'*error*'" not in message  # it follows from another
    ]
    for offset, message in found:
        if message.startswith("Syntax error"):
            return [CelFault(offset, syntax(offset, message, tokens))]
    explainer = _Explainer(tokens, names, lists)
    faults = [explainer.fault(offset, message) for offset, message in found]
    unknown = [call for fault in faults for call in explainer.inside(fault)]
    return [fault for fault in faults if not any(a < fault.offset < b for a, b in unknown)] or [
        CelFault(0, cleaned(said.splitlines()[0]))
    ]


def _plainly(message: str) -> str:
    if message == "invalid int literal":
        return "the number does not fit in 64 bits"
    if reserved := re.match("reserved identifier: (.*)", message):
        return f'"{reserved[1]}" is a reserved word'
    return cleaned(message)


def _misused(name: Token, types: list[str]) -> CelFault:
    known = FUNCTIONS.get(name.text)
    usage = f"; use it as in {known.usage}" if known else ""
    if name.text in MACROS:
        return CelFault(name.start, f"{name.text} asks a condition of each element{usage}")
    given = ", ".join(map(type_words, types))
    return CelFault(name.start, f"{name.text} does not take {given}{usage}")


@dataclass(frozen=True, slots=True)
class _Sides:
    """The operands of an operator: their names where they are facts or lists, and their types."""

    left: str | None
    right: str | None
    types: list[str]

    def said(self, sign: str, function: str) -> str:
        """Why the operator does not take them."""
        first, second = self.types[0], self.types[-1]
        match function:
            case "_&&_" | "_||_":
                return self._joined(sign)
            case "!_" | "-_":
                what = "a condition" if function == "!_" else "a number"
                return f"{sign} stands before {what}; {_subject(self.right, first)}"
            case "_[_]":
                return f"[…] takes an element of a list by number; {_subject(self.left, first)}"
            case "_?_:_":
                return self._chosen()
            case "@in":
                hint = ': write ["…"]' if second == "string" else ""
                listed = _subject(self.right, second)
                return f"in looks for {type_words(first)} in a list of such; {listed}{hint}"
            case _:
                return self._unlike(sign)

    def _chosen(self) -> str:
        condition, one, other = self.types
        if condition != "bool":
            return f"before ? stands a condition; {_subject(self.left, condition)}"
        between = f"{type_words(one)} and {type_words(other)}"
        return f"? chooses between values of one type, not between {between}"

    def _joined(self, sign: str) -> str:
        left = self.types[0] != "bool"
        name, type_ = (self.left, self.types[0]) if left else (self.right, self.types[1])
        hint = f' (compare it: {name} == "…")' if name and type_ == "string" else ""
        return f"{sign} joins conditions; {_subject(name, type_)}{hint}"

    def _unlike(self, sign: str) -> str:
        does = "compared" if sign in ("==", "!=", "<", "<=", ">", ">=") else "combined"
        name, types = self.left, self.types
        if name is None and self.right is not None:
            name, types = self.right, types[::-1]
        first, second = map(type_words, types)
        hint = _HINTS.get(frozenset(types), "")
        subject = f"{name} is {first}; it" if name else first
        return f"{subject} cannot be {does} with {second}{hint}"


@dataclass(frozen=True, slots=True)
class _Explainer:
    """Faults of names and types in one text."""

    tokens: Tokens
    names: Mapping[str, cel.Type]
    lists: Lists

    def fault(self, offset: int, message: str) -> CelFault:
        """One message of the compiler in words."""
        at = next((i for i, token in enumerate(self.tokens) if token.start == offset), None)
        if at is None:
            return CelFault(max(offset, 0), cleaned(message))
        if _UNDECLARED.match(message):
            return self._undeclared(at)
        if selected := _SELECTED.match(message):
            return self._selected(at, selected[1])
        if overload := _OVERLOAD.match(message):
            return self._overload(at, overload[1], _arguments(overload[2]))
        if ranged := _RANGE.match(message):
            return self._ranged(at, ranged[1])
        return CelFault(offset, _plainly(message))

    def inside(self, fault: CelFault) -> list[tuple[int, int]]:
        """Start and end of a call of no function: what is in it may be no fault of its own."""
        return [
            (token.start, self.tokens[min(closing(self.tokens, i + 1), len(self.tokens) - 1)].end)
            for i, token in enumerate(self.tokens[:-1])
            if token.start == fault.offset
            and self.tokens[i + 1].text == "("
            and fault.message.startswith("there is no function")
        ]

    def _undeclared(self, at: int) -> CelFault:
        if self.tokens[at].text == "(":
            name = self.tokens[at - 1]
            return CelFault(name.start, unknown_function(name.text))
        start = self._start(at)
        name_text = chain(self.tokens, start)[0]
        return CelFault(self.tokens[start].start, unknown_name(name_text, self.lists))

    def _selected(self, at: int, type_: str) -> CelFault:
        start = self._start(at)
        if self.tokens[start].kind is not Kind.NAME:
            return CelFault(self.tokens[at].start, f"{type_words(type_)} has no parts")
        name = chain(self.tokens, start)[0]
        return CelFault(self.tokens[start].start, unknown_name(name, self.lists))

    def _ranged(self, at: int, type_: str) -> CelFault:
        start = self._start(at)
        name = self._known(start)
        if name is None:
            said = f"{type_words(type_)} has no elements to go through"
            return CelFault(self.tokens[at].start, said)
        said = f"{_subject(name, type_)}; it has no elements to go through"
        return CelFault(self.tokens[start].start, said)

    def _start(self, at: int) -> int:
        """Index of the token that begins the dotted name around `at`."""
        if self.tokens[at].text == ".":
            at -= 1
        while at >= 2 and self.tokens[at - 1].text == "." and self.tokens[at].kind is Kind.NAME:
            at -= 2
        return at

    def _overload(self, at: int, function: str, types: list[str]) -> CelFault:
        token = self.tokens[at]
        if token.text == "(":
            return _misused(self.tokens[at - 1], types)
        sides = _Sides(self._left(at), self._right(at), types)
        return CelFault(token.start, sides.said(token.text, function))

    def _left(self, at: int) -> str | None:
        """The fact or list whose name ends before the token, if no operator is joined to it."""
        if at == 0 or self.tokens[at - 1].kind is not Kind.NAME:
            return None
        start = self._start(at - 1)
        free = start == 0 or not is_binary(self.tokens, start - 1)
        free = free or self.tokens[start - 1].text in ("&&", "||", "?", ":")
        return self._known(start) if free else None

    def _right(self, at: int) -> str | None:
        if at + 1 >= len(self.tokens) or self.tokens[at + 1].kind is not Kind.NAME:
            return None
        end = chain(self.tokens, at + 1)[1]
        called = end + 1 < len(self.tokens) and self.tokens[end].text in (".", "[", "(")
        return None if called else self._known(at + 1)

    def _known(self, start: int) -> str | None:
        name = chain(self.tokens, start)[0]
        return name if name in self.names else None


def _subject(name: str | None, type_: str) -> str:
    return f"{name or 'this'} is {type_words(type_)}"


def _arguments(text: str) -> list[str]:
    """Types as CEL lists them, divided at the commas outside of brackets."""
    return re.split(r", (?![^()]*\))", text)
