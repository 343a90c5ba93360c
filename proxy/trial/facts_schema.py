"""The facts that a case may give, and what the JSON Schema says of them."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

from proxy.model.facts import CATALOGUE, Fact, FactType
from proxy.policy.cel.values import KNOWN
from proxy.policy.compile_match import ANONYMIZERS

CLUSTER = "cluster."
ORDINARY = "ordinary."
MOST_LISTED = 30  # values of a fact in the JSON Schema
# Facts that are given in another way: the clock is the case's, the counts come from `counters`.
GIVEN_OTHERWISE = {
    "time.now": "the clock is set with at: 2026-12-01T12:00:00Z",
    "quota.used_share": "it follows from the counts: give counters: {RULE: {requests: 30}}",
}
# Facts whose values are known beforehand: what a value is called, and which there are.
VALUES: Mapping[str, tuple[str, Iterable[str]]] = {
    **KNOWN,
    "client.anonymizer": ("kind of anonymizer", ANONYMIZERS),
}
SETTABLE = {name: fact for name, fact in CATALOGUE.items() if name not in GIVEN_OTHERWISE}

_ACCOUNTS: dict[str, Any] = {
    "type": "object",
    "propertyNames": {"pattern": "^[1-9][0-9]*[smhdw]$"},
    "additionalProperties": {"type": "integer", "minimum": 0},
}
_KINDS: Mapping[FactType, dict[str, Any]] = {
    FactType.STRING: {"type": "string"},
    FactType.INT: {"type": "integer"},
    FactType.DOUBLE: {"type": "number"},
    FactType.BOOL: {"type": "boolean"},
    FactType.STRINGS: {"type": "array"},
    FactType.TIME: {"type": "string"},
    FactType.COUNTS: _ACCOUNTS,
    FactType.LIMITS: {
        "type": "object",
        "additionalProperties": {"type": "object", "additionalProperties": {"type": "number"}},
    },
}


def _fact_schema(fact: Fact) -> dict[str, Any]:
    kind, values = _KINDS[fact.type], list(VALUES.get(fact.name, ("", ()))[1])
    if len(values) > MOST_LISTED:  # countries
        kind = {"type": "string", "pattern": "^[A-Z]{2}$"}
    elif values:
        kind = {"enum": sorted(values)}
    held = {"anyOf": [kind, {"type": "null"}]} if fact.optional else kind
    return {**held, "description": fact.description}


class _FactsHint:
    """Says in the JSON Schema which facts there are, each with a value or a list of values."""

    def __init__(self, facts: Mapping[str, Fact], *, lists: bool = False) -> None:
        self._facts = facts
        self._lists = lists

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        properties = {name: _fact_schema(fact) for name, fact in self._facts.items()}
        if self._lists:
            properties = {
                name: {"type": "array", "items": schema} for name, schema in properties.items()
            }
        return {"type": "object", "properties": properties, "additionalProperties": False}


_CLUSTER_FACTS = {
    name.removeprefix(CLUSTER): fact for name, fact in SETTABLE.items() if name.startswith(CLUSTER)
}
_ORDINARY_FACTS = {
    name.removeprefix(ORDINARY): fact
    for name, fact in SETTABLE.items()
    if name.startswith(ORDINARY)
}
FactsGiven = Annotated[dict[str, Any], _FactsHint(SETTABLE)]
FactsEach = Annotated[dict[str, list[Any]], _FactsHint(SETTABLE, lists=True)]
ClusterGiven = Annotated[dict[str, Any], _FactsHint(_CLUSTER_FACTS)]
OrdinaryGiven = Annotated[dict[str, Any], _FactsHint(_ORDINARY_FACTS)]
