"""A set of policies and cases of a test's own, written out and read back."""

from pathlib import Path

from proxy.policy.problem import ProblemsError
from proxy.policy.rules import PolicySet
from proxy.trial.case import Case
from proxy.trial.cases import load_set
from proxy.trial.compare_case import Result, compared
from proxy.trial.run_cases import Trial

POLICY = """
geography:
  - {id: embargo, mode: enforce, legal: true, deny_countries: [AQ, BV], on_missing: abstain,
     match: {models: [m-large]}, message: Not there.}
access:
  - {id: bound, match: {tiers: [trial]}, mode: enforce, on_missing: abstain,
     modify: {max_tokens: 40}}
  - {id: slow, match: 'account.tier == "slow"', mode: enforce, on_missing: abstain,
     then: delay, delay: 2s}
  - {id: tried, match: 'account.tier == "tried"', mode: shadow, on_missing: abstain, then: deny}
  - {id: told, match: 'account.tier == "told"', mode: warn, on_missing: abstain, then: deny}
fingerprints:
  - {id: shared, mode: enforce, template: {accounts: 3, within: 10m}}
quotas:
  - {id: per-minute, mode: enforce, limit: {requests: 3, tokens: 9000}, window: 1m,
     match: {surfaces: [chat.completions]}}
exceptions:
  - {id: acme, rules: [bound], accounts: [acc-acme], granted_by: j, reason: why, until: 2030-01-01}
"""
DEFAULTS = "defaults: {at: 2026-04-22T00:00:15Z}\n"


def write(directory: Path, cases: str, policy: str = POLICY) -> Path:
    """The set in a directory."""
    (directory / "tests").mkdir(exist_ok=True)
    (directory / "policy.yaml").write_text(policy)
    (directory / "tests" / "cases.yaml").write_text(cases)
    return directory


def read(directory: Path, cases: str, policy: str = POLICY) -> tuple[PolicySet, tuple[Case, ...]]:
    """The set, read back."""
    return load_set(write(directory, cases, policy))


def run(directory: Path, cases: str, policy: str = POLICY) -> list[Result]:
    """Results of these cases, at the usual moment."""
    held, read_cases = read(directory, DEFAULTS + cases, policy)
    trial = Trial(held)
    return [compared(trial.run(case)) for case in read_cases]


def faults(directory: Path, cases: str, policy: str = POLICY) -> list[str]:
    """Faults of a set that has some, without the directory."""
    try:
        read(directory, cases, policy)
    except ProblemsError as error:
        return [str(problem).removeprefix(f"{directory}/") for problem in error.problems]
    raise AssertionError("no fault was found")
