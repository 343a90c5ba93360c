"""The examples of docs/policies.md are one set in order, and every key of a quota is told."""

import re
from pathlib import Path

from proxy.model.verdict import Algorithm, Unit
from proxy.policy.load import compile_texts
from proxy.policy.schema_quota import DIMENSIONS, WINDOWS, PriceSpec, QuotaSpec
from proxy.policy.schema_rule import RuleSpec
from proxy.policy.yamlfile import parse

PAGE = (Path(__file__).parents[2] / "docs" / "policies.md").read_text()
FENCE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECTIONS = "lists|model_groups|prices|exceptions|geography|access|fingerprints|quotas"
QUOTAS = PAGE[PAGE.index("## quotas\n") : PAGE.index("## geography\n")]


def examples() -> list[tuple[str, bytes]]:
    found = [text for text in FENCE.findall(PAGE) if re.match(rf"({SECTIONS}):", text)]
    return [(f"{i}.yaml", text.encode()) for i, text in enumerate(found)]


def test_the_examples_are_one_set_in_order():
    policy = compile_texts(examples())
    assert len(policy.quotas) >= 6
    assert all(not parse(name, text).problems for name, text in examples())


def test_every_key_unit_dimension_and_window_of_a_quota_is_told():
    told = set(re.findall(r"[a-z0-9_]+", QUOTAS))
    keys = QuotaSpec.model_fields.keys() - RuleSpec.model_fields.keys()
    words = {*keys, *PriceSpec.model_fields, *DIMENSIONS, *WINDOWS, *map(str, Unit)}
    assert words - told == set()
    assert {str(algorithm) for algorithm in Algorithm} - told == set()
