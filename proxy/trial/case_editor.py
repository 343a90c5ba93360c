"""JSON Schema (draft-07) of a file of cases, for editors: completion, descriptions, underlines.

As for policy files, a file names it on its first line:
`# yaml-language-server: $schema=../cases.schema.json`.
"""

from typing import Any

from proxy.policy.editor import DRAFT
from proxy.trial.case_schema import CaseFile


def case_schema() -> dict[str, Any]:
    """The schema of one file of cases. What it cannot say, `gauger policy test` says."""
    schema = CaseFile.model_json_schema(ref_template="#/definitions/{model}")
    schema["definitions"] = schema.pop("$defs")
    return {"$schema": DRAFT, "title": "Gauger policy cases", **_plain(schema)}


def _plain(node: Any) -> Any:
    """Without names of classes and fields, and with nothing beside a $ref, as draft-07 reads it."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {
        key: _plain(value)
        for key, value in node.items()
        if not (key == "title" and isinstance(value, str)) and not (key == "default" and not value)
    }
    reference = kept.pop("$ref", None)
    if reference is None:
        return kept
    return {"allOf": [{"$ref": reference}], **kept} if kept else {"$ref": reference}
