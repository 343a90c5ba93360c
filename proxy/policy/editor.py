"""JSON Schema (draft-07) of a policy file, for editors: completion, descriptions, red underlines.

yaml-language-server reads draft-07; a file names its schema in a comment on its first line:
`# yaml-language-server: $schema=policy.schema.json`.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from proxy.model.exchange import SURFACE_NAMES, Dialect
from proxy.policy.compile_match import ANONYMIZERS
from proxy.policy.countries import COUNTRIES
from proxy.policy.schema import PolicyFile

DRAFT = "http://json-schema.org/draft-07/schema#"

# Keys whose values are known beforehand.
KNOWN: Mapping[str, Iterable[str]] = {
    "surfaces": SURFACE_NAMES,
    "dialects": [dialect.value for dialect in Dialect],
    "anonymizers": ANONYMIZERS,
    **dict.fromkeys(("countries", "deny_countries", "allow_countries"), COUNTRIES),
}


def policy_schema() -> dict[str, Any]:
    """The schema of one policy file. What it cannot say, `gauger policy check` says."""
    schema = in_draft_07(PolicyFile.model_json_schema())
    schema["properties"]["lists"]["additionalProperties"] = False
    return {"$schema": DRAFT, "title": "Gauger policy file", **schema}


def schema_text() -> str:
    """The schema as its file has it."""
    return json.dumps(policy_schema(), indent=2) + "\n"


def in_draft_07(node: Any) -> Any:
    """Pydantic's 2020-12 schema in draft-07, without what it says of Python.

    Titles are names of classes and fields; an absent key is null there, and a null in a file is a
    fault.
    """
    if isinstance(node, list):
        return [in_draft_07(item) for item in node if item != {"type": "null"}]
    if not isinstance(node, dict):
        return node
    drafted = {
        _named(key): in_draft_07(value) for key, value in node.items() if _wanted(key, value)
    }
    for key, value in _mapping(drafted.get("properties")).items():
        if key in KNOWN:
            value["anyOf"][0]["items"] = {"enum": sorted(KNOWN[key])}
    return _flat(drafted)


def _named(key: str) -> str:
    return "definitions" if key == "$defs" else key


def _wanted(key: str, value: Any) -> bool:
    if key == "title":
        return not isinstance(value, str)  # else it is a property of that name
    return key != "default" or isinstance(value, (str, bool, int))


def _flat(drafted: dict[str, Any]) -> dict[str, Any]:
    """One alternative is none; draft-07 ignores whatever stands beside a $ref."""
    alternatives = drafted.get("anyOf", ())
    if len(alternatives) == 1:
        rest = {key: value for key, value in drafted.items() if key != "anyOf"}
        return _flat({**alternatives[0], **rest})
    reference = drafted.get("$ref")
    if not isinstance(reference, str):
        return drafted
    moved = reference.replace("#/$defs/", "#/definitions/")
    rest = {key: value for key, value in drafted.items() if key != "$ref"}
    return {"allOf": [{"$ref": moved}], **rest} if rest else {"$ref": moved}


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
