"""The shape of a file of clusters, as investigators write it; and its JSON Schema for editors."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StrictStr, WithJsonSchema

from proxy.model.cluster import ClusterState
from proxy.policy.editor import DRAFT, in_draft_07
from proxy.policy.schema_texts import RuleId, Spec

EVIDENCE_CHARACTERS = 2_000


def _evidence(text: str) -> str:
    if len(text) > EVIDENCE_CHARACTERS or not all(c.isprintable() or c in "\n\t" for c in text):
        msg = f"evidence is a text of at most {EVIDENCE_CHARACTERS:,} printable characters"
        raise ValueError(msg)
    return text


def _some(values: list[Any]) -> list[Any]:
    if not values:
        msg = "an empty list: write at least one, or remove the key"
        raise ValueError(msg)
    return values


def _some_accounts(values: list[Any]) -> list[Any]:
    if not values:
        msg = "a cluster without accounts: write their ids, or remove the cluster"
        raise ValueError(msg)
    return values


_ID = {"type": "string", "minLength": 1}
_WEIGHTED = {
    "type": "object",
    "properties": {
        "account": _ID,
        "weight": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 1,
            "description": "How much it belongs to the cluster; 1 where it is left out.",
        },
    },
    "required": ["account"],
    "additionalProperties": False,
}
_ACCOUNTS = {"type": "array", "minItems": 1, "items": {"anyOf": [_ID, _WEIGHTED]}}
# What is in the list is checked where it is read: there may be a million of them.
Accounts = Annotated[list[Any], AfterValidator(_some_accounts), WithJsonSchema(_ACCOUNTS)]
States = Annotated[ClusterState, Field(strict=False)]


class ClusterSpec(Spec):
    """One cluster."""

    id: RuleId = Field(description="Its name, which counts are kept under: never reuse one.")
    state: States = Field(description="dismissed: a mistake, without any effect.")
    score: Annotated[float, Field(ge=0, le=1)] = Field(
        1.0, description="How sure the evidence is, 0 to 1."
    )
    evidence: Annotated[StrictStr, AfterValidator(_evidence)] = Field(
        "", description="What it rests on, for people."
    )
    merged_from: Annotated[list[RuleId], AfterValidator(_some)] | None = Field(
        None, description="Clusters that became this one: it begins with the largest count."
    )
    split_from: RuleId | None = Field(
        None, description="The cluster that this one was part of: it begins with its count."
    )
    accounts: Accounts = Field(description="Ids of accounts, or {account, weight}.")


class ClustersFile(Spec):
    """A file of clusters."""

    clusters: list[ClusterSpec]


def schema_text() -> str:
    """The JSON Schema (draft-07) of a file of clusters, as its own file has it."""
    schema = in_draft_07(ClustersFile.model_json_schema())
    titled = {"$schema": DRAFT, "title": "Gauger clusters", **schema}
    return json.dumps(titled, indent=2) + "\n"
