"""Plain values to checked ones: every fault with its place and the likely fix."""

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from proxy.policy.problem import Problem
from proxy.policy.yamlfile import Document, Path

Model = TypeVar("Model", bound=BaseModel)

# What pydantic says in words of Python.
WORDS = dict.fromkeys(
    ("model_type", "model_attributes_type", "dict_type"),
    "write a mapping (key: value) here, or remove the key",
)


def check(
    model: type[Model],
    document: Document,
    context: dict[str, Any] | None = None,
    hidden: Callable[[Path], bool] = lambda _: False,
) -> Model | None:
    """Validate the document's values; on any fault add problems to it and return None.

    `context` is handed to the model's validators; a value at a `hidden` path is never quoted.
    """
    if document.problems:
        return None
    data = {} if document.data is None else document.data
    if not isinstance(data, dict):
        message = f"expected a mapping of settings, found {_kind(data)}"
        document.problems.append(document.problem((), message))
        return None
    try:
        return model.model_validate(data, context=context)
    except ValidationError as error:
        document.problems.extend(
            _problem(model, document, details, hidden)
            for details in error.errors(include_url=False)
        )
        return None


def _problem(
    model: type[BaseModel],
    document: Document,
    details: ErrorDetails,
    hidden: Callable[[Path], bool],
) -> Problem:
    path: Path = details["loc"]
    match details["type"]:
        case "extra_forbidden":
            return document.problem(path, unknown_key(model, path), at_key=True)
        case "missing":
            return document.problem(path[:-1], f'"{path[-1]}" is missing')
        case "value_error":
            # pydantic puts "Value error, " before the text of a validator's own error
            return document.problem(path, str(details["ctx"]["error"]))
        case kind:
            said = WORDS.get(kind) or details["msg"][0].lower() + details["msg"][1:]
            found = "" if hidden(path) else f", found {_kind(details['input'])}"
            return document.problem(path, f"{_dotted(path)}: {said}{found}")


def unknown_key(model: type[BaseModel], path: Path) -> str:
    """The message for a key that the model does not have, with the nearest one that it has."""
    key = str(path[-1])
    known = sorted(keys_at(model, path[:-1]))
    near = get_close_matches(key, known, n=1)
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
