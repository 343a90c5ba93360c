"""The text of a CEL condition as tokens with their places, and how clauses divide it.

Only what is needed to find clauses, names and constants is read here; whether a text is a valid
condition is for the CEL compiler to say. Invariant: the tokens are those that CEL sees, so that no
quote, escape or comment can make the two read a text differently.
Source: CEL language definition, "Syntax" (github.com/google/cel-spec/blob/master/doc/langdef.md).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True, order=True)
class CelFault:
    """One fault; `offset` counts characters of the condition's text from 0."""

    offset: int
    message: str


class CelError(Exception):
    """Every fault of one condition."""

    def __init__(self, faults: Sequence[CelFault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        super().__init__("; ".join(fault.message for fault in self.faults))


class Kind(Enum):
    """Kinds of token."""

    NAME = "name"
    STRING = "string"
    INT = "int"
    DOUBLE = "double"
    SIGN = "sign"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text; `start` is its offset in characters."""

    kind: Kind
    text: str
    start: int

    @property
    def end(self) -> int:
        """The offset after its last character."""
        return self.start + len(self.text)


Tokens = tuple[Token, ...]

_ESCAPE = r"\\(?:[abfnrtv\"'`\\?]|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2})"
_QUOTED = "|".join(
    (
        rf'"""(?:{_ESCAPE}|[^\\])*?"""',
        rf"'''(?:{_ESCAPE}|[^\\])*?'''",
        rf'"(?:{_ESCAPE}|[^\\"\n\r])*"',
        rf"'(?:{_ESCAPE}|[^\\'\n\r])*'",
    )
)
_RAW = r'''"""[\s\S]*?"""|\'\'\'[\s\S]*?\'\'\'|"[^"\n\r]*"|'[^'\n\r]*\''''
_TOKEN = re.compile(
    rf"""(?P<space>[ \t\r\n\f]+|//[^\n]*)
    |(?P<bytes>[bB](?:[rR](?:{_RAW})|{_QUOTED}))
    |(?P<string>[rR](?:{_RAW})|{_QUOTED})
    |(?P<double>[0-9]*\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)
    |(?P<uint>(?:0x[0-9a-fA-F]+|[0-9]+)[uU])
    |(?P<int>0x[0-9a-fA-F]+|[0-9]+)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>&&|\|\||==|!=|<=|>=|[()\[\]{{}},.?:!+\-*/%<>])
    """,
    re.VERBOSE,
)
_KINDS = {kind.value: kind for kind in Kind}
MAX_DEPTH = 32  # of brackets; the compiler stops there too
_OPEN = {"(": ")", "[": "]", "{": "}"}
# Between two operands; whatever stands beside one of these is not a single member expression.
BINARY = frozenset(("?", ":", "||", "&&", "==", "!=", "<", "<=", ">", ">=", "in", *"+-*/%"))


def scan(text: str) -> Tokens:
    """The tokens of a condition.

    CelError at the first character that begins none, and where brackets pass MAX_DEPTH.
    """
    tokens: list[Token] = []
    at = depth = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        kind = found.lastgroup if found else None
        if found is None or kind is None or text.startswith("/*", at) or kind in _UNWANTED:
            raise CelError([CelFault(at, _UNWANTED.get(kind or "") or _unreadable(text, at))])
        if kind != "space":
            tokens.append(Token(_KINDS[kind], found[0], at))
        depth += (found[0] in _OPEN) - (found[0] in _OPEN.values())
        if depth > MAX_DEPTH:
            message = f"the condition is nested too deeply: at most {MAX_DEPTH} levels"
            raise CelError([CelFault(at, message)])
        at = found.end()
    return tuple(tokens)


# What CEL has and no fact is compared with
_UNWANTED = {
    "bytes": "a text is written without b before its quotes",
    "uint": "a number is written without u after it",
}
_UNREADABLE = {
    **dict.fromkeys(
        "\"'",
        "this text has no closing quote, or a \\ in it begins no escape "
        "(write \\\\, or put r before the quote)",
    ),
    **{sign: f'a single "{sign}" joins no conditions: write {sign * 2}' for sign in "&|"},
    "=": 'a single "=" is not a comparison: write ==',
    "/": "a comment begins with // and ends with its line",
    "`": "names are written without backquotes",
    "$": "a list is named lists.NAME in a condition",
    # what word processors make of quotes
    **dict.fromkeys("“”„‘’", "a text stands in straight quotes: \"…\" or '…'"),  # noqa: RUF001
}


def _unreadable(text: str, at: int) -> str:
    sign = text[at]
    if sign == "=" and at and text[at - 1] in "=!<>":
        return f'"{text[at - 2 : at + 1].strip()}" is no comparison: write ==, !=, <= or >='
    shown = f'"{sign}"' if sign.isprintable() else f"U+{ord(sign):04X}"
    return _UNREADABLE.get(sign, f"the character {shown} does not belong in a condition")


_PLAIN = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def string_of(token: Token) -> str:
    """The text that a STRING token stands for."""
    raw = token.text[0] in "rR"
    quoted = token.text[1:] if raw else token.text
    width = 3 if quoted[:3] in ('"""', "'''") else 1
    inner = quoted[width:-width]
    return inner if raw else re.sub(_ESCAPE, _unescaped, inner)


def _unescaped(found: re.Match[str]) -> str:
    body = found[0][1:]
    if body[0] in "xXuU":
        return chr(int(body[1:], 16))
    if body[0].isdigit():
        return chr(int(body, 8))
    return _PLAIN.get(body, body)


def closing(tokens: Tokens, start: int) -> int:
    """Index of the token that closes the bracket at `start`, or the number of tokens."""
    awaited: list[str] = []
    for i in range(start, len(tokens)):
        token = tokens[i]
        if token.kind is not Kind.SIGN:
            continue
        if token.text in _OPEN:
            awaited.append(_OPEN[token.text])
        elif awaited and token.text == awaited[-1]:
            awaited.pop()
            if not awaited:
                return i
    return len(tokens)


def top(tokens: Tokens) -> list[tuple[int, str]]:
    """Index and text of the binary operators and commas that stand in no bracket."""
    found: list[tuple[int, str]] = []
    i = 0
    while i < len(tokens):
        token = tokens[i]
        if token.kind is Kind.SIGN and token.text in _OPEN:
            i = closing(tokens, i)
        elif is_binary(tokens, i) or token.text == ",":
            found.append((i, token.text))
        i += 1
    return found


def is_binary(tokens: Tokens, i: int) -> bool:
    """Whether the token is an operator between two operands (a leading minus is not)."""
    token = tokens[i]
    if token.text not in BINARY or token.kind not in (Kind.SIGN, Kind.NAME):
        return False
    return token.text != "-" or (i > 0 and ends_operand(tokens[i - 1]))


def ends_operand(token: Token) -> bool:
    """Whether an operand can end with this token."""
    return (token.kind is not Kind.SIGN and token.text != "in") or token.text in (")", "]", "}")


def split(tokens: Tokens, sign: str) -> tuple[Tokens, ...]:
    """The parts between top-level `sign`s; one part where there is none."""
    parts: list[Tokens] = []
    start = 0
    for i, text in top(tokens):
        if text == sign:
            parts.append(tokens[start:i])
            start = i + 1
    return (*parts, tokens[start:])


def unwrapped(tokens: Tokens) -> Tokens:
    """Without brackets that hold all of it."""
    while len(tokens) > 1 and tokens[0].text == "(" and closing(tokens, 0) == len(tokens) - 1:
        tokens = tokens[1:-1]
    return tokens


def chain(tokens: Tokens, start: int) -> tuple[str, int]:
    """The dotted name that begins at `start`, and the index after it.

    A method that is called on it is no part of the name: of `request.model.size()` it is
    `request.model`; of a function's own name nothing is left.
    """
    names, end = [tokens[start].text], start + 1
    while end + 1 < len(tokens) and tokens[end].text == "." and tokens[end + 1].kind is Kind.NAME:
        names.append(tokens[end + 1].text)
        end += 2
    if end < len(tokens) and tokens[end].text == "(":
        names.pop()
        end -= 2
    return ".".join(names), max(end, start)


def begins_name(tokens: Tokens, i: int) -> bool:
    """Whether a dotted name begins here (and not a member of what stands before)."""
    token = tokens[i]
    return (
        token.kind is Kind.NAME
        and token.text not in ("in", "true", "false", "null")
        and not (i > 0 and tokens[i - 1].text == ".")
    )


def shown(tokens: Tokens) -> str:
    """The tokens as the text has them, in one line and without comments."""
    pieces: list[str] = []
    for before, token in zip((None, *tokens), tokens, strict=False):
        if before is not None and token.start > before.end:
            pieces.append(" ")
        pieces.append(token.text)
    return "".join(pieces).replace("\n", "\\n")
