"""YAML text to plain values that remember where each of them stood.

Scalars follow the YAML 1.2 core schema: the country NO is text, 12:30 is text, only true and
false are booleans. Duplicate keys, oversized files, deep nesting and alias bombs are faults.
Source of the scalar rules: YAML 1.2.2, section 10.3.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from proxy.policy.problem import Problem
from proxy.policy.yamlplaces import places

MAX_BYTES = 4_000_000
MAX_DEPTH = 40
MAX_NODES = 200_000
MAX_DIGITS = 30  # a longer run of digits is text

_BREAKS = "\n\r\x85\u2028\u2029"  # what libyaml takes for the end of a line
_BREAK = re.compile(rf"\r\n|[{_BREAKS}]")
_LINE = re.compile(rf"[^{_BREAKS}]*")

Path = tuple[str | int, ...]


class _Loader(yaml.CSafeLoader):
    """PyYAML's C parser without its YAML 1.1 guesses."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 (the name PyYAML reads)


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first)
    )


@dataclass(slots=True)
class Document:
    """Plain values of one file; `places` gives line and column (from 1) by path.

    The place of a mapping's key is under `keys`; a value's own place under `places`. Values that
    were laid over the file (from the environment) name their origin under `origins`. `text` is the
    whole file, and `scalars` has where in it each scalar stands.
    """

    file: str
    data: Any = None
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    text: str = ""
    scalars: dict[Path, yaml.ScalarNode] = field(default_factory=dict)

    def problem(self, path: Path, message: str, *, at_key: bool = False) -> Problem:
        """A fault at the nearest known place on the way to `path`."""
        tables = (self.keys, self.places) if at_key else (self.places, self.keys)
        for end in range(len(path), -1, -1):
            if origin := self.origins.get(path[:end]):
                return Problem(origin, 0, 0, message)
            for table in tables:
                if place := table.get(path[:end]):
                    return Problem(self.file, *place, message)
        return Problem(self.file, 0, 0, message)

    def problem_in(self, path: Path, offset: int, message: str) -> Problem:
        """A fault at a character (from 0) of the text that the scalar at `path` stands for.

        Its line of the file is told with it. Where there is no such scalar, the fault is at the
        nearest place on the way to `path`.
        """
        plain = self.problem(path, message)
        node = next((n for i in range(len(path), 0, -1) if (n := self.scalars.get(path[:i]))), None)
        if node is None or plain.file != self.file:
            return plain
        start, end = node.start_mark.index, node.end_mark.index
        known = places(self.text, start, end, node.style, node.value)
        at = known[min(offset, len(known) - 1)] if known else start
        line = max(self.text.rfind(sign, 0, at) for sign in _BREAKS) + 1
        source = _LINE.match(self.text, line)
        number = 1 + node.start_mark.line + len(_BREAK.findall(self.text, start, at))
        return Problem(self.file, number, at - line + 1, message, source[0] if source else "")


def parse(file: str, text: bytes) -> Document:
    """Read one YAML document; faults are collected in `problems`, never raised."""
    document = Document(file)
    if len(text) > MAX_BYTES:
        message = f"the file has {len(text)} bytes; at most {MAX_BYTES} are read"
        document.problems.append(Problem(file, 0, 0, message))
        return document
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        document.problems.append(Problem(file, line, 1, f"not UTF-8 text: {error.reason}"))
        return document
    document.text = decoded
    try:
        too_deep = _too_deep(decoded)
        node = None if too_deep else yaml.compose(decoded, Loader=_Loader)
    except yaml.YAMLError as error:
        document.problems.append(_yaml_problem(file, error))
        return document
    if too_deep:
        message = f"nested deeper than {MAX_DEPTH} levels"
        document.problems.append(Problem(file, *too_deep, message))
    if node is not None:
        document.data = _Builder(document).build(node, (), 0)
    return document


def _place(mark: Any) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)


def _too_deep(text: str) -> tuple[int, int] | None:
    """Where nesting passes MAX_DEPTH, if it does: `compose` recurses in C and would crash."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                return _place(event.start_mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return None


def _yaml_problem(file: str, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    said = getattr(error, "problem", None) or str(error).splitlines()[0]
    context = getattr(error, "context", None)
    message = f"not valid YAML: {said}" + (f" ({context})" if context else "") + _likely(said)
    if mark is None:
        return Problem(file, 0, 0, message + _forbidden(error))
    return Problem(file, mark.line + 1, mark.column + 1, message)


def _likely(said: str) -> str:
    """The likely cause of what the parser says."""
    if "cannot start any token" in said:
        return "; YAML indents with blanks, not tabs, and a text that begins with @ or ` is quoted"
    if said.startswith("did not find expected alphabetic"):
        return "; quote a text that begins with !, & or *"
    if said == "did not find expected key" or said.startswith("mapping values are not allowed"):
        return '; quote the whole of a text that begins with a quote, or has ": " in it'
    return ""


def _negation(tag: str) -> str:
    """A condition that begins with `!` is a tag to YAML."""
    return ", or quote a text that begins with !" if tag.startswith("!") else ""


def _forbidden(error: yaml.YAMLError) -> str:
    """Where a character stands that no YAML text may hold; PyYAML gives no line for it."""
    position = getattr(error, "position", None)
    return "" if position is None else f" (byte {position})"


class _Builder:
    """Walks composed nodes once, within bounds on depth and on expanded aliases."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.nodes = 0

    def build(self, node: yaml.Node, path: Path, depth: int) -> Any:
        self.nodes += 1
        place = _place(node.start_mark)
        self.document.places[path] = place
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            if self.nodes <= MAX_NODES + 1:
                what = (
                    f"nested deeper than {MAX_DEPTH} levels" if depth > MAX_DEPTH else "too large"
                )
                message = f"{what} once aliases are expanded"
                self.document.problems.append(Problem(self.document.file, *place, message))
            self.nodes = max(self.nodes, MAX_NODES + 1)
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, i), depth + 1) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            self.document.scalars[path] = node
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path, depth: int) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = _place(key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                message = "a key must be text"
                self.document.problems.append(Problem(self.document.file, *place, message))
                continue
            key = str(key_node.value)
            if key in built:
                first = self.document.keys[(*path, key)]
                message = f'duplicate key "{key}" (first on line {first[0]})'
                self.document.problems.append(Problem(self.document.file, *place, message))
                continue
            self.document.keys[(*path, key)] = place
            built[key] = self.build(value_node, (*path, key), depth + 1)
        return built

    def _scalar(self, node: yaml.Node) -> Any:
        try:
            return self._value(node, str(node.value))
        except ValueError:  # only where a tag is written out: !!int abc
            message = f"the text does not fit its tag {node.tag}"
            self.document.problems.append(
                Problem(self.document.file, *_place(node.start_mark), message)
            )
            return None

    def _value(self, node: yaml.Node, text: str) -> Any:
        match node.tag.rpartition(":")[2]:
            case "bool":
                return text.lower() == "true"
            case "int" if len(text) <= MAX_DIGITS:
                return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
            case "float":
                return float(text)
            case "null":
                return None
            case "str" | "int":
                return text
            case _:
                place = _place(node.start_mark)
                message = f"the tag {node.tag} is not supported: remove it{_negation(node.tag)}"
                self.document.problems.append(Problem(self.document.file, *place, message))
                return None
