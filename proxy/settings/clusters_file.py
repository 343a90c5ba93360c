"""The file that says which accounts are in which cluster: YAML by hand, or one cluster a line.

Every fault is told with its place. Account ids never stand in one: faults go to the log.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path as FilePath
from typing import Any

from proxy.policy.checked import check
from proxy.policy.problem import Problem
from proxy.policy.yamlfile import MAX_BYTES, MAX_NODES, Document, Path, parse
from proxy.settings.clusters_schema import ClustersFile, ClusterSpec

YAML_SUFFIXES = (".yaml", ".yml")
LINES_SUFFIX = ".jsonl"
MEMBER_KEYS = ("account", "weight")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Listed:
    """One cluster as it is written: what the file says, the weights by account id, and where."""

    spec: ClusterSpec
    members: Mapping[str, float]
    document: Document
    path: Path

    def problem(self, path: Path, message: str) -> Problem:
        """A fault at a path below the cluster."""
        return self.document.problem((*self.path, *path), message)

    @property
    def line(self) -> int:
        """Where it begins."""
        return self.problem((), "").line


@dataclass(slots=True)
class Read:
    """The clusters of a file that are in order by themselves, and what is wrong with the others."""

    file: str
    listed: list[Listed] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_file(path: FilePath) -> Read:
    """Read the file whole, here and now. What cannot be read is among the problems."""
    read = Read(str(path))
    try:
        if path.suffix == LINES_SUFFIX:
            with path.open("rb") as lines:
                read_lines(read, lines)
        elif path.suffix in YAML_SUFFIXES:
            read_yaml(read, path.read_bytes())
        else:
            message = "name it .yaml (written by hand) or .jsonl (one cluster a line)"
            read.problems.append(Problem(read.file, 0, 0, message))
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        read.problems.append(Problem(read.file, 0, 0, message))
    return read


def read_yaml(read: Read, text: bytes) -> None:
    """Take in the clusters of a YAML file."""
    document = parse(read.file, text)
    if len(text) > MAX_BYTES or len(document.places) > MAX_NODES:
        message = "too large for YAML: write one cluster a line, as JSON, and name the file .jsonl"
        read.problems.append(Problem(read.file, 0, 0, message))
        return
    checked = check(ClustersFile, document, hidden=_confidential, empty=False)
    for i, spec in enumerate(checked.clusters if checked else ()):
        read.listed.append(_listed(spec, document, ("clusters", i)))
    read.problems.extend(document.problems)


def read_lines(read: Read, lines: Iterable[bytes]) -> None:
    """Take in clusters of which each is an object of JSON on a line of its own."""
    for number, text in enumerate(lines, 1):
        line = text.removeprefix(_BYTE_ORDER_MARK) if number == 1 else text
        if not line or line.isspace():
            continue
        document = Document(read.file, places={(): (number, 1)})
        _decode(document, line)
        spec = check(ClusterSpec, document, hidden=_confidential)
        if spec is not None:
            read.listed.append(_listed(spec, document, ()))
        read.problems.extend(document.problems)


def _confidential(path: Path) -> bool:
    """Whether an account id may stand at a path, also by mistake."""
    return "accounts" in path


class _TwiceError(ValueError):
    """A key stands twice in one object."""


def _pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(found)
    if len(made) < len(found):
        raise _TwiceError
    return made


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs)


def _decode(document: Document, line: bytes) -> None:
    try:
        document.data = _DECODER.decode(line.decode())
    except _TwiceError:
        document.problems.append(document.problem((), "a key stands twice in one object"))
    except json.JSONDecodeError as error:
        document.problems.append(_not_json(document, f"{error.msg}, character {error.pos + 1}"))
    except (UnicodeDecodeError, RecursionError) as error:
        document.problems.append(_not_json(document, str(error)))
    else:
        if document.data is None:
            document.problems.append(_not_json(document, "null"))


def _not_json(document: Document, why: str) -> Problem:
    return document.problem((), f"not an object of JSON ({why}): write one cluster on each line")


# Accounts


def _listed(spec: ClusterSpec, document: Document, path: Path) -> Listed:
    members: dict[str, float] = {}
    problems: list[Problem] = []
    for i, given in enumerate(spec.accounts):
        try:
            account, weight = (given, 1.0) if type(given) is str else _weighted(given)
            _check_new(account, members)
        except ValueError as error:
            here = (*path, "accounts", i)
            problems.append(document.problem(here, f"accounts[{i}]: {error}"))
        else:
            members[account] = weight
    document.problems.extend(problems)
    return Listed(spec, members, document, path)


def _check_new(account: str, members: Mapping[str, float]) -> None:
    if not account:
        msg = "an empty text is no account id"
        raise ValueError(msg)
    if account in members:
        first = list(members).index(account)
        msg = f"this account is in the cluster already (accounts[{first}])"
        raise ValueError(msg)


def _weighted(given: Any) -> tuple[str, float]:
    """An account that is given with its weight; ValueError."""
    if not isinstance(given, dict):
        msg = "write the id of an account as a text (in quotes if it looks like a number)"
        raise ValueError(msg)
    for key in given:
        if key not in MEMBER_KEYS:
            # The key itself may be the id of an account.
            near = get_close_matches(key, MEMBER_KEYS, n=1)
            hint = f'did you mean "{near[0]}"?' if near else "write {account: ID, weight: 0.5}"
            msg = f"a key that is not known here ({hint})"
            raise ValueError(msg)
    account, weight = given.get("account"), given.get("weight", 1.0)
    if not isinstance(account, str):
        msg = "account is an id, a text (in quotes if it looks like a number)"
        raise ValueError(msg)
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 < weight <= 1:
        msg = "weight is a number above 0, up to 1 (leave the account out if it is not in it)"
        raise ValueError(msg)
    return account, float(weight)


def parents_of(spec: ClusterSpec) -> Iterator[tuple[Path, str]]:
    """The clusters whose counts one carries on, each with the path it is written at."""
    for i, parent in enumerate(spec.merged_from or ()):
        yield ("merged_from", i), parent
    if spec.split_from is not None:
        yield ("split_from",), spec.split_from
