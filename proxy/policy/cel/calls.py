"""Calls in a condition: what is called, on what, and with which arguments."""

from collections.abc import Iterator
from dataclasses import dataclass

from proxy.policy.cel.functions import HELPERS, Handles
from proxy.policy.cel.names import Edit, Lists, guards_at
from proxy.policy.cel.tables import texts
from proxy.policy.cel.text import Kind, Tokens, closing, split


@dataclass(frozen=True, slots=True)
class Call:
    """A call in the text: its name, what it is called on (methods), and its arguments."""

    at: int
    name: str
    target: Tokens | None
    arguments: tuple[Tokens, ...]
    start: int


def calls(tokens: Tokens) -> Iterator[Call]:
    """Every call, has() aside."""
    guards = set(guards_at(tokens))
    for i in range(len(tokens) - 1):
        if tokens[i].kind is Kind.NAME and tokens[i + 1].text == "(" and i not in guards:
            if tokens[i].text == "in":
                continue
            inner = tokens[i + 2 : closing(tokens, i + 1)]
            arguments = split(inner, ",") if inner else ()
            target = _target(tokens, i) if i and tokens[i - 1].text == "." else None
            yield Call(i, tokens[i].text, target, arguments, tokens[i].start)


def _target(tokens: Tokens, at: int) -> Tokens:
    """What a method is called on: the member expression before its dot."""
    start = at - 1
    while start > 0:
        before = tokens[start - 1]
        if before.text in (")", "]", "}"):
            start = _opening(tokens, start - 1)
        elif (before.kind is Kind.SIGN and before.text != ".") or before.text == "in":
            break
        else:
            start -= 1
    return tokens[start : at - 1]


def _opening(tokens: Tokens, end: int) -> int:
    """Index of the bracket that `end` closes, or of `end` where there is none."""
    opens = (i for i in range(end - 1, -1, -1) if closing(tokens, i) == end)
    return next((i for i in opens if tokens[i].text in "([{"), end)


def helper_edits(tokens: Tokens, lists: Lists, handles: Handles) -> list[Edit]:
    """Constants of helpers to the handles under which they are prepared."""
    edits: list[Edit] = []
    for call in calls(tokens):
        if call.name in HELPERS:
            second = call.arguments[1]
            handle = handles.handle(call.name, texts(second, lists) or ())
            edits.append((second[0].start, second[-1].end, f'"{handle}"'))
    return edits
