"""JSON Schema (draft-07) of a policy file, for editors: completion, descriptions, red underlines.

yaml-language-server reads draft-07; a file names its schema in a comment on its first line:
`# yaml-language-server: $schema=policy.schema.json`.
"""

from typing import Any

from proxy.policy.schema import PolicyFile

DRAFT = "http://json-schema.org/draft-07/schema#"


def policy_schema() -> dict[str, Any]:
    """The schema of one policy file. What it cannot say, `gauger policy check` says."""
    schema = _drafted(PolicyFile.model_json_schema())
    return {"$schema": DRAFT, "title": "Gauger policy file", **_without_title(schema)}


def _drafted(node: Any) -> Any:
    """Pydantic's 2020-12 schema in draft-07: `definitions`, and references that stand alone."""
    if isinstance(node, list):
        return [_drafted(item) for item in node]
    if not isinstance(node, dict):
        return node
    drafted = {
        ("definitions" if key == "$defs" else key): _drafted(value) for key, value in node.items()
    }
    reference = drafted.get("$ref")
    if isinstance(reference, str):
        moved = reference.replace("#/$defs/", "#/definitions/")
        # draft-07 ignores whatever stands beside a $ref
        rest = {key: value for key, value in drafted.items() if key != "$ref"}
        return {"allOf": [{"$ref": moved}], **rest} if rest else {"$ref": moved}
    return drafted


def _without_title(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "title"}
