"""Whatever stands in a policy file, it is a policy set or faults with places, and nothing else."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.policy.compare import compare
from proxy.policy.lint import lint
from proxy.policy.load import compile_texts
from proxy.policy.problem import Problem, ProblemsError
from proxy.policy.rules import PolicySet
from proxy.policy.schema import (
    AccessSpec,
    ExceptionSpec,
    FingerprintSpec,
    GeographySpec,
    ModifySpec,
    PolicyFile,
    TemplateSpec,
)
from proxy.policy.schema_quota import LimitSpec, QuotaSpec
from proxy.policy.schema_rule import FuseSpec, MatchSpec
from tests.policy.whole import WHOLE

HERE = Path(__file__).parent
FILES = [
    *sorted((HERE / "lints").glob("*.yaml")),
    *sorted((HERE / "faults").glob("*.yaml")),
    *sorted((HERE.parents[1] / "policies").glob("*.yaml")),
]
GOOD = [json.dumps(WHOLE).encode(), *(file.read_bytes() for file in FILES)]
NOW_NS = 1_800_000_000 * 1_000_000_000

Path_ = tuple[str | int, ...]


def compiled(*texts: bytes) -> PolicySet | None:
    """The set, or None where it has faults, each of which names its file and says something."""
    problems: tuple[Problem, ...] = ()
    try:
        policy = compile_texts([(f"{i}.yaml", text) for i, text in enumerate(texts)])
    except ProblemsError as error:
        problems = error.problems
    if problems:
        assert all(p.file.endswith(".yaml") and p.line >= 0 for p in problems)
        assert all(p.message and p.message.isprintable() for p in problems)
        return None
    lint(policy, NOW_NS)
    assert not compare(policy, policy)
    return policy


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=3))
def test_any_bytes_are_read(texts: list[bytes]):
    compiled(*texts)


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@`,? \n\t\r\x85\u2028\ufeff0.~", max_size=80))
def test_any_text_of_the_signs_of_yaml_is_read(text: str):
    compiled(text.encode())


@settings(max_examples=200)
@given(st.data())
def test_any_damage_to_a_file_is_read(data: st.DataObject):
    text = data.draw(st.sampled_from(GOOD))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 30)))
        instead = data.draw(st.one_of(st.just(text[start:end] * 2), st.binary(max_size=8)))
        text = text[:start] + instead + text[end:]
    compiled(text)


WORDS = st.sampled_from(
    [
        "$embargoed",
        "$nothing",
        "deny",
        "enforce",
        "1m",
        "m-*",
        "2026-12-01",
        "account.tier",
        "",
        "DE",
    ]
)
CEL = st.lists(
    st.sampled_from(
        [
            *(
                "account.tier",
                "request.stream",
                "cluster.score",
                "account.labels",
                "lists.embargoed",
            ),
            *("==", "!=", "<", "in", "&&", "||", "!", "(", ")", "[", "]", ",", "?", ":", "."),
            *(
                '"x"',
                "'",
                "1",
                "2.5",
                "true",
                "has(",
                "glob(",
                "exists(x, ",
                "size()",
                "timestamp(",
            ),
        ]
    ),
    max_size=12,
).map(" ".join)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), WORDS, CEL
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.text(max_size=8), st.sampled_from(["id", "cel"])), inner),
    ),
    max_leaves=8,
)


def paths(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Every place below the top."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, below in inner:
        yield (*path, key)
        if isinstance(below, (dict, list)):
            yield from paths(below, (*path, key))


def at(value: Any, path: Path_) -> Any:
    for step in path:
        value = value[step]
    return value


def dumped(value: Any) -> bytes:
    return yaml.dump(value, Dumper=yaml.CSafeDumper, allow_unicode=True).encode(
        "utf-8", "surrogatepass"
    )


PATHS = list(paths(WHOLE))


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(PATHS), VALUES), min_size=1, max_size=3))
def test_any_values_in_place_of_others_are_read(changes: list[tuple[Path_, Any]]):
    changed = deepcopy(WHOLE)
    for path, value in changes:
        try:
            holder = at(changed, path[:-1])
            holder[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # another change took the place away
    compiled(dumped(changed))


@given(st.dictionaries(st.sampled_from([*WHOLE, "other"]), VALUES))
def test_any_sections_are_read(sections: dict[str, Any]):
    compiled(dumped(sections))


# Keys: none can be dropped or misspelt in silence

BASE = compiled(json.dumps(WHOLE).encode())
FREE = (("lists",), ("model_groups",))  # names in them are the author's own
KEYS = [path for path in PATHS if isinstance(path[-1], str)]
SECTIONS = {
    "exceptions": ExceptionSpec,
    "geography": GeographySpec,
    "access": AccessSpec,
    "fingerprints": FingerprintSpec,
    "quotas": QuotaSpec,
}
INNER = {
    "match": MatchSpec,
    "fuse": FuseSpec,
    "limit": LimitSpec,
    "modify": ModifySpec,
    "template": TemplateSpec,
}


def changed(path: Path_, name: str | None) -> bytes:
    """The whole set with a key dropped, or under another name."""
    document = deepcopy(WHOLE)
    holder = at(document, path[:-1])
    value = holder.pop(path[-1])
    if name is not None:
        holder[name] = value
    return json.dumps(document).encode()


def test_the_whole_set_has_every_key_and_is_in_order():
    assert BASE is not None
    assert WHOLE.keys() == PolicyFile.model_fields.keys()
    for section, model in SECTIONS.items():
        assert {key for rule in WHOLE[section] for key in rule} >= _own(model), section
    for key, inner in INNER.items():
        held = [rule[key] for section in SECTIONS for rule in WHOLE[section] if key in rule]
        assert {k for value in held if isinstance(value, dict) for k in value} >= set(
            inner.model_fields
        )


def _own(model: Any) -> set[str]:
    """The keys of a kind of rule, without those that it only inherits and cannot use here."""
    elsewhere = {"on_unavailable", "reveals", "match", "delay", "modify", "message", "legal"}
    return set(model.model_fields) - elsewhere


@pytest.mark.parametrize("path", KEYS, ids=lambda path: ".".join(map(str, path)))
def test_a_misspelt_key_is_a_fault(path: Path_):
    assert compiled(changed(path, f"{path[-1]}_x")) is None or path[:-1] in FREE


@pytest.mark.parametrize("path", KEYS, ids=lambda path: ".".join(map(str, path)))
def test_a_dropped_key_is_a_fault_or_another_rule(path: Path_):
    policy = compiled(changed(path, None))
    if policy is None:
        return
    assert not _required(path), "a rule without it was accepted"
    assert BASE is not None
    assert compare(BASE, policy), "nothing tells that it is gone"


def _required(path: Path_) -> bool:
    model = SECTIONS.get(str(path[0]))
    for step in path[1:-1]:
        model = INNER.get(str(step), model)  # type: ignore[assignment]  # models of many kinds
    field = model.model_fields.get(str(path[-1])) if model else None
    return field is not None and field.is_required()
