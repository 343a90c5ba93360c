from pathlib import Path

from bench.policy.__main__ import main
from bench.policy.rules import exchanges, policy_of
from proxy.policy.candidates import CandidateIndex


def test_five_rules_of_each_set_govern_and_the_index_leaves_out_most_of_the_others():
    policy = policy_of(200)
    found = CandidateIndex(policy).of(exchanges(1)[0])
    kept = [*found.geography, *found.access, *found.fingerprints, *found.quotas]
    assert len(policy.rules) == 200
    assert 5 <= len(kept) < 100


def test_the_benchmark_writes_its_page(tmp_path: Path):
    main(out=tmp_path, blocks=1)
    rows = (tmp_path / "policy.md").read_text().splitlines()
    assert [row.split(" | ")[0] for row in rows[-3:]] == ["| 10", "| 100", "| 500"]
