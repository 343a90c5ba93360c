"""What can be read of a file some of whose entries are wrong, so that all faults are told at once.

Nothing is ever made of it but more faults: a file with a fault gives no rules.
"""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from proxy.policy.schema import PolicyFile
from proxy.policy.yamlfile import Document

SECTIONS = ("exceptions", "geography", "access", "fingerprints", "quotas")


def readable(document: Document) -> PolicyFile | None:
    """The entries that are right, each at its own index; None stands for each of the others.

    None where the file is no mapping.
    """
    data = document.data
    if not isinstance(data, dict):
        return None
    given = _mapping(data.get("lists"))
    lists = {name: values for name, values in given.items() if _texts(values)}
    groups = _mapping(data.get("model_groups"))
    sections: dict[str, Any] = {
        name: _entries(name, data.get(name)) for name in (*SECTIONS, "prices")
    }
    return PolicyFile.model_construct(
        None,
        lists=lists,
        model_groups={name: models for name, models in groups.items() if _texts(models)},
        **sections,
    )


def ids_of(document: Document) -> set[str]:
    """The ids of a file's rules, whatever else is wrong with them; exceptions are no rules."""
    data = _mapping(document.data)
    found = (
        entry.get("id")
        for section in SECTIONS[1:]
        for entry in _list(data.get(section))
        if isinstance(entry, dict)
    )
    return {id_ for id_ in found if isinstance(id_, str)}


def list_names(document: Document) -> set[str]:
    """The names of a file's lists, whatever is wrong with their values."""
    return {str(name) for name in _mapping(_mapping(document.data).get("lists"))}


def _entries(section: str, given: object) -> list[BaseModel | None]:
    (model,) = get_args(PolicyFile.model_fields[section].annotation)
    return [_entry(model, value) for value in _list(given)]


def _entry(model: type[BaseModel], value: object) -> BaseModel | None:
    try:
        return model.model_validate(value)
    except ValidationError:
        return None


def _texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
