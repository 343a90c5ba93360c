"""Who is in the account directory, as far as rules name accounts, tiers and the like.

A rule about a tier that no account has is a slip of the pen, or waits for accounts to come.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from proxy.facts.account_file import numbered_lines
from proxy.facts.account_lines import read_account
from proxy.model.account import Account
from proxy.model.facts import FactValue
from proxy.policy.lints.words import quoted
from proxy.policy.match import Condition
from proxy.policy.problem import Problem
from proxy.policy.rules import PolicySet, QuotaRule
from proxy.policy.written import Written
from proxy.settings.knowable import reads, subject_facts

ORGANIZATION = "account.organization"

# What an account has of each fact whose values rules name.
NAMED: Mapping[str, Callable[[Account], Iterable[str | None]]] = {
    "account.id": lambda account: (account.account,),
    "account.key": lambda account: (key.id for key in account.keys),
    ORGANIZATION: lambda account: (account.organization,),
    "account.tier": lambda account: (account.tier,),
    "account.labels": lambda account: account.labels,
}
# Whether an account has each fact that may be missing.
GIVEN: Mapping[str, Callable[[Account], bool]] = {
    ORGANIZATION: lambda account: bool(account.organization),
    "account.tier": lambda account: bool(account.tier),
    "account.country": lambda account: bool(account.country),
    "account.billing_country": lambda account: bool(account.billing_country),
    "account.verified": lambda account: account.verified is not None,
    "account.age_s": lambda account: account.created_at is not None,
    "account.owners": lambda account: bool(account.owners),
}


class Census:
    """Counts one directory in a single pass; it holds no more than the values rules name."""

    def __init__(self, policy: PolicySet, directory: str) -> None:
        self._written = Written(policy)
        self._directory = directory
        self._wanted: dict[str, set[FactValue]] = {name: set() for name in NAMED}
        for table in self._tables():
            self._wanted[table[1].fact] |= table[1].values or set()
        self._seen: dict[str, set[FactValue]] = {name: set() for name in NAMED}
        self._given: Counter[str] = Counter()
        self._own: Counter[tuple[str, str]] = Counter()  # limits of their own, by rule and unit
        self._accounts = 0

    def count(self, account: Account) -> None:
        """Count one account."""
        self._accounts += 1
        for fact, values in NAMED.items():
            self._seen[fact].update(v for v in values(account) if v in self._wanted[fact])
        self._given.update(fact for fact, has in GIVEN.items() if has(account))
        if account.limits:
            self._own.update((r, unit) for r, units in account.limits.items() for unit in units)

    def problems(self) -> tuple[Problem, ...]:
        """A warning for each table of which no account has a value, and each fact of no account."""
        if not self._accounts:
            return ()
        found = {*self._nobody(), *self._never_given(), *self._alone(), *self._of_no_rule()}
        return tuple(sorted(found))

    def _tables(self) -> Iterator[tuple[str, Condition]]:
        policy = self._written.policy
        for rule in (*policy.exceptions, *policy.rules):
            for atom in rule.match.conditions:
                if isinstance(atom, Condition) and atom.fact in NAMED and atom.values:
                    yield rule.id, atom

    def _nobody(self) -> Iterator[Problem]:
        for rule, table in self._tables():
            if not self._given.get(table.fact, self._accounts):
                continue  # nobody has the fact at all, which is said once
            unknown = sorted(map(str, (table.values or set()) - self._seen[table.fact]))
            if unknown:
                names = ", ".join(f'"{name}"' for name in unknown[:6])
                message = f"{quoted(table)}: nobody in {self._directory} has {names}"
                yield self._written.entries[rule].about(table, message)

    def _never_given(self) -> Iterator[Problem]:
        policy = self._written.policy
        for rule in (*policy.exceptions, *policy.rules):
            for fact in sorted((reads(rule) | subject_facts(rule)) & GIVEN.keys()):
                if not self._given[fact]:
                    message = f"{fact} is known of nobody in {self._directory}"
                    yield self._written.entries[rule.id].at_fact(fact, message)

    def _alone(self) -> Iterator[Problem]:
        """Quotas of organizations where there is none count each account for itself."""
        for rule in self._written.policy.quotas:
            if "organization" in rule.per and not self._given[ORGANIZATION]:
                message = (
                    f"nobody in {self._directory} has an organization: "
                    "each account counts for itself"
                )
                yield self._written.entries[rule.id].problem(message, "per")

    def _of_no_rule(self) -> Iterator[Problem]:
        """Limits of accounts for what the set does not limit: they would do nothing."""
        for (id_, unit), accounts in self._own.items():
            if idle := _idle_limit(self._written.policy, id_, unit):
                whose = "1 account" if accounts == 1 else f"{accounts:,} accounts"
                message = f"limits.{id_[:60]}.{unit} of {whose} does nothing: {idle}"
                yield Problem(self._directory, 0, 0, message)


def _idle_limit(policy: PolicySet, id_: str, unit: str) -> str:
    """Why a limit of an account's own does nothing; "" where it counts."""
    rule = policy.by_id.get(id_)
    if not isinstance(rule, QuotaRule):
        near = get_close_matches(id_, [quota.id for quota in policy.quotas], n=1)
        guess = f' (did you mean "{near[0]}"?)' if near else ""
        return f"there is no quota of this name in the set{guess}"
    units = [limit.unit.value for limit in rule.limits]
    if unit not in units:
        return f"the quota limits {', '.join(units)}"
    if rule.recognizes:
        return "the quota rests on recognizing callers, and its limits are the same for all"
    return ""


def census_of(policy: PolicySet, path: Path) -> tuple[Problem, ...]:
    """The warnings about a directory's file, which was found to be in order."""
    census = Census(policy, path.name)
    with path.open("rb") as file:
        for _, line in numbered_lines(file, path):
            if line.strip():
                census.count(read_account(line))
    return census.problems()
