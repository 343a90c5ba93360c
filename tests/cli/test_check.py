"""`gauger check` tells what looks wrong beside what is in order."""

import json
from pathlib import Path

import pytest

from proxy.cli.check import report
from proxy.policy.problem import ProblemsError

AT_NS = 1_795_000_000 * 1_000_000_000
POLICY = """
lists:
  unused: [x]
access:
  - {id: by-place, match: {countries: [CU], tiers: [fre]}, mode: shadow, then: deny}
quotas:
  - {id: q, mode: enforce, limit: {requests: 5}, window: 1m}
"""


def test_lints_facts_that_stay_unknown_and_names_that_nobody_has_are_told(tmp_path: Path):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "p.yaml").write_text(POLICY)
    account = {"account": "a", "tier": "free", "keys": [{"id": "k", "sha256": "0" * 64}]}
    (tmp_path / "accounts.jsonl").write_text(json.dumps(account) + "\n")
    (tmp_path / "gauger.yaml").write_text(
        "policies: policies\naccounts: accounts.jsonl\nstate_dir: var\n"
    )
    lines = list(report(tmp_path / "gauger.yaml", {}, AT_NS))
    told = [line for line in lines if line.startswith("warning")]
    place = f"warning     {tmp_path}/policies/p.yaml"
    assert told == [
        f'{place}:3:3: nothing uses the list "unused": remove it, or write $unused in a rule',
        f"{place}:5:28: client.country is never known here: the settings name no geo.databases; "
        "the rule goes by on_missing: apply",
        f'{place}:5:45: `tiers: [fre]`: nobody in accounts.jsonl has "fre"',
    ]
    assert any(line.startswith("policies    ") and "2 rules in 1 files" in line for line in lines)


def test_clusters_are_checked_and_compared_with_the_directory(tmp_path: Path):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "p.yaml").write_text(
        "quotas:\n  - {id: q, match: cluster.score > 0.9, mode: shadow, limit: {requests: 5}, "
        "window: 1m}\n"
    )
    (tmp_path / "accounts.jsonl").write_text('{"account": "a", "keys": []}\n')
    clusters = "clusters:\n  - {id: c-2, state: open, split_from: c-1, accounts: [a, b]}\n"
    (tmp_path / "clusters.yaml").write_text(clusters)
    config = tmp_path / "gauger.yaml"
    config.write_text(
        "policies: policies\naccounts: accounts.jsonl\nclusters: clusters.yaml\nstate_dir: var\n"
    )
    lines = list(report(config, {}, AT_NS))
    said = (
        "1 clusters of 2 accounts, 0 dismissed; counts carried on of 1 that it does not list: c-1"
    )
    assert f"clusters    {tmp_path}/clusters.yaml: {said}" in lines
    place = f"{tmp_path}/clusters.yaml:2:59"
    told = f"warning     {place}: accounts[1]: nobody in accounts.jsonl has this id"
    assert [line for line in lines if line.startswith("warning") and "cluster" in line] == [told]
    (tmp_path / "clusters.yaml").write_text(clusters.replace("open", "opne"))
    with pytest.raises(ProblemsError, match=r"clusters\.yaml:2:22: .*did you mean \"open\""):
        list(report(config, {}, AT_NS))
