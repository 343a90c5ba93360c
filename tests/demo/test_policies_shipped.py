"""The policy sets and the settings file that come with Gauger load, and say what they claim."""

from pathlib import Path

import pytest

from proxy.model.verdict import Mode, RuleKind
from proxy.policy.load import load
from proxy.settings.load import load as load_settings

SHOWN = {RuleKind.QUOTA, RuleKind.GEOGRAPHY, RuleKind.FINGERPRINT}
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "gauger.yaml"


EXAMPLES = sorted((ROOT / "policies" / "examples").iterdir())
CONTAINMENT = ROOT / "policies" / "examples" / "containment" / "policies"  # beside a gauger.yaml
SETS = [ROOT / "policies", *(one for one in EXAMPLES if one != CONTAINMENT.parent), CONTAINMENT]


@pytest.mark.parametrize("directory", SETS, ids=lambda path: path.name)
def test_every_policy_file_is_commented_and_every_rule_described(directory: Path):
    policy = load(directory)
    assert all(rule.description for rule in policy.rules)
    assert all(Path(name).read_text().startswith("# ") for name in policy.files)
    assert {rule.kind for rule in policy.rules} >= SHOWN or directory == CONTAINMENT


def test_of_the_default_set_only_quotas_refuse():
    policy = load(ROOT / "policies")
    assert {rule.kind for rule in policy.rules if rule.mode is Mode.ENFORCE} == {RuleKind.QUOTA}


def test_the_demo_set_enforces_all_three_kinds():
    policy = load(ROOT / "policies" / "examples" / "demo")
    enforced = {rule.kind for rule in policy.rules if rule.mode is Mode.ENFORCE}
    assert enforced == SHOWN


def test_the_example_settings_copied_to_a_checkout_find_the_default_policies(tmp_path):
    (tmp_path / "gauger.yaml").write_text(EXAMPLE.read_text())
    (tmp_path / "policies").symlink_to(ROOT / "policies")
    environment = {"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b"}
    settings = load_settings(tmp_path / "gauger.yaml", environment)
    assert load(settings.policies).digest == load(ROOT / "policies").digest
