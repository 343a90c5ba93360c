"""Fuses: a rule that suddenly refuses many accounts falls to shadow until somebody arms it again.

A state machine without a clock, the same for the gateway and for replay. Invariants: a rule stays
disarmed under its id until it is armed, whatever becomes of the policy files meanwhile; a legal
rule always acts; and a fuse holds at most one account more than it allows, in memory only.
"""

import heapq
import re
from collections.abc import Iterable, Mapping

from msgspec import Struct

from proxy.model.decision import Decision
from proxy.model.record import Json, Record
from proxy.model.verdict import Mode
from proxy.policy.rules import Fuse, PolicySet, Rule

NS_PER_S = 1_000_000_000
BY_FUSE = "gauger.fuse"  # who disarmed a rule whose fuse has blown
# A refusal that is told later than this, and than the window is long, is no straggler: the clock
# was set back, and a fuse that went on waiting for the old time would be blind until then.
SET_BACK_NS = 900 * NS_PER_S
_ID = re.compile(r"[a-z][a-z0-9-]{0,62}")


class Disarmed(Struct, frozen=True):
    """Who lowered a rule to shadow, why, and when (Unix ns)."""

    rule: str
    who: str
    why: str
    since_ns: int


class Change(Struct, frozen=True):
    """A rule that somebody else disarmed, or armed (`held` is None)."""

    rule: str
    held: Disarmed | None


class Blown(Struct, frozen=True):
    """A fuse that blew: its rule refused `accounts` accounts within `within_s` seconds."""

    rule: str
    accounts: int
    within_s: int
    at_ns: int
    policy: str

    def record(self, exchange: str) -> Record:
        """The audit entry, under the id of the exchange that blew it. It names no account."""
        fields: dict[str, Json] = {
            "rule": self.rule,
            "accounts": self.accounts,
            "within_s": self.within_s,
            "policy": self.policy,
        }
        return Record("fuse", exchange, self.at_ns, fields)


class Fuses:
    """The fuses of the rules in force, and which rules are disarmed."""

    def __init__(self, policy: PolicySet) -> None:
        self._disarmed: dict[str, Disarmed] = {}
        self._windows: dict[str, _Window] = {}
        self._legal: frozenset[str] = frozenset()
        self.names: frozenset[str] = frozenset()
        self.adopt(policy)

    @property
    def disarmed(self) -> tuple[Disarmed, ...]:
        """Every rule that somebody or a fuse disarmed, by id; also those not in force now.

        `names` are the ids that are lowered to shadow: these without the legal ones.
        """
        return tuple(self._disarmed[rule] for rule in sorted(self._disarmed))

    @property
    def overruled(self) -> tuple[Disarmed, ...]:
        """The disarmed rules that act all the same, because a policy set has made them legal."""
        return tuple(held for held in self.disarmed if held.rule in self._legal)

    def adopt(self, policy: PolicySet) -> None:
        """Watch another policy set's rules: an edited fuse works at once, over what it holds."""
        fuses = {rule.id: rule.fuse for rule in policy.rules if _watched(rule)}
        self._windows = {
            rule: _Window(fuse, self._windows.get(rule)) for rule, fuse in fuses.items() if fuse
        }
        self._legal = frozenset(rule.id for rule in policy.rules if rule.legal)
        self._named()

    def observe(self, decision: Decision, account: str, at_ns: int) -> tuple[Blown, ...]:
        """Count an account for each enforced rule that refused it; the fuses that blow by it.

        Times may come late or out of order; what is older than a fuse's window does not count.
        """
        if not self._windows or not decision.verdict.refuses:
            return ()
        refusing = {
            outcome.rule: None  # a quota with several limits speaks more than once
            for outcome in decision.spoke
            if outcome.mode is Mode.ENFORCE and outcome.verdict.refuses
        }
        return tuple(self._counted(refusing, account, at_ns, decision.policy))

    def disarm(self, rule: str, who: str, why: str, at_ns: int) -> Disarmed | None:
        """Lower a rule to shadow; what was so before, or None. ValueError for a legal rule."""
        if rule in self._legal:
            msg = f"{rule} is a legal rule: nothing but a change of the policy stops it"
            raise ValueError(msg)
        before = self._disarmed.get(rule)
        self._disarmed[rule] = Disarmed(rule, who, why, at_ns)
        self._named()
        self._begin_anew(rule)
        return before

    def arm(self, rule: str) -> Disarmed | None:
        """Let a rule act again, its fuse counting from nothing; who had disarmed it, or None."""
        before = self._disarmed.pop(rule, None)
        self._named()
        if before is not None:
            self._begin_anew(rule)
        return before

    def save(self) -> dict[str, Json]:
        """The disarmed rules as JSON values, for `load`. Nobody's account is in it."""
        return {
            held.rule: {"who": held.who, "why": held.why, "since_ns": held.since_ns}
            for held in self.disarmed
        }

    def load(self, saved: Json) -> tuple[Change, ...]:
        """Take up what `save` gave; what that changes, by rule. The fuses of these begin anew.

        ValueError says what is wrong with it, and nothing changes.
        """
        before, self._disarmed = self._disarmed, disarmed_in(saved)
        self._named()
        rules = sorted(before.keys() | self._disarmed.keys())
        changed = [rule for rule in rules if before.get(rule) != self._disarmed.get(rule)]
        for rule in changed:
            self._begin_anew(rule)
        return tuple(Change(rule, self._disarmed.get(rule)) for rule in changed)

    def _counted(
        self, rules: Iterable[str], account: str, at_ns: int, policy: str
    ) -> Iterable[Blown]:
        for rule in rules:
            window = self._windows.get(rule)
            if window is None or rule in self.names or not window.refused(account, at_ns):
                continue
            fuse, accounts = window.fuse, window.accounts
            why = (
                f"{accounts} accounts refused within {fuse.within_s} s; "
                f"the fuse allows {fuse.accounts}"
            )
            self.disarm(rule, BY_FUSE, why, at_ns)
            yield Blown(rule, accounts, fuse.within_s, at_ns, policy)

    def _begin_anew(self, rule: str) -> None:
        if window := self._windows.get(rule):
            self._windows[rule] = _Window(window.fuse)

    def _named(self) -> None:
        self.names = frozenset(self._disarmed) - self._legal


