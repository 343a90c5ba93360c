"""Plain values to checked ones: every fault with its place and the likely fix."""

import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from proxy.policy.problem import Problem
from proxy.policy.yamlfile import Document, Path

Model = TypeVar("Model", bound=BaseModel)

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_FORM = "\0"  # begins a step of a path that names one of several forms of a value, not a key
_MAPPING = "write a mapping (key: value) here, or remove the key"

# What to write, for each kind of error where pydantic says it in words of Python.
WORDS = {
    "literal_error": "write {expected}",
    "enum": "write {expected}",
    "int_type": "write a whole number",
    "float_type": "write a number",
    "bool_type": "write true or false",
    "string_type": "write a text",
    "string_too_short": "write a text that is not empty",
    "string_too_long": "write at most {max_length} characters",
    "greater_than": "write a number above {gt}",
    "greater_than_equal": "write a number from {ge}",
    "less_than_equal": "write a number up to {le}",
    "list_type": "write a list ([a, b], or a line that begins with - for each)",
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "dict_type": _MAPPING,
}


def form(name: str) -> str:
    """The tag of one form of a value that has several: no key, and told to nobody."""
    return _FORM + name


def check(
    model: type[Model],
    document: Document,
    context: dict[str, Any] | None = None,
    hidden: Callable[[Path], bool] = lambda _: False,
    *,
    empty: bool = True,
) -> Model | None:
    """Validate the document's values; on any fault add problems to it and return None.

    `context` is handed to the model's validators; a value at a `hidden` path is never quoted.
    Unless keys may be `empty`, one without a value is a fault even where it need not be there.
    """
    if document.problems:
        return None
    data = {} if document.data is None else document.data
    if not isinstance(data, dict):
        message = f"write keys and their values here (key: value), found {_kind(data)}"
        document.problems.append(document.problem((), message))
        return None
    nothing = set() if empty else set(_empty(data, ()))
    document.problems.extend(document.problem(path, _nothing(path)) for path in nothing)
    try:
        checked = model.model_validate(data, context=context)
    except ValidationError as error:
        document.problems.extend(
            _problem(model, document, details, hidden)
            for details in error.errors(include_url=False)
            if _keys(details["loc"]) not in nothing or details["type"] == "extra_forbidden"
        )
        return None
    return None if nothing else checked


def _empty(value: Any, path: Path) -> Iterator[Path]:
    """The paths at which nothing stands."""
    if value is None:
        yield path
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _empty(inner, (*path, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _empty(inner, (*path, i))


def _nothing(path: Path) -> str:
    if isinstance(path[-1], int):
        return "nothing stands here: write a value, or remove the line"
    return f'"{path[-1]}" has no value: write one, or remove the key'


def _problem(
    model: type[BaseModel],
    document: Document,
    details: ErrorDetails,
    hidden: Callable[[Path], bool],
) -> Problem:
    path = _keys(details["loc"])
    match details["type"]:
        case "extra_forbidden":
            return document.problem(path, unknown_key(model, path), at_key=True)
        case "missing":
            return document.problem(path[:-1], f'"{path[-1]}" is missing')
        case "value_error":
            # pydantic puts "Value error, " before the text of a validator's own error
            return document.problem(path, str(details["ctx"]["error"]))
        case kind:
            said = _words(kind, details.get("ctx", {}), details["msg"])
            shown = _found(details["input"]) if not hidden(path) else ""
            return document.problem(path, f"{_dotted(path)}: {said}{shown}{_hint(details, shown)}")


def _keys(loc: Path) -> Path:
    """A place as the file has it."""
    return tuple(step for step in loc if not (isinstance(step, str) and step.startswith(_FORM)))


def _words(kind: str, context: dict[str, Any], said: str) -> str:
    words = WORDS.get(kind)
    if words is None:
        return said[0].lower() + said[1:]
    bounds = {
        key: int(v) if isinstance(v, float) and v.is_integer() else v for key, v in context.items()
    }
    return words.format(**bounds).replace("'", "")


def _found(value: Any) -> str:
    return f", found {_kind(value)}"


def _hint(details: ErrorDetails, shown: str) -> str:
    """The likely fix: the nearest of the words that may stand there, quotes put on or left out."""
    given = details["input"]
    match details["type"], given:
        case _ if not shown:
            return ""
        case (("literal_error" | "enum"), str()):
            known = re.findall(r"'([^']*)'", details["ctx"]["expected"])
            near = get_close_matches(given.lower(), known, n=1)
            return f' (did you mean "{near[0]}"?)' if near else ""
        case "string_type", bool() | int() | float():
            return " (put it in quotes)"
        case (("int_type" | "float_type"), str()) if _NUMBER.fullmatch(given):
            return " (write it without quotes)"
        case "bool_type", str() if given.lower() in ("yes", "no", "on", "off", "true", "false"):
            right = "true" if given.lower() in ("yes", "on", "true") else "false"
            return f" (did you mean {right}, and no text?)"
        case _:
            return ""


def unknown_key(model: type[BaseModel], path: Path) -> str:
    """The message for a key that the model does not have, with the nearest one that it has."""
    key = str(path[-1])
    known = sorted(keys_at(model, path[:-1]))
    near = get_close_matches(key, known, n=1)
    if key == "cases" and "quotas" in known:
        return "cases are not policies: put this file into the directory tests/ beside them"
    hint = f' (did you mean "{near[0]}"?)' if near else f" (known here: {', '.join(known)})"
    return f'unknown key "{key}"{hint}'


def keys_at(model: type[BaseModel], path: Path) -> set[str]:
    """Names that a mapping at `path` below `model` may have."""
    current: type[BaseModel] | None = model
    for step in path:
        if isinstance(step, int) or current is None:
            continue
        info = current.model_fields.get(step)
        current = next(_models_in(info.annotation), None) if info else current
    return set(current.model_fields) if current else set()


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _dotted(path: Path) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else (f".{step}" if text else step)
    return text


def _kind(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return f"the boolean {str(value).lower()}"
        case int() | float():
            return f"the number {value}"
        case str():
            shown = value if len(value) <= 40 else value[:37] + "…"
            return f'the text "{shown}"'
        case list():
            return "a list"
        case _:
            return "a mapping"
