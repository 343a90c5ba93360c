"""Which sentences of the code that reports faults were come by while something ran.

A sentence is a text of three words or more in a function's body, docstrings aside: that is what a
fault is told with. New ones are found by themselves.
"""

import ast
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

Sentence = tuple[str, int, int, str]  # file, first line, last line, the text's beginning


def sentences(files: Iterable[Path]) -> list[Sentence]:
    """Every sentence in the functions of these files."""
    return [found for file in files for found in _in_file(file)]


def _in_file(file: Path) -> Iterator[Sentence]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    for function in functions:
        for statement in function.body:
            if not isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
                yield from _in_statement(file, statement)


def _in_statement(file: Path, statement: ast.stmt) -> Iterator[Sentence]:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return  # a docstring
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        text = _text(node)
        if text is None:
            waiting.extend(ast.iter_child_nodes(node))
        elif _words(text) >= 3 and isinstance(node, ast.expr):
            yield str(file), node.lineno, node.end_lineno or node.lineno, text[:60]


def _words(text: str) -> int:
    return sum(any(map(str.isalpha, word)) for word in text.split())


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.Tuple) and all(isinstance(e, ast.Constant) for e in node.elts):
        # Python makes one constant of it, at one line
        return " ".join(str(e.value) for e in node.elts if isinstance(e, ast.Constant))
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        parts = (value.value for value in node.values if isinstance(value, ast.Constant))
        return " ".join(str(part) for part in parts)
    return None


def lines_run(found: list[Sentence], run: Callable[[], None]) -> set[tuple[str, int]]:
    """The lines of sentences that are executed while `run` runs."""
    wanted = {(file, n) for file, first, last, _ in found for n in range(first, last + 1)}
    files = {file for file, _ in wanted}
    hit: set[tuple[str, int]] = set()
    waits: dict[CodeType, set[tuple[str, int]]] = {}  # lines of a function not come by so far

    def local(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            line = (frame.f_code.co_filename, frame.f_lineno)
            hit.add(line)
            waits[frame.f_code].discard(line)
        return local

    def called(frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        if code.co_filename not in files:
            return None
        if code not in waits:
            lines = {(code.co_filename, n) for _, _, n in code.co_lines() if n is not None}
            waits[code] = lines & wanted
        return local if waits[code] else None

    before = sys.gettrace()
    sys.settrace(called)
    try:
        run()
    finally:
        sys.settrace(before)
    return hit


def unreached(files: list[Path], run: Callable[[], None]) -> list[str]:
    """The sentences that `run` did not come by, as file:line: text."""
    found = sentences(files)
    hit = lines_run(found, run)
    return [
        f"{Path(file).name}:{first}: {text}"
        for file, first, last, text in found
        if not any((file, line) in hit for line in range(first, last + 1))
    ]
