"""What accounts were told of a limit when a refusal borrowed it, and are shown for as long.

A refusal that rests on recognizing the caller says that a published limit of the account is used
up. An exchange that the hidden rule leaves alone would then show, in the same window, that it is
not. So until the time at which the account was told to come back, answers show what they were
told. Invariant: this changes what answers show of limits, and no verdict.

The memory is that of one process: another replica, or another worker, shows what it told itself.
"""

from msgspec.structs import replace

from proxy.model.decision import Decision, LimitState

MOST = 65_536  # accounts that are remembered; those that were told first are forgotten first

Told = dict[tuple[str, str], tuple[LimitState, int]]  # by rule and unit: as it was told, until when


class Borrowed:
    """The limits that accounts were told are used up, by account."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._told: dict[str, Told] = {}

    def shown(self, account: str, decision: Decision, at_ns: int) -> Decision:
        """The decision with limits as the account may be shown them."""
        refusal = decision.refusal
        if decision.by_cluster and refusal is not None and refusal.limit is not None:
            self._note(account, refusal.limit, refusal.retry_at_ns or at_ns)
            return decision
        told = self._told.get(account) if self._told else None
        if told is None or not decision.limits:
            return decision
        for key in [key for key, (_, until_ns) in told.items() if until_ns <= at_ns]:
            del told[key]
        if not told:
            del self._told[account]
            return decision
        return replace(decision, limits=tuple([_as_told(s, told) for s in decision.limits]))

    def _note(self, account: str, limit: LimitState, until_ns: int) -> None:
        told = self._told.pop(account, {})
        told[limit.rule, limit.unit.value] = (limit, until_ns)
        self._told[account] = told
        if len(self._told) > self._most:
            del self._told[next(iter(self._told))]


def _as_told(state: LimitState, told: Told) -> LimitState:
    found = told.get((state.rule, state.unit.value))
    if found is None:
        return state
    limit, _ = found
    return replace(state, remaining=limit.remaining, resets_at_ns=limit.resets_at_ns)
