"""The JSON Schema for editors accepts what the check accepts, and underlines what it can see."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from proxy.policy.editor import DRAFT, policy_schema, schema_text
from proxy.policy.schema_quota import DIMENSIONS, WINDOWS
from proxy.policy.schema_rule import MatchSpec
from proxy.policy.yamlfile import parse

ROOT = Path(__file__).parents[2]
POLICIES = ROOT / "policies"
SAMPLES = [
    path
    for path in sorted(POLICIES.rglob("*.yaml"))
    if "tests" not in path.relative_to(ROOT).parts and path.name != "gauger.yaml"
]
HERE = Path(__file__).parent
ODD = sorted((HERE / "lints").glob("*.yaml"))
# Faults of one entry that need no more than its keys and values to be seen.
SEEN = (
    *("a-boolean", "a-number", "a-text", "keys", "not-a-mapping", "sections", "values"),
    *("access", "exceptions", "geography", "match", "quotas"),
)
SCHEMA = policy_schema()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


def data(path: Path) -> Any:
    return parse(path.name, path.read_bytes()).data


def faulty(instance: object) -> bool:
    return not VALIDATOR.is_valid(instance)


def one(section: str, **rule: object) -> dict[str, object]:
    return {section: [{"id": "r", "mode": "shadow", **rule}]}


def test_it_is_a_draft_07_schema_without_words_of_python():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    text = json.dumps(SCHEMA)
    assert SCHEMA["$schema"] == DRAFT
    assert not any(word in text for word in ("$defs", '"null"', "Spec(", "Annotated"))


def test_the_file_beside_the_samples_is_current():
    """If not: gauger policy schema > policies/policy.schema.json."""
    assert (POLICIES / "policy.schema.json").read_text() == schema_text()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: str(path.relative_to(POLICIES)))
def test_each_sample_names_the_schema_and_fits_it(sample: Path):
    first = sample.read_text().splitlines()[0]
    comment, _, where = first.partition("$schema=")
    assert comment == "# yaml-language-server: "
    assert (sample.parent / where).resolve() == POLICIES / "policy.schema.json"
    VALIDATOR.validate(data(sample))


@pytest.mark.parametrize("file", ODD, ids=lambda path: path.stem)
def test_what_is_only_odd_fits_it(file: Path):
    VALIDATOR.validate(data(file))


@pytest.mark.parametrize("name", SEEN)
def test_faults_that_a_schema_can_see_are_underlined(name: str):
    assert faulty(data(HERE / "faults" / f"{name}.yaml"))


def _properties(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        yield from node.get("properties", {}).items()
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for value in inner:
        yield from _properties(value)


def test_every_key_is_described():
    assert [name for name, known in _properties(SCHEMA) if not known.get("description")] == []


@pytest.mark.parametrize("match", [{}, {"tiers": ["free"]}, {"tiers": "$tiers"}, "request.stream"])
def test_a_match_is_a_text_or_a_mapping(match: object):
    assert not faulty(one("access", match=match, then="deny"))


@pytest.mark.parametrize(
    "match", [5, ["a"], {"tier": []}, {"tiers": "free"}, {"tiers": []}, {"countries": ["UK"]}]
)
def test_anything_else_is_no_match(match: object):
    assert faulty(one("access", match=match, then="deny"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("delay", text) for text in ("5", "5 s", "0s", "1m30s")),
        *(("expires", text) for text in ("tomorrow", "2026-1-1")),
        *(("id", text) for text in ("Upper", "a b", "", "1a")),
        *(("message", text) for text in ("a\nb", "x" * 501)),
        ("rollout", 0),
        ("mode", "enforced"),
        ("severity", "fatal"),
        ("reveals", "yes"),
    ],
)
def test_values_that_no_rule_takes_are_underlined(key: str, value: object):
    assert faulty(one("access", then="deny", **{key: value}))


def test_words_that_are_known_beforehand_are_offered():
    match = SCHEMA["definitions"]["MatchSpec"]["properties"]
    assert match.keys() == MatchSpec.model_fields.keys()
    assert "DE" in match["countries"]["anyOf"][0]["items"]["enum"]
    assert "messages" in match["surfaces"]["anyOf"][0]["items"]["enum"]
    quota = SCHEMA["definitions"]["QuotaSpec"]["properties"]
    assert quota["per"]["anyOf"][0]["enum"] == list(DIMENSIONS)
    assert quota["window"]["anyOf"][0]["enum"] == list(WINDOWS)
