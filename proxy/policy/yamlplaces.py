"""Where in a YAML text each character of a scalar's value stands.

A value is the text without quotes, escapes, indentation and folded line breaks. It is made here a
second time, with the place of each character; where that does not give the value that the
parser gave, nothing is claimed. Source: YAML 1.2.2, chapters 7.3 and 8.1, as libyaml reads them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_BREAK = re.compile(r"\r\n|[\n\r\x85]")
_FOLD = re.compile(r"[ \t]*(?:\r\n|[\n\r\x85])[ \t]*((?:(?:\r\n|[\n\r\x85])[ \t]*)*)")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_CONTINUED = re.compile(r"\\(?:\r\n|[\n\r\x85])[ \t]*((?:(?:\r\n|[\n\r\x85])[ \t]*)*)")
_PROPERTIES = re.compile(r"(?:[&!][^ \t\r\n]*[ \t\r\n]+)*")
_HEADER = re.compile(r"[|>]([-+0-9]*)[ \t]*(?:#[^\r\n\x85]*)?(?:\r\n|[\n\r\x85]|$)")
_NAMED = dict(
    zip('0abtnvfre "/\\N_LP', '\0\a\b\t\n\v\f\r\x1b "/\\\x85\xa0\u2028\u2029', strict=True)
)
_NAMED["\t"] = "\t"


@dataclass(slots=True)
class _Value:
    """A value as it grows, with the index in the text of each of its characters."""

    text: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    def add(self, text: str, places: int | Iterator[int]) -> None:
        self.text.extend(text)
        self.places.extend([places] * len(text) if isinstance(places, int) else places)

    def copy(self, source: str, start: int, end: int) -> None:
        self.add(source[start:end], iter(range(start, end)))


def places(source: str, start: int, end: int, style: str | None, value: str) -> list[int]:
    """The index in `source` of each character of the value, and of its end; [] where unsure.

    The scalar stands in source[start:end]; `style` is its first character where it is quoted or a
    block (as PyYAML names it).
    """
    properties = _PROPERTIES.match(source, start, end)  # an anchor, a tag
    start = properties.end() if properties else start
    if style in ("|", ">"):
        candidates = _blocks(source, start, end, folded=style == ">")
    else:
        candidates = iter((_flow(source, start, end, style or ""),))
    for made in candidates:
        if "".join(made.text) == value:
            last = made.places[-1] + 1 if made.places else start
            return [*made.places, last]
    return []


def _flow(source: str, start: int, end: int, quote: str) -> _Value:
    """A plain or quoted scalar: line breaks fold into blanks."""
    made = _Value()
    at, stop = (start + 1, end - 1) if quote else (start, end)
    while at < stop:
        if fold := _FOLD.match(source, at, stop):
            breaks = len(_BREAK.findall(fold[1]))
            made.add("\n" * breaks or " ", fold.end() - 1)
            at = fold.end()
        elif quote == '"' and source[at] == "\\":
            at = _escape(made, source, at, stop)
        else:
            made.copy(source, at, at + 1)
            at += 2 if quote == "'" and source.startswith("''", at) else 1
    return made


def _escape(made: _Value, source: str, at: int, stop: int) -> int:
    """One escape of a double-quoted scalar; returns the index after it."""
    if continued := _CONTINUED.match(source, at, stop):
        made.add("\n" * len(_BREAK.findall(continued[1])), continued.end() - 1)
        return continued.end()
    found = _ESCAPE.match(source, at, stop)
    if found is None:
        return stop
    digits = found[1] or found[2] or found[3]
    made.add(chr(int(digits, 16)) if digits else _NAMED.get(found[4], found[4]), at)
    return found.end()


def _blocks(source: str, start: int, end: int, *, folded: bool) -> Iterator[_Value]:
    """A block scalar read with each indentation that it may have, the deepest first."""
    header = _HEADER.match(source, start, end)
    if header is None:
        return
    lines = list(_lines(source, header.end(), end))
    first = next((source[a:b] for a, b, _ in lines if source[a:b].strip(" ")), "")
    for indent in range(len(first) - len(first.lstrip(" ")), -1, -1):
        yield _block(source, lines, indent, header[1], folded=folded)


def _lines(source: str, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """Start and end of each line without its break, and whether it has one."""
    while start < end:
        found = _BREAK.search(source, start, end)
        yield start, found.start() if found else end, bool(found)
        start = found.end() if found else end


def _block(
    source: str, lines: list[tuple[int, int, bool]], indent: int, header: str, *, folded: bool
) -> _Value:
    """The lines at an indentation, as libyaml's yaml_parser_scan_block_scalar reads them."""
    made = _Value()
    leading: list[int] = []  # the break after the last line that has text
    trailing: list[int] = []  # those of the empty lines after it
    was_deeper = False
    for start, end, broken in lines:
        spaces = len(source[start:end]) - len(source[start:end].lstrip(" "))
        if spaces == end - start and spaces <= indent:
            trailing += [end] * broken
            continue
        if spaces < indent:
            break
        deeper = source[start + indent] in " \t"
        if folded and leading and not was_deeper and not deeper:
            made.add("" if trailing else " ", leading[0])
        else:
            made.add("\n" * len(leading), iter(leading))
        made.add("\n" * len(trailing), iter(trailing))
        made.copy(source, start + indent, end)
        leading, trailing, was_deeper = [end] * broken, [], deeper
    if "-" not in header:
        made.add("\n" * len(leading), iter(leading))
    if "+" in header:
        made.add("\n" * len(trailing), iter(trailing))
    return made
