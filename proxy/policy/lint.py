"""What is odd about a policy set that compiles: told to people, and nothing hangs on it.

Every warning is certain, as far as it goes: what cannot be decided without an exchange is left
alone. A set that means what it says has none.
"""

from collections.abc import Callable, Iterator

from proxy.policy.lints.exceptions import exceptions
from proxy.policy.lints.never import NEVER, past
from proxy.policy.lints.prices import PRICES
from proxy.policy.lints.quotas import QUOTAS, loose
from proxy.policy.lints.shadowed import shadowed
from proxy.policy.lints.telling import TELLING
from proxy.policy.lints.unsure import UNSURE
from proxy.policy.lints.values import VALUES
from proxy.policy.problem import Problem
from proxy.policy.resets import resets
from proxy.policy.rules import PolicySet
from proxy.policy.written import Written

LINTS: tuple[Callable[[Written], Iterator[Problem]], ...] = (
    *NEVER,
    *QUOTAS,
    *PRICES,
    *UNSURE,
    *VALUES,
    exceptions,
    *TELLING,
)
# Those that hang on when they are asked.
TIMED: tuple[Callable[[Written, int], Iterator[Problem]], ...] = (past, shadowed, loose)


def lint(policy: PolicySet, at_ns: int, before: PolicySet | None = None) -> tuple[Problem, ...]:
    """The warnings about a set that came from files, at a time (Unix ns), in order of place.

    Where it replaces the set `before`, the counters that begin from nothing are among them.
    """
    written = Written(policy)
    found = {problem for each in LINTS for problem in each(written)}
    found |= {problem for each in TIMED for problem in each(written, at_ns)}
    if before is not None:
        found |= set(_begun_anew(written, before))
    return tuple(sorted(found))


def _begun_anew(written: Written, before: PolicySet) -> Iterator[Problem]:
    for reset in resets(before, written.policy):
        message = f"the quota counts from nothing: {reset.why}"
        yield written.entries[reset.rule].problem(message, reset.key)