class _Window:
    """The accounts that one rule refused within its fuse's window, each at its latest time.

    The window ends at the latest time seen. The heap has one entry for each account, with a time
    not later than its latest; one that falls out of the window is looked up there and put back.
    """

    __slots__ = ("_heap", "_latest", "_now_ns", "fuse")

    def __init__(self, fuse: Fuse, before: "_Window | None" = None) -> None:
        self.fuse = fuse
        self._now_ns: int = before._now_ns if before else 0
        self._latest: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []
        if before:
            self._take_over(before._latest)

    @property
    def accounts(self) -> int:
        """How many accounts are in the window."""
        return len(self._latest)

    def refused(self, account: str, at_ns: int) -> bool:
        """Count an account; whether there are more now than the fuse allows."""
        within_ns = self.fuse.within_s * NS_PER_S
        if at_ns <= self._now_ns - max(within_ns, SET_BACK_NS):
            self._latest.clear()
            self._heap.clear()
            self._now_ns = at_ns
        self._now_ns = max(self._now_ns, at_ns)
        begins_ns = self._now_ns - within_ns
        self._drop_until(begins_ns)
        if at_ns > begins_ns and self.accounts <= self.fuse.accounts:
            self._note(account, at_ns)
        return self.accounts > self.fuse.accounts

    def _note(self, account: str, at_ns: int) -> None:
        known_ns = self._latest.get(account)
        if known_ns is None:
            heapq.heappush(self._heap, (at_ns, account))
        if known_ns is None or at_ns > known_ns:
            self._latest[account] = at_ns

    def _drop_until(self, begins_ns: int) -> None:
        heap = self._heap
        while heap and heap[0][0] <= begins_ns:
            _, account = heap[0]
            latest_ns = self._latest[account]
            if latest_ns > begins_ns:
                heapq.heapreplace(heap, (latest_ns, account))
            else:
                heapq.heappop(heap)
                del self._latest[account]

    def _take_over(self, latest: Mapping[str, int]) -> None:
        """The accounts that an edited fuse has in its window, the latest: as many as it may hold.

        Where it allows fewer than are there, the next refusal blows it, of whatever account.
        """
        begins_ns = self._now_ns - self.fuse.within_s * NS_PER_S
        kept = heapq.nlargest(self.fuse.accounts + 1, latest.items(), key=lambda item: item[1])
        for account, at_ns in kept:
            if at_ns > begins_ns:
                self._note(account, at_ns)


def _watched(rule: Rule) -> bool:
    return rule.fuse is not None and not rule.legal


def disarmed_in(saved: Json) -> dict[str, Disarmed]:
    """What `Fuses.save` gave, checked; ValueError says what is wrong with it."""
    if not isinstance(saved, dict):
        msg = "expected a mapping of rules"
        raise ValueError(msg)
    return {rule: _loaded(rule, held) for rule, held in saved.items()}


def _loaded(rule: str, held: Json) -> Disarmed:
    if not _ID.fullmatch(rule):
        msg = f'"{rule[:63]}" is not the id of a rule'
        raise ValueError(msg)
    if not isinstance(held, dict) or set(held) != {"who", "why", "since_ns"}:
        msg = f'"{rule}" needs who, why and since_ns, and nothing else'
        raise ValueError(msg)
    who, why, since_ns = held["who"], held["why"], held["since_ns"]
    if not (isinstance(who, str) and isinstance(why, str)):
        msg = f'"{rule}": who and why are texts'
        raise ValueError(msg)
    if type(since_ns) is not int or not 0 <= since_ns < 2**63:
        msg = f'"{rule}": since_ns is a time in Unix nanoseconds'
        raise ValueError(msg)
    return Disarmed(rule, who, why, since_ns)
